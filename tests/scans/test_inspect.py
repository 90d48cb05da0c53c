"""Inspection reads every case, keeps their order, and finds copies across classes."""

import warnings

import numpy as np
import pytest

from medfs.core.cases import Case, Cohort
from medfs.scans import inspect_case, inspect_cohort, load_cohort, write_nifti


def scan(path, seed, mask=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 99, (4, 5, 6))
    write_nifti(path, voxels, np.diag([1, 1, 2.0, 1]), np.int16)
    if mask:
        write_nifti(
            path.with_name(path.name.replace(".nii", "_mask.nii")),
            voxels > 50,
            np.diag([1, 1, 2.0, 1]),
            np.uint8,
        )
    return voxels


def test_findings(tmp_path):
    voxels = scan(tmp_path / "a/1.nii.gz", 1, mask=True)
    scan(tmp_path / "b/2.nii.gz", 2)
    (tmp_path / "b/3.nii.gz").write_bytes(b"")
    seen = []
    found = inspect_cohort(load_cohort(tmp_path), lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [f.case_id for f in found] == ["1", "2", "3"]
    assert [f.ok for f in found] == [True, True, False]
    assert (found[0].shape, found[0].spacing) == ((4, 5, 6), (1.0, 1.0, 2.0))
    assert found[0].mask_voxels == (voxels > 50).sum()
    assert found[1].mask_voxels is None
    assert found[2].error is not None
    assert found[2].error.startswith("3: 3.nii.gz is empty")


def test_copy_in_another_class_is_an_error_of_both(tmp_path):
    scan(tmp_path / "a/1.nii.gz", 1)
    scan(tmp_path / "b/2.nii.gz", 1)
    scan(tmp_path / "b/3.nii.gz", 3)
    found = inspect_cohort(load_cohort(tmp_path))
    assert [f.ok for f in found] == [False, False, True]
    assert "byte for byte those of case 2" in (found[0].error or "")


def test_copy_of_another_patient_is_a_warning(tmp_path):
    scan(tmp_path / "a/1.nii.gz", 1)
    scan(tmp_path / "a/2.nii.gz", 1)
    scan(tmp_path / "b/3.nii.gz", 3)
    found = inspect_cohort(load_cohort(tmp_path))
    assert all(f.ok for f in found)
    assert "belongs to another patient: 2" in found[0].warnings[0]


def test_one_scan_with_two_regions_of_a_patient_is_fine(tmp_path):
    scan(tmp_path / "1.nii", 1)
    cases = tuple(Case(c, "p", tmp_path / "1.nii", label="a") for c in ("x", "y"))
    assert [f.warnings for f in inspect_cohort(Cohort(cases))] == [(), ()]


def test_warnings(tmp_path, write_series, random_stack):
    write_nifti(tmp_path / "1.nii", np.full((3, 3, 3), 7), np.eye(4), np.int16)
    assert inspect_case(Case("1", "1", tmp_path / "1.nii")).warnings == (
        "all voxels have the same value (7)",
    )
    write_series(tmp_path / "s", random_stack())
    (tmp_path / "s" / "notes.txt").write_text("x")
    finding = inspect_case(Case("s", "s", tmp_path / "s"))
    assert finding.warnings == ("notes.txt: not a DICOM file",)
    assert (finding.modality, finding.unit) == ("CT", "HU")


@pytest.mark.parametrize("name", ["absent.nii", "absent"])
def test_missing_scan_is_a_failure_of_its_case_only(tmp_path, name):
    finding = inspect_case(Case("x", "x", tmp_path / name))
    assert not finding.ok
    assert finding.error is not None
    assert finding.error.startswith("x: ")


def test_reading_in_threads_leaves_the_warning_filters_alone(tmp_path):
    for n in range(6):
        scan(tmp_path / f"a/{n}.nii", n)
    before = list(warnings.filters)
    inspect_cohort(load_cohort(tmp_path))
    assert list(warnings.filters) == before
