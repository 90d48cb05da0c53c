"""Files for consumers without medfs agree with it, and tell nothing of where they were made."""

import io
import json
import subprocess
import sys
import zipfile
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from medfs.core.cases import Case
from medfs.core.errors import IntegrityError, OutputError, UsageError
from medfs.core.features import Features
from medfs.core.patches import PatchBatch
from medfs.export.graph import PatchClassifier
from medfs.export.model_folder import read_model
from medfs.export.programs import FACTS, INPUTS, OUTPUT, to_onnx, to_pt2, trace
from medfs.scans.write import write_nifti
from medfs.synthesis.cohorts import simulate_cohort
from medfs.testing.samples import random_patches
from medfs.workflows import export as workflow
from medfs.workflows.adapt import AdaptRequest, adapt
from medfs.workflows.predict import load_predictor
from medfs.workflows.reporting.reading import patch_of
from medfs.workflows.sets import ask_sets
from medfs.workflows.sources import FileSource


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("MUELLER")
    for i, case in enumerate(islice(simulate_cohort(3, 0), 6)):
        place = folder / "cases" / case.label
        place.mkdir(parents=True, exist_ok=True)
        write_nifti(place / f"ANNA{i}.nii.gz", case.voxels, case.affine, "int16")
        write_nifti(place / f"ANNA{i}_mask.nii.gz", case.mask, case.affine, "uint8")
    request = AdaptRequest(
        folder / "cases", folder / "model", features=("radiomics",), use_cache=False
    )
    adapt(request)
    return folder / "model"


@pytest.fixture(scope="module")
def predictor(model):
    return load_predictor(model, "cpu", use_cache=False)


@pytest.fixture(scope="module")
def graph(predictor):
    return PatchClassifier(predictor.embedder.encoders, predictor.calibrated)


@pytest.fixture(scope="module")
def facts(predictor, model):
    return workflow.describe_graph(predictor, model, "float32")


@pytest.fixture(scope="module")
def program(graph, predictor):
    return trace(graph, predictor.embedder.preset.shape)


@pytest.fixture(scope="module")
def files(program, facts):
    return {"onnx": to_onnx(program, facts), "pt2": to_pt2(program, facts)}


@pytest.fixture(scope="module")
def consumers(files):
    return {kind: workflow.CONSUMERS[kind](content) for kind, content in files.items()}


def wanted(graph, patches):
    return graph(patches.image, patches.roi, patches.spacing).numpy()


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_patches_agrees(consumers, graph, predictor, count):
    patches = random_patches(count, predictor.embedder.preset.shape, seed=count)
    for consumer in consumers.values():
        found = consumer(patches)
        np.testing.assert_allclose(found, wanted(graph, patches), atol=1e-4)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_onnx_is_valid_and_named(files, facts):
    model = onnx.load_from_string(files["onnx"])
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(files["onnx"])
    assert [i.name for i in session.get_inputs()] == list(INPUTS)
    assert [o.name for o in session.get_outputs()] == [OUTPUT]
    assert json.loads(session.get_modelmeta().custom_metadata_map["medfs"]) == facts


def test_pt2_carries_the_facts(files, facts):
    extra = {FACTS: ""}
    torch.export.load(io.BytesIO(files["pt2"]), extra_files=extra)
    assert json.loads(extra[FACTS]) == facts


def test_no_path_no_name_is_inside(files, model):
    archive = zipfile.ZipFile(io.BytesIO(files["pt2"]))
    everything = files["onnx"] + b"".join(archive.read(name) for name in archive.namelist())
    for word in ("MUELLER", "ANNA", str(model.parent), str(workflow.__file__), "site-packages"):
        for coding in ("utf-8", "utf-16-le"):
            assert word.encode(coding) not in everything, word


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_the_documented_consumer_gives_what_predict_gives(files, predictor, model, tmp_path, kind):
    script = Path(__file__).parents[2] / "docs" / "consumers" / f"run_{kind}.py"
    (tmp_path / f"model.{kind}").write_bytes(files[kind])
    scan = next((model.parent / "cases").rglob("*0.nii.gz"))
    mask = scan.with_name(scan.name.replace(".nii.gz", "_mask.nii.gz"))
    command = [sys.executable, script, tmp_path / f"model.{kind}", scan, mask]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    case = Case(case_id="one", patient_id="one", image=scan, mask=mask, label=None)
    [prediction] = predictor([FileSource(case, True)])
    wanted = dict(zip(predictor.class_names, prediction.probabilities, strict=True))
    assert json.loads(done.stdout) == pytest.approx(wanted, abs=1e-4)


def test_a_file_that_disagrees_is_not_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(workflow, "trace", lambda *_: None)
    monkeypatch.setattr(workflow, "to_pt2", lambda *_: b"")
    monkeypatch.setitem(workflow.OUTPUTS, "pt2", lambda _: lambda _: [np.full((3, 2), 0.5)])
    with pytest.raises(IntegrityError, match="does not agree"):
        workflow.export(model, "pt2", tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_prediction_sets_are_a_second_output(model, tmp_path, kind):
    split = tmp_path / "split"
    adapt(
        AdaptRequest(
            model.parent / "cases", split, features=("radiomics",), sets="split", use_cache=False
        )
    )
    out = tmp_path / f"m.{kind}"
    workflow.export(split, kind, out, coverage=0.5)
    predictor = load_predictor(split, "cpu", use_cache=False)
    # Sets of noise are all alike; those of the cases are not.
    scans = sorted((model.parent / "cases").rglob("*_mask.nii.gz"))
    cases = [Case(m.name, m.name, m.with_name(m.name.replace("_mask", "")), m) for m in scans]
    patches = PatchBatch.of(*(patch_of(predictor, FileSource(case, True)) for case in cases))
    probabilities, kept = workflow.OUTPUTS[kind](out.read_bytes())(patches)
    features = [e(patches) for e in predictor.embedder.encoders]
    asked = ask_sets(read_model(split), split, 0.5)
    for i, (p, row) in enumerate(zip(probabilities, kept, strict=True)):
        one = Features({"radiomics": features[0][i : i + 1]})
        assert asked.of(one, int(p.argmax())) == tuple(np.flatnonzero(row))
    assert len({tuple(row) for row in kept.tolist()}) > 1
    if kind == "onnx":
        facts = onnxruntime.InferenceSession(out.read_bytes()).get_modelmeta().custom_metadata_map
        assert json.loads(facts["medfs"])["prediction_sets"]["nominal"] == 0.5


def test_sets_that_need_single_patients_do_not_leave(model, tmp_path):
    with pytest.raises(UsageError, match="cannot be exported"):
        workflow.export(model, "pt2", tmp_path / "m.pt2", coverage=0.5)
    with pytest.raises(UsageError, match="patients of every class"):
        workflow.export(model, "pt2", tmp_path / "m.pt2", coverage=0.99)
    assert list(tmp_path.iterdir()) == []


def test_refusals(model, tmp_path):
    with pytest.raises(UsageError, match="no format called 'exe'"):
        workflow.export(model, "exe", tmp_path / "m")
    with pytest.raises(UsageError, match="would change nothing"):
        workflow.export(model, "onnx", tmp_path / "m", "int8")
    (tmp_path / "there").touch()
    with pytest.raises(OutputError, match="exists already"):
        workflow.export(model, "onnx", tmp_path / "there")
