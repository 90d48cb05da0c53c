"""Bundles of three kinds of models pass MONAI's tools and our audit, and give what predict does."""

import csv
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from monai import bundle as monai_bundle
from monai.networks.nets import resnet10
from monai.utils import optional_import

from medfs.core.errors import OutputError, UsageError
from medfs.export.audit.bundle import audit_bundle
from medfs.scans.write import write_nifti
from medfs.synthesis.cohorts import simulate_cohort
from medfs.workflows.adapt import AdaptRequest, adapt
from medfs.workflows.bundle import write_bundle
from medfs.workflows.predict import load_predictor, predict

NAME = "Nodules_classification"
# MONAI, ignite and torch's exporters warn of their own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")


@dataclass(frozen=True)
class Kind:
    """What a model is made of."""

    features: str
    masks: bool = True
    preset: str = "auto"
    mapper: str = "auto"


KINDS = {
    "regions": Kind("radiomics"),
    "no-masks": Kind("layout", masks=False, mapper="prototype"),
    "backbone": Kind("resnet10", preset="wide.yaml"),
}
WIDE = """
summary: a field of another size
kinds: [ct]
spacing_mm: [1.5, 1.5, 3.0]
shape: [40, 36, 32]
margin_mm: 5.0
intensity: {kind: window, low: -1000.0, high: 1000.0}
region: learned
"""


def write_cases(folder, count, *, labelled, masks):
    for i, case in enumerate(islice(simulate_cohort(5, 0), 10)):
        if (i < count) is labelled:
            place = folder / case.label if labelled else folder
            place.mkdir(parents=True, exist_ok=True)
            write_nifti(place / f"MUELLER{i}.nii.gz", case.voxels, case.affine, "int16")
            if masks:
                write_nifti(place / f"MUELLER{i}_mask.nii.gz", case.mask, case.affine, "uint8")


def weights_of(features):
    """Of a network that nobody trained: what a bundle does with them is the same."""
    if features != "resnet10":
        return {}
    torch.manual_seed(0)
    network = resnet10(spatial_dims=3, n_input_channels=1, feed_forward=False, shortcut_type="B")
    return {features: network.state_dict()}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def made(request, tmp_path_factory):
    """A folder with support, scans, model, and a bundle with its zip."""
    kind, root = request.param, tmp_path_factory.mktemp("SCHMIDT")
    write_cases(root / "cases", 6, labelled=True, masks=kind.masks)
    write_cases(root / "scans", 6, labelled=False, masks=kind.masks)
    (root / "wide.yaml").write_text(WIDE)
    preset = kind.preset if kind.preset == "auto" else str(root / kind.preset)
    adapt(
        AdaptRequest(
            root / "cases",
            root / "model",
            features=(kind.features,),
            weights=weights_of(kind.features),
            mapper=kind.mapper,
            preset=preset,
            use_cache=False,
        )
    )
    write_bundle(root / "model", root / NAME, packed=True)
    return root


@pytest.fixture
def configured(made):
    root = made / NAME
    return {
        "config_file": str(root / "configs" / "inference.json"),
        "meta_file": str(root / "configs" / "metadata.json"),
        "bundle_root": str(root),
    }


def test_it_passes_the_audit_as_a_folder_and_as_a_zip(made):
    assert audit_bundle(made / NAME) == ()
    assert audit_bundle(made / f"{NAME}.zip") == ()
    with zipfile.ZipFile(made / f"{NAME}.zip") as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {NAME}


def test_monai_runs_it_and_gives_what_predict_gives(made, configured, tmp_path):
    workflow = monai_bundle.create_workflow(
        workflow_type="inference",
        logging_file=False,
        dataset_dir=str(made / "scans"),
        output_dir=str(tmp_path),
        **configured,
    )
    workflow.initialize()
    assert workflow.check_properties() == []
    workflow.run()
    workflow.finalize()
    rows = list(csv.reader((tmp_path / "predictions.csv").open()))
    predictor = load_predictor(made / "model", "cpu", use_cache=False, keep_unfamiliar=True)
    wanted = {p.case.case_id: p.probabilities for p in predict(predictor, made / "scans")}
    assert len(rows) == len(wanted) == 4
    for path, *probabilities in rows:
        case = Path(path).name.removesuffix(".nii.gz")
        np.testing.assert_allclose(np.array(probabilities, float), wanted[case], atol=1e-4)


def test_metadata_fits_the_schema(configured, shared_data):
    schema = shared_data / "bundle_schema" / "meta_schema_20240725.json"
    validate, _ = optional_import("jsonschema", name="validate")
    validate(json.loads(Path(configured["meta_file"]).read_text()), json.loads(schema.read_text()))


def test_the_network_takes_and_gives_what_the_metadata_say(configured):
    monai_bundle.verify_net_in_out(
        net_id="network_def",
        meta_file=configured["meta_file"],
        config_file=configured["config_file"],
        bundle_root=configured["bundle_root"],
    )


def test_training_adapts_again_in_the_same_way(made, configured, tmp_path):
    monai_bundle.run(
        config_file=str(made / NAME / "configs" / "train.json"),
        bundle_root=configured["bundle_root"],
        dataset_dir=str(made / "cases"),
        output_dir=str(tmp_path / "again"),
        logging_file=False,
    )
    first, again = (
        folder / "weights.safetensors" for folder in (made / "model", tmp_path / "again")
    )
    assert first.read_bytes() == again.read_bytes()


def test_the_checkpoint_is_a_plain_state_dict(made):
    state = torch.load(made / NAME / "models" / "model.pt", weights_only=True)
    assert state
    assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())


def test_nobody_is_named(made):
    words = [w.encode(c) for w in ("MUELLER", "SCHMIDT") for c in ("utf-8", "utf-16-le")]
    with zipfile.ZipFile(made / f"{NAME}.zip") as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert not [word for word in words if word in content], name
            assert "local" not in name


def test_refusals(made, tmp_path):
    with pytest.raises(UsageError, match="cannot be the name"):
        write_bundle(made / "model", tmp_path / "a name")
    with pytest.raises(OutputError, match="exists already"):
        write_bundle(made / "model", made / NAME)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_monai_exports_it(made, tmp_path):
    # From the command line: tracing gives sizes as tensors, which the checked shapes refuse.
    metadata = json.loads((made / NAME / "configs" / "metadata.json").read_text())
    shape = (1, 5, *metadata["network_data_format"]["inputs"]["image"]["spatial_shape"])
    shared = ["--net_id", "network_def", "--use_trace", "True", "--ckpt_file", "models/model.pt"]
    files = ["--config_file", "configs/inference.json", "--meta_file", "configs/metadata.json"]
    for tool, more in (
        ("ckpt_export", ["--filepath", tmp_path / "m.ts", "--input_shape", str(list(shape))]),
        ("onnx_export", ["--filepath", tmp_path / "m.onnx"]),
    ):
        command = [sys.executable, "-m", "monai.bundle", tool, *shared, *files, *more]
        done = subprocess.run(command, cwd=made / NAME, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-2000:]
    scripted = torch.jit.load(tmp_path / "m.ts")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    x = torch.rand(shape)
    x[:, 1] = 0
    x[:, 1, 15:30, 16:32, 17:29] = 1
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    np.testing.assert_allclose(found, scripted(x).numpy(), atol=1e-4)
