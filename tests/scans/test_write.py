"""What is written can be read by others, and is the same bytes every time."""

import nibabel
import numpy as np
import pytest

from medfs.core.errors import OutputError, UsageError
from medfs.scans import write_nifti

AFFINE = np.array([[0, -0.5, 0, 3], [0.7, 0, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nibabel_reads_it_back(tmp_path, name):
    voxels = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    write_nifti(tmp_path / name, voxels, AFFINE, np.float32)
    image = nibabel.load(tmp_path / name)
    np.testing.assert_array_equal(np.asarray(image.dataobj), voxels)
    for form, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(form, AFFINE, atol=1e-6)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_same_volume_same_bytes(tmp_path):
    voxels = np.zeros((3, 4, 5), np.int16)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, voxels, AFFINE, np.int16)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz"]


def test_refusals(tmp_path):
    with pytest.raises(UsageError):
        write_nifti(tmp_path / "a.nrrd", np.zeros((3, 3, 3)), AFFINE, np.int16)
    with pytest.raises(UsageError):
        write_nifti(tmp_path / "a.nii", np.zeros((1, 3, 3, 3)), AFFINE, np.int16)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        write_nifti(tmp_path / "file" / "a.nii", np.zeros((3, 3, 3)), AFFINE, np.int16)
