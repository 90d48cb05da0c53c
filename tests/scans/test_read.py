"""One entry for every kind of scan, and masks that must lie on their scan's grid."""

import numpy as np
import pytest

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans import read_mask, read_nifti, read_volume, write_nifti

AFFINE = np.diag([-0.5, 0.7, 2.0, 1.0])


@pytest.fixture
def scan(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 99, (6, 5, 4)).astype(np.int16)
    write_nifti(tmp_path / "scan.nii.gz", voxels, AFFINE, np.int16)
    return read_nifti(tmp_path / "scan.nii.gz")


def region(dtype=np.uint8, value=1):
    mask = np.zeros((6, 5, 4), dtype)
    mask[0, 1:3, 2] = value
    return mask


def test_dispatch(tmp_path, scan, write_series, random_stack):
    write_series(tmp_path / "series", random_stack())
    assert read_volume(tmp_path / "scan.nii.gz").provenance.reader == "nifti"
    assert read_volume(tmp_path / "series").provenance.reader == "dicom"


def test_one_dicom_file_is_not_a_volume(tmp_path, write_series, random_stack):
    write_series(tmp_path / "series", random_stack())
    with pytest.raises(GeometryError, match="1 image"):
        read_volume(tmp_path / "series" / "I000")


@pytest.mark.parametrize("name", ["absent.nii.gz", "absent", "a\0b.nii", "x" * 400 + ".nii"])
def test_missing_path(tmp_path, name):
    with pytest.raises(ScanReadError, match="does not exist"):
        read_volume(tmp_path / name)


def test_other_files_are_refused_with_what_is_readable(tmp_path):
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0004")
    with pytest.raises(ScanReadError, match=r"Readable are \.nii"):
        read_volume(tmp_path / "scan.nrrd")


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 1), (np.uint8, 255), (np.float32, 0.5)])
def test_mask_follows_its_scan_to_ras(tmp_path, scan, dtype, value):
    write_nifti(tmp_path / "m.nii.gz", region(dtype, value), AFFINE, dtype)
    mask = read_mask(tmp_path / "m.nii.gz", scan)
    assert mask.dtype == bool
    assert mask.shape == scan.voxels.shape[1:]
    np.testing.assert_array_equal(mask, region()[::-1] != 0)  # the first axis pointed left


def test_mask_stored_in_another_axis_order_is_the_same_mask(tmp_path, scan):
    write_nifti(tmp_path / "a.nii", region(), AFFINE, np.uint8)
    flipped = AFFINE.copy()
    flipped[0, 0], flipped[0, 3] = 0.5, -0.5 * 5
    write_nifti(tmp_path / "b.nii", region()[::-1], flipped, np.uint8)
    a, b = (read_mask(tmp_path / n, scan) for n in ("a.nii", "b.nii"))
    np.testing.assert_array_equal(a, b)


def test_empty_mask(tmp_path, scan):
    write_nifti(tmp_path / "m.nii", region(value=0), AFFINE, np.uint8)
    with pytest.raises(ScanReadError, match="the mask is empty"):
        read_mask(tmp_path / "m.nii", scan)


def test_several_labels_are_listed(tmp_path, scan):
    mask = region()
    mask[3] = 7
    write_nifti(tmp_path / "m.nii", mask, AFFINE, np.uint8)
    with pytest.raises(ScanReadError, match="2 values besides 0: 1, 7"):
        read_mask(tmp_path / "m.nii", scan)


def test_missing_mask(tmp_path, scan):
    with pytest.raises(ScanReadError, match="leave the mask out"):
        read_mask(tmp_path / "absent.nii", scan)


@pytest.mark.shared
def test_real_masks_lie_on_their_scans(shared):
    root = shared / "cohorts/lung_nodules"
    for path in sorted((root / "images").glob("*.nii.gz"))[:10]:
        assert read_mask(root / "masks" / path.name, read_volume(path)).any()
