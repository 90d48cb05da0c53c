"""The laws of medfs, and that medfs finds and uses what this package brings."""

import json
import subprocess
import sys
from pathlib import Path

from medfs_plugin_template.encoder import Brightness
from medfs_plugin_template.mapper import NearestMedian

from medfs.testing import check_encoder, check_mapper

MEDFS = str(Path(sys.executable).with_name("medfs"))


def test_the_mapper_keeps_the_laws():
    check_mapper(NearestMedian)


def test_the_encoder_keeps_the_laws():
    check_encoder(Brightness())


def test_medfs_lists_both():
    told = subprocess.run([MEDFS, "info", "--json"], check=True, capture_output=True, text=True)
    facts = json.loads(told.stdout)
    for kind, name in (("mappers", "nearest-median"), ("backbones", "brightness")):
        entry = next(e for e in facts[kind] if e["name"] == name)
        assert (entry["provider"], entry["version"]) == ("medfs-plugin-template", "0.1.0")


def test_from_scans_to_predictions(tmp_path):
    from itertools import islice

    from medfs.scans.write import write_nifti
    from medfs.synthesis.cohorts import simulate_cohort

    for i, case in enumerate(islice(simulate_cohort(4, 0), 8)):
        folder = tmp_path / "cases" / case.label if i < 6 else tmp_path / "scans"
        folder.mkdir(parents=True, exist_ok=True)
        write_nifti(folder / f"case-{i}.nii.gz", case.voxels, case.affine, "int16")
        write_nifti(folder / f"case-{i}_mask.nii.gz", case.mask, case.affine, "uint8")
    ours = ("--mapper", "nearest-median", "--features", "brightness")
    model = tmp_path / "model"
    _medfs("adapt", "--support", tmp_path / "cases", "--out", model, "--no-cache", *ours)
    rows = _medfs("predict", model, tmp_path / "scans", "--no-cache").splitlines()
    assert len(rows) == 3
    used = json.loads((model / "report.json").read_text())["components"]
    assert used["features"] == ["brightness-1"]
    assert used["mapper"].startswith("nearest-median")


def _medfs(*arguments: object) -> str:
    done = subprocess.run([MEDFS, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
