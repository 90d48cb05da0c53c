"""What the demo writes is what was simulated."""

import csv

import numpy as np
import pytest

from medfs.scans import read_mask, read_volume
from medfs.synthesis.cohorts import simulate_cohort
from medfs.workflows import demo


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_PER_CLASS", 3)
    monkeypatch.setattr(demo, "_SUPPORT_PER_CLASS", 2)
    return tmp_path, demo._write_cohort(tmp_path, seed=5)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_scans_and_masks_are_those_of_the_simulation(written):
    folder, _ = written
    for case, row in zip(simulate_cohort(3, 5), rows(folder / "all.csv"), strict=True):
        scan = read_volume(folder / row["image"])
        np.testing.assert_array_equal(scan.voxels[0], case.voxels)
        np.testing.assert_allclose(scan.affine, case.affine, atol=1e-9)
        np.testing.assert_array_equal(read_mask(folder / row["mask"], scan), case.mask)
        assert (scan.modality, scan.unit) == ("CT", "HU")
        assert (row["case"], row["patient"], row["label"]) == (
            case.case_id,
            case.patient_id,
            case.label,
        )


def test_labels_of_held_out_scans_are_kept_apart(written):
    folder, truth = written
    held_out, support = rows(folder / "scans.csv"), rows(folder / "cases.csv")
    assert {row["case"] for row in held_out} == set(truth)
    assert all("label" not in row and row["image"].startswith("scans/") for row in held_out)
    assert len(support) == 4
    assert all(row["image"].startswith(f"cases/{row['label']}/") for row in support)
    assert not {row["patient"] for row in held_out} & {row["patient"] for row in support}


def test_a_seed_gives_the_same_files(written, tmp_path_factory):
    folder, again = written[0], tmp_path_factory.mktemp("again")
    demo._write_cohort(again, seed=5)
    files = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    assert len(files) > 50
    for file in files:
        assert (folder / file).read_bytes() == (again / file).read_bytes()
