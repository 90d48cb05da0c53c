"""A model folder → a MONAI bundle, and the parts that the bundle's configuration names."""

import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from medfs.core.errors import UsageError
from medfs.export.audit.bundle import audit_bundle
from medfs.export.bundle import configs, texts
from medfs.export.bundle.network import BundleNetwork
from medfs.export.graph import PatchClassifier
from medfs.export.model_folder import read_model
from medfs.storage.files import check_new, new_folder, sha256, to_json, write_text
from medfs.workflows.adapt import AdaptRequest, adapt
from medfs.workflows.predict import Predictor, load_predictor, weights_by_encoder
from medfs.workflows.recipes import spec_of

_MODEL_FILES = ("model.json", "report.json", "weights.safetensors", "SHA256SUMS")
_PACKAGES = ("monai", "torch", "numpy", "nibabel", "pydicom", "pytorch-ignite")


def write_bundle(model: Path, out: Path, *, packed: bool = False) -> Path:
    """Write a bundle, audited before it is kept.

    Args:
        model: folder that `medfs adapt` wrote.
        out: the new folder; its name becomes that of the bundle.
        packed: also a zip beside it.

    Raises:
        UsageError: the name cannot be one of a bundle.
        IntegrityError: the model was changed.
        OutputError: there is something at `out` already.
    """
    archive = out.with_name(f"{out.name}.zip")
    check_new(out)
    if packed:
        check_new(archive)
    predictor = load_predictor(model, "cpu", use_cache=False)
    content = read_model(model)
    facts = _facts(out.name, predictor, content.settings)
    with new_folder(out) as folder:
        for name, text in _texts(facts, content.report, content.preset).items():
            write_text(folder / name, text)
        target = folder / configs.MODEL
        target.mkdir(parents=True)
        for name in _MODEL_FILES:
            shutil.copyfile(model / name, target / name)
        (folder / configs.CHECKPOINT).write_bytes(_state(predictor))
        _announce_large(folder)
        write_text(folder / "SHA256SUMS", _sums(folder))
        if found := audit_bundle(folder):
            raise RuntimeError(f"the bundle does not pass its own audit: {found[0]}")
    if packed:
        shutil.make_archive(str(out), "zip", out.parent, out.name)
    return out


def _facts(name: str, predictor: Predictor, settings: Mapping[str, Any]) -> configs.BundleFacts:
    if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii():
        raise UsageError(
            f"{name!r} cannot be the name of a bundle",
            why="Letters, digits, - and _ alone are safe in every tool",
            todo="Choose another --out",
        )
    preset = predictor.embedder.preset
    classes = predictor.class_names
    mapper = str(settings.get("mapper", "a mapper")).split("-site-")[0]
    return configs.BundleFacts(
        name=name if "classification" in name else f"{name}_classification",
        class_names=classes,
        shape=preset.shape,
        preset=preset.to_dict(),
        reading=dict(settings.get("reading", {})),
        mask_label=settings.get("mask_label"),
        use_masks=predictor.use_masks,
        versions={
            "medfs": version("medfs"),
            **{p: version(p) for p in _PACKAGES},
            **settings.get("packages", {}),
        },
        description=f"Tells {', '.join(classes[:-1])} from {classes[-1]}; adapted by {mapper} "
        f"with preset {preset.name}.",
    )


def _texts(
    facts: configs.BundleFacts, report: Mapping[str, Any], preset: Mapping[str, Any]
) -> dict[str, str]:
    modality = {"ct": "CT", "mr": "MR", "pet": "PT"}.get(preset["kinds"][0], "n/a")
    return {
        "LICENSE": texts.license_text(),
        "configs/metadata.json": to_json(configs.metadata(facts, modality)),
        "configs/inference.json": to_json(configs.inference(facts)),
        "configs/train.json": to_json(configs.training()),
        "configs/logging.conf": configs.LOGGING,
        "docs/README.md": texts.readme(facts, report),
        "docs/data_license.txt": texts.DATA_LICENSE,
    }


def _state(predictor: Predictor) -> bytes:
    content = io.BytesIO()
    torch.save(_network(predictor).state_dict(), content)
    return content.getvalue()


def _announce_large(folder: Path) -> None:
    """Files of over 25 MB stand in large_files.yml, as the model zoo asks."""
    large = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.stat().st_size > 25 * 10**6]
    if large:
        lines = [
            f'- path: "{p.relative_to(folder).as_posix()}"\n  hash_type: "sha256"\n'
            f'  hash_val: "{sha256(p.read_bytes())}"\n'
            for p in large
        ]
        write_text(folder / "large_files.yml", "large_files:\n" + "".join(lines))


def _sums(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return "".join(f"{sha256(p.read_bytes())}  {p.relative_to(folder).as_posix()}\n" for p in files)


def _network(predictor: Predictor) -> torch.nn.Module:
    return BundleNetwork(PatchClassifier(predictor.embedder.encoders, predictor.calibrated))


def inside(root: str, name: str) -> str:
    """A path within a bundle; for configurations."""
    return str(Path(root) / name)


def network(model: str, device: torch.device) -> torch.nn.Module:
    """The network of a bundle, for configurations.

    Args:
        model: folder of the model within the bundle; its sums are checked.
        device: where it runs.
    """
    return _network(load_predictor(Path(model), "cpu", use_cache=False)).to(device)


def cases(folder: str, model: str) -> list[dict[str, str]]:
    """Scans in a folder or list, found as `medfs predict` finds them; for configurations.

    Raises:
        UserError: they cannot be understood, or one lacks the mask that the model needs.
    """
    predictor = load_predictor(Path(model), "cpu", use_cache=False)
    found = predictor.asked.cohort(Path(folder), labelled=False).cases
    if predictor.use_masks and (bare := [c.case_id for c in found if c.mask is None]):
        raise UsageError(
            "the scan has no mask",
            case=bare[0],
            why="The model was made from scans with masks",
            todo="Put <case>_mask.nii.gz beside it",
        )
    return [
        {"image": str(c.image), **({"mask": str(c.mask)} if predictor.use_masks else {})}
        for c in found
    ]


@dataclass(frozen=True)
class Readapt:
    """Adapt to a new support as a bundle's model was adapted; for configurations."""

    support: str
    out: str
    model: str

    def run(self) -> None:
        """Write the new model folder.

        Raises:
            UserError: the support cannot be used, or the mapper is not at hand.
        """
        content = read_model(Path(self.model))
        predictor = load_predictor(Path(self.model), "cpu", use_cache=False)
        request = AdaptRequest(Path(self.support), Path(self.out), features=content.encoders)
        adapt(
            replace(
                request,
                mapper=spec_of(str(content.settings.get("mapper"))),
                preset=predictor.embedder.preset,
                weights=weights_by_encoder(content),
                use_masks=predictor.use_masks,
                asked=predictor.asked,
                seed=int(content.settings.get("seed", 0)),
            )
        )
