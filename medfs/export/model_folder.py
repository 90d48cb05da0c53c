"""MODEL/: a calibrated classifier as JSON and safetensors, checked by hash before it is read.

MODEL/model.json           what it is: classes, encoders, preset, mapper, calibration
MODEL/weights.safetensors  θ, its calibration, the guard, and the weights of the backbones
MODEL/report.json          what it was made from and how well it does; no case ids
MODEL/SHA256SUMS           of the three above, in the format of `sha256sum`
MODEL/local/               the table from ordinals to case ids; stays where it was made
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from medfs.core.calibration import calibration_kind, calibration_tensors
from medfs.core.classifiers import CalibratedClassifier
from medfs.core.errors import IntegrityError, ScanReadError
from medfs.core.guards import ScanGuard
from medfs.export import model_schema as schema
from medfs.export.guard_schema import describe_guard, guard_tensors, parse_guard
from medfs.storage.files import new_folder, sha256, to_json, write_bytes, write_text
from medfs.storage.tensors import tensors_from_bytes, tensors_to_bytes

_SUMS = "SHA256SUMS"
_SUMMED = ("model.json", "report.json", "weights.safetensors")


@dataclass(frozen=True, slots=True, eq=False)
class ModelContent:
    """Everything a model folder holds, apart from `local/`.

    Attributes:
        calibrated: the classifier with its calibration.
        encoders: names by which the encoders are built again, in the order of the classifier's.
        encoder_weights: tensors of encoders that have weights, keyed `name.parameter`.
        preset: plain data of the preset.
        settings: other facts of `model.json` (mapper, seed, versions).
        report: content of `report.json`.
        guard: what the support looked like.
    """

    calibrated: CalibratedClassifier
    encoders: tuple[str, ...]
    encoder_weights: Mapping[str, Tensor]
    preset: dict[str, Any]
    settings: dict[str, Any]
    report: dict[str, Any]
    guard: ScanGuard


def write_model(path: Path, content: ModelContent, local: Mapping[str, str | bytes]) -> None:
    """Write the folder whole, or not at all.

    Args:
        path: the new folder.
        content: the model.
        local: file name → text or bytes of what goes into `local/`.

    Raises:
        OutputError: the folder exists already or cannot be written.
    """
    with new_folder(path) as folder:
        files = {
            "model.json": to_json(_description(content)).encode(),
            "report.json": to_json(content.report).encode(),
            "weights.safetensors": tensors_to_bytes(_tensors(content)),
        }
        for name, data in files.items():
            (folder / name).write_bytes(data)
        sums = "".join(f"{sha256(files[name])}  {name}\n" for name in _SUMMED)
        write_text(folder / _SUMS, sums)
        (folder / "local").mkdir(mode=0o700)
        for name, held in local.items():
            write_bytes(
                folder / "local" / name, held if isinstance(held, bytes) else held.encode("utf-8")
            )


def read_model(path: Path) -> ModelContent:
    """Verify the sums, then read.

    Raises:
        ScanReadError: there is no such folder.
        IntegrityError: a file is missing, changed, or not as this version writes it.
    """
    if not any((path / name).is_file() for name in (*_SUMMED, _SUMS)):
        raise ScanReadError(
            "there is no model folder here",
            case=str(path),
            todo="Give the folder that `medfs adapt --out` wrote",
        )
    files = {name: _verified(path, name, digest) for name, digest in _sums(path).items()}
    where = str(path)
    description = schema.parse_json(files["model.json"], str(path / "model.json"))
    schema.check_version(description, where)
    tensors = tensors_from_bytes(files["weights.safetensors"], str(path / "weights.safetensors"))
    names, identities = schema.parse_encoders(description, where)
    class_names = schema.parse_names(description, where)
    guard, tensors = parse_guard(description, tensors, identities, len(class_names), where)
    calibrated, others = schema.parse_theta(description, tensors, identities, class_names, where)
    return ModelContent(
        calibrated=calibrated,
        encoders=names,
        encoder_weights={n.removeprefix(schema.ENCODER_PREFIX): t for n, t in others.items()},
        preset=schema.parse_object(description, "preset", where),
        settings=schema.parse_object(description, "settings", where),
        report=schema.parse_json(files["report.json"], str(path / "report.json")),
        guard=guard,
    )


def model_hashes(path: Path) -> dict[str, str]:
    """SHA-256 of each file of a model, as its list says; `read_model` holds the files against it.

    Raises:
        IntegrityError: the list is missing or damaged.
    """
    return _sums(path)


def _description(content: ModelContent) -> dict[str, Any]:
    classifier = content.calibrated.classifier
    return {
        "schema_version": schema.SCHEMA_VERSION,
        "class_names": list(classifier.class_names),
        "theta": schema.describe_theta(classifier.theta),
        "guard": describe_guard(content.guard),
        "calibration": calibration_kind(content.calibrated.calibration),
        "encoders": [
            {"name": name, "identity": identity}
            for name, identity in zip(content.encoders, classifier.encoders, strict=True)
        ],
        "preset": content.preset,
        "settings": content.settings,
    }


def _tensors(content: ModelContent) -> dict[str, Tensor]:
    theta = content.calibrated.classifier.theta.tensors()
    weights = {
        f"{schema.ENCODER_PREFIX}{name}": tensor for name, tensor in content.encoder_weights.items()
    }
    calibration = {
        f"{schema.CALIBRATION_PREFIX}{name}": tensor
        for name, tensor in calibration_tensors(content.calibrated.calibration).items()
    }
    guard = guard_tensors(content.guard)
    return {**theta, **calibration, **guard, **weights}


def _sums(path: Path) -> dict[str, str]:
    try:
        lines = (path / _SUMS).read_text(encoding="ascii").splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise IntegrityError(
            f"{_SUMS} is missing or unreadable",
            case=str(path),
            todo="Copy the model folder again, or adapt again",
        ) from error
    if sorted(sums) != sorted(_SUMMED):
        raise IntegrityError(
            f"{_SUMS} does not list exactly the files of a model",
            case=str(path),
            why=f"Expected {', '.join(_SUMMED)}",
            todo="Copy the model folder again, or adapt again",
        )
    return sums


def _verified(path: Path, name: str, digest: str) -> bytes:
    try:
        data = (path / name).read_bytes()
    except OSError as error:
        raise IntegrityError(
            f"{name} is missing", case=str(path), todo="Copy the model folder again"
        ) from error
    if sha256(data) != digest:
        raise IntegrityError(
            f"{name} was changed after the model was written",
            case=str(path),
            why=f"Its SHA-256 differs from the one in {_SUMS}",
            todo="Do not use this model; copy it again from where it was made",
        )
    return data
