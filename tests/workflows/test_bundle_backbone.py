"""A network of a local bundle serves from support to file, and models need no bundle afterwards."""

import csv
import json
import shutil
from itertools import islice

import numpy as np
import onnxruntime
import pytest
import torch
from monai.networks.nets import UNet
from safetensors.torch import load_file, save_file

from medfs.core.errors import IntegrityError
from medfs.export.audit.bundle import audit_bundle
from medfs.export.graph import PatchClassifier
from medfs.scans.write import write_nifti
from medfs.storage.files import sha256
from medfs.synthesis.cohorts import simulate_cohort
from medfs.testing.samples import random_patches
from medfs.workflows.adapt import AdaptRequest, adapt
from medfs.workflows.bundle import write_bundle
from medfs.workflows.export import export
from medfs.workflows.predict import load_predictor, predict

NETWORK = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8, 16]}
# MONAI and torch's exporters warn of their own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Support, a bundle that is gone once the model is made, and the model."""
    root = tmp_path_factory.mktemp("made")
    for i, case in enumerate(islice(simulate_cohort(4, 0), 8)):
        folder = root / "cases" / case.label if i < 6 else root / "scans"
        folder.mkdir(parents=True, exist_ok=True)
        write_nifti(folder / f"case-{i}.nii.gz", case.voxels, case.affine, "int16")
    for part in ("configs", "models"):
        (root / "Spleen" / part).mkdir(parents=True)
    torch.manual_seed(0)
    network = UNet(**NETWORK, strides=(2, 2), num_res_units=1)
    definition = {"_target_": "UNet", **NETWORK, "strides": "@steps", "num_res_units": 1}
    config = {"steps": [2, 2], "network_def": definition, "run": ["$@evaluator.run()"]}
    (root / "Spleen" / "configs" / "inference.json").write_text(json.dumps(config))
    torch.save(network.state_dict(), root / "Spleen" / "models" / "model.pt")
    given = {"bundle": root / "Spleen"}
    request = AdaptRequest(root / "cases", root / "model", weights=given, features=("bundle",))
    adapt(request)
    shutil.rmtree(root / "Spleen")
    return root


@pytest.fixture(scope="module")
def predictor(made):
    return load_predictor(made / "model", "cpu", use_cache=False, keep_unfamiliar=True)


def test_predictions_need_the_model_alone(made, predictor):
    found = list(predict(predictor, made / "scans"))
    assert len(found) == 2
    for prediction in found:
        assert sum(prediction.probabilities) == pytest.approx(1)
    assert predictor.embedder.encoders[0].identity.startswith("bundle-")


def test_a_model_does_not_say_where_its_bundle_lay(made):
    for path in (p for p in (made / "model").iterdir() if p.is_file()):
        assert b"Spleen" not in path.read_bytes(), path.name
        assert str(made).encode() not in path.read_bytes(), path.name


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_what_is_exported_agrees(made, predictor, tmp_path, kind):
    out = tmp_path / f"model.{kind}"
    assert export(made / "model", kind, out).difference <= 1e-4
    if kind == "onnx":
        patches = random_patches(2, predictor.embedder.preset.shape, seed=5)
        graph = PatchClassifier(predictor.embedder.encoders, predictor.calibrated)
        inputs = (patches.image, patches.roi, patches.spacing)
        wanted = graph(*inputs).numpy()
        session = onnxruntime.InferenceSession(out)
        names = [i.name for i in session.get_inputs()]
        fed = {n: t.numpy() for n, t in zip(names, inputs, strict=True)}
        np.testing.assert_allclose(session.run(None, fed)[0], wanted, atol=1e-4)


def test_a_monai_bundle_of_it_passes_the_audit_and_runs(made, predictor, tmp_path):
    from monai import bundle as monai_bundle

    out = write_bundle(made / "model", tmp_path / "Again_classification")
    assert audit_bundle(out) == ()
    monai_bundle.run(
        config_file=str(out / "configs" / "inference.json"),
        bundle_root=str(out),
        dataset_dir=str(made / "scans"),
        output_dir=str(tmp_path / "eval"),
        logging_file=False,
    )
    rows = list(csv.reader((tmp_path / "eval" / "predictions.csv").open()))
    wanted = [p.probabilities for p in predict(predictor, made / "scans")]
    np.testing.assert_allclose([[float(v) for v in row[1:]] for row in rows], wanted, atol=1e-4)


def test_a_forged_definition_in_a_model_is_refused(made, tmp_path):
    model = shutil.copytree(made / "model", tmp_path / "model")
    path = model / "weights.safetensors"
    tensors = load_file(path)
    forged = json.dumps({"_target_": "os.system"}).encode()
    tensors["encoder.bundle.definition"] = torch.tensor(list(forged), dtype=torch.uint8)
    before = sha256(path.read_bytes())
    save_file(tensors, path)
    sums = (model / "SHA256SUMS").read_text()
    (model / "SHA256SUMS").write_text(sums.replace(before, sha256(path.read_bytes())))
    with pytest.raises(IntegrityError, match="is no network that medfs knows"):
        load_predictor(model, "cpu")
