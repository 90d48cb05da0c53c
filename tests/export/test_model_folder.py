"""A model folder is written whole, and reading it gives back what was written."""

import hashlib
import stat
import subprocess
from dataclasses import replace

import pytest
import torch

from medfs.core.calibration import calibration_tensors
from medfs.core.errors import OutputError, ScanReadError
from medfs.core.features import Features
from medfs.export import model_folder
from medfs.export.guard_schema import guard_tensors
from medfs.export.model_folder import read_model, write_model

FILES = ["SHA256SUMS", "local", "model.json", "report.json", "weights.safetensors"]


def _tensors(content):
    return (
        *content.calibrated.classifier.theta.tensors().values(),
        *calibration_tensors(content.calibrated.calibration).values(),
        *content.encoder_weights.values(),
        *guard_tensors(content.guard).values(),
    )


def test_reading_gives_back_what_was_written_bit_by_bit(model, content):
    back = read_model(model)
    for one, other in zip(_tensors(content), _tensors(back), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    assert back.calibrated.class_names == content.calibrated.class_names
    assert back.calibrated.classifier.encoders == content.calibrated.classifier.encoders
    assert list(back.encoder_weights) == list(content.encoder_weights)
    assert back.guard.encoders == content.guard.encoders
    assert back.guard.modalities == content.guard.modalities
    for field in ("encoders", "preset", "settings", "report"):
        assert getattr(back, field) == getattr(content, field)


def test_a_guard_without_distances_survives_the_disk(tmp_path, content):
    bare = replace(content, guard=replace(content.guard, near=None))
    write_model(tmp_path / "bare", bare, {})
    assert read_model(tmp_path / "bare").guard.near is None


def test_probabilities_survive_the_disk_bit_by_bit(model, content):
    given = Features({"radiomics-1": torch.randn(4, 2), "resnet10-abc": torch.randn(4, 3)})
    one, other = content.calibrated, read_model(model).calibrated
    assert torch.equal(one.predict_proba(given), other.predict_proba(given))


def test_writing_twice_gives_the_same_bytes(tmp_path, content, model):
    write_model(tmp_path / "again", content, {"cases.csv": "case-001,Mueller\n"})
    for name in FILES:
        if name != "local":
            assert (model / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_writing_what_was_read_gives_the_same_bytes(tmp_path, model):
    write_model(tmp_path / "again", read_model(model), {})
    for name in FILES:
        if name != "local":
            assert (model / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_sums_are_those_of_sha256sum(model):
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=model, check=False
    )
    assert done.returncode == 0
    for line in (model / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((model / name).read_bytes()).hexdigest() == digest


def test_case_ids_stay_in_local_which_is_private(model):
    assert sorted(p.name for p in model.iterdir()) == FILES
    assert stat.S_IMODE((model / "local").stat().st_mode) == 0o700
    for name in FILES:
        if name != "local":
            assert b"Mueller" not in (model / name).read_bytes()


def test_a_model_without_its_local_table_is_read(model):
    (model / "local" / "cases.csv").unlink()
    (model / "local").rmdir()
    read_model(model)


@pytest.mark.parametrize("step", ["tensors_to_bytes", "to_json", "write_text"])
def test_a_crash_in_the_middle_leaves_nothing(tmp_path, content, monkeypatch, step):
    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(model_folder, step, crash)
    with pytest.raises(KeyboardInterrupt):
        write_model(tmp_path / "model", content, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(model, content):
    before = (model / "model.json").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_model(model, content, {})
    assert (model / "model.json").read_bytes() == before


def test_a_folder_that_is_no_model_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ScanReadError, match="no model folder"):
            read_model(path)
