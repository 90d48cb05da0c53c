"""One entry for every kind of mask: dispatch, folders, and what is no mask."""

import os
import subprocess
import sys

import numpy as np
import pytest

from medfs.core.errors import ScanReadError
from medfs.scans import write_nifti
from medfs.scans.masks import Roi, read_mask, read_roi

SHAPE = (7, 6, 5)
AFFINE = np.array([[-0.5, 0, 0, 10], [0, -0.7, 0, 20], [0, 0, 2.0, -5], [0, 0, 0, 1]])


@pytest.fixture
def like(scan_on):
    return scan_on(SHAPE, AFFINE)


@pytest.fixture
def cuboid():
    mask = np.zeros(SHAPE, bool)
    mask[2:5, 1:4, 1:3] = True
    return mask


def outline():
    """The cuboid's contours, halfway between voxels."""
    index = np.array([[1.5, 0.5], [4.5, 0.5], [4.5, 3.5], [1.5, 3.5]])
    levels = [np.column_stack([index, np.full(4, k), np.ones(4)]) for k in (1, 2)]
    return [(level @ AFFINE.T)[:, :3] for level in levels]


@pytest.fixture
def folder(tmp_path, cuboid, make_seg, write_structures):
    """The same cuboid in every kind of file; DICOM ones under names that say nothing."""
    write_nifti(tmp_path / "m.nii.gz", cuboid, AFFINE, np.uint8)
    (tmp_path / "seg").mkdir()
    make_seg(cuboid[np.newaxis], AFFINE).save_as(tmp_path / "seg" / "IM1")
    (tmp_path / "structures").mkdir()
    write_structures(tmp_path / "structures" / "1.2.3", {"lesion": outline()})
    return tmp_path


@pytest.mark.parametrize("name", ["m.nii.gz", "seg", "seg/IM1", "structures", "structures/1.2.3"])
def test_one_region_in_every_kind_of_file(folder, like, cuboid, name):
    roi = read_roi(folder / name, like)
    assert isinstance(roi, Roi)
    assert roi.mask.dtype == bool
    np.testing.assert_array_equal(roi.mask, cuboid)
    np.testing.assert_array_equal(read_mask(folder / name, like), cuboid)


def test_other_files_and_folders_beside_do_not_matter(
    folder, like, cuboid, write_series, random_stack
):
    write_series(folder / "seg", random_stack())
    (folder / "seg" / "notes.txt").write_text("1")
    (folder / "seg" / ".hidden").write_bytes((folder / "structures" / "1.2.3").read_bytes())
    (folder / "seg" / "deeper").mkdir()
    (folder / "seg" / "deeper" / "IM2").write_bytes((folder / "seg" / "IM1").read_bytes())
    np.testing.assert_array_equal(read_mask(folder / "seg", like), cuboid)


def test_two_masks_in_a_folder_are_not_chosen_from(folder, like):
    (folder / "structures" / "IM1").write_bytes((folder / "seg" / "IM1").read_bytes())
    with pytest.raises(ScanReadError, match=r"holds several masks.*1\.2\.3, IM1"):
        read_mask(folder / "structures", like)


def test_a_folder_without_a_mask(tmp_path, like, write_series, random_stack):
    write_series(tmp_path / "series", random_stack())
    with pytest.raises(ScanReadError, match="None of its files is a DICOM SEG or RTSTRUCT"):
        read_mask(tmp_path / "series", like)


@pytest.mark.parametrize(
    "content", [b"", b"NRRD0004", b"\x08\x00\x05\x00CS", bytes(128) + b"DICM" + bytes(40)]
)
def test_other_files_are_refused(tmp_path, like, content):
    (tmp_path / "m.dcm").write_bytes(content)
    with pytest.raises(ScanReadError, match=r"m\.dcm"):
        read_mask(tmp_path / "m.dcm", like)


def test_an_image_is_no_mask(tmp_path, like, write_series, random_stack):
    write_series(tmp_path / "series", random_stack())
    with pytest.raises(ScanReadError, match="is not a mask that can be read"):
        read_mask(tmp_path / "series" / "I000", like)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path, like):
    os.mkfifo(tmp_path / "m")
    with pytest.raises(ScanReadError, match="is not a mask"):
        read_mask(tmp_path / "m", like)


@pytest.mark.parametrize("name", ["absent.nii", "absent", "a\0b.dcm", "x" * 400])
def test_missing(tmp_path, like, name):
    with pytest.raises(ScanReadError, match="leave the mask out"):
        read_mask(tmp_path / name, like)


def test_importing_is_light():
    script = "import medfs.scans.masks, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"highdicom", "torch", "monai"} & set(run.stdout.split())


@pytest.mark.shared
def test_a_real_region_is_the_same_from_every_kind_of_file(
    shared, tmp_path, make_seg, write_structures
):
    measure = pytest.importorskip("skimage.measure")
    from medfs.scans import read_volume

    root = shared / "cohorts/lung_nodules"
    path = sorted((root / "images").glob("*.nii.gz"))[0]
    scan = read_volume(path)
    mask = read_mask(root / "masks" / path.name, scan)
    make_seg(mask[np.newaxis], scan.affine).save_as(tmp_path / "seg")
    np.testing.assert_array_equal(read_mask(tmp_path / "seg", scan), mask)
    contours = []
    for k in np.flatnonzero(mask.any(axis=(0, 1))):
        for line in measure.find_contours(np.pad(mask[..., k], 1).astype(float), 0.5):
            flat = line[:-1] - 1
            index = np.column_stack([flat, np.full(len(flat), k), np.ones(len(flat))])
            contours.append((index @ scan.affine.T)[:, :3])
    write_structures(tmp_path / "structures", {"nodule": contours}, kind="CLOSEDPLANAR_XOR")
    np.testing.assert_array_equal(read_mask(tmp_path / "structures", scan), mask)
