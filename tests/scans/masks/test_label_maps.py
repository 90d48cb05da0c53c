"""NIfTI label maps: numbers, names from the sidecar, and what is refused."""

import json

import numpy as np
import pytest

from medfs.core.errors import ScanReadError
from medfs.scans import write_nifti
from medfs.scans.masks import read_mask, read_roi
from medfs.scans.read import read_volume

AFFINE = np.diag([-0.5, 0.7, 2.0, 1.0])


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 4, (6, 5, 4)).astype(np.uint8)


@pytest.fixture
def case(tmp_path, labels, scan_on):
    """A label map of 1, 2 and 3 (named liver, tumour and 1) and its scan."""
    write_nifti(tmp_path / "m.nii.gz", labels, AFFINE, np.uint8)
    names = {"0": "background", "1": "liver", "2": "Tumour", "3": "1"}
    (tmp_path / "m.json").write_text(json.dumps({"labels": names}))
    return tmp_path / "m.nii.gz", scan_on(labels.shape, AFFINE)


@pytest.mark.parametrize(
    ("label", "number"),
    [(1, 1), (3, 3), ("2", 2), (" 2 ", 2), ("liver", 1), ("tumour", 2), ("TUMOUR ", 2), ("1", 3)],
)
def test_numbers_and_names(case, labels, label, number):
    path, like = case
    roi = read_roi(path, like, label=label)
    np.testing.assert_array_equal(roi.mask, labels == number)
    assert roi.notes[0][0] == "label"
    assert roi.notes[0][1].startswith(str(number))


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_the_number_type_does_not_matter(tmp_path, labels, scan_on, dtype):
    write_nifti(tmp_path / "m.nii", labels, AFFINE, dtype)
    mask = read_mask(tmp_path / "m.nii", scan_on(labels.shape, AFFINE), label=2)
    np.testing.assert_array_equal(mask, labels == 2)


@pytest.mark.parametrize("label", ["spleen", 4, 0, "7", "-1", "", "²"])
def test_a_label_that_is_not_there_lists_what_is(case, label):
    path, like = case
    with pytest.raises(ScanReadError, match="the mask holds no label") as caught:
        read_mask(path, like, label=label)
    assert "3 values besides 0: 1 (liver), 2 (Tumour), 3 (1)" in str(caught.value)


def test_no_label_for_several_lists_them(case):
    with pytest.raises(ScanReadError, match="holds several labels") as caught:
        read_mask(*case)
    assert "2 (Tumour)" in str(caught.value)


def test_a_name_without_names_lists_the_numbers(case):
    path, like = case
    (path.parent / "m.json").unlink()
    with pytest.raises(
        ScanReadError, match=r"3 values besides 0 \(and no names: m\.json"
    ) as caught:
        read_mask(path, like, label="liver")
    assert ": 1, 2, 3" in str(caught.value)


def test_one_name_for_two_numbers_is_ambiguous(case, labels):
    path, like = case
    (path.parent / "m.json").write_text('{"labels": {"1": "lesion", "2": "LESION"}}')
    with pytest.raises(ScanReadError, match="fits several"):
        read_mask(path, like, label="lesion")
    np.testing.assert_array_equal(read_mask(path, like, label=2), labels == 2)


@pytest.mark.parametrize(
    "content",
    ["{", "\xff", '{"labels": [1]}', '{"labels": {"liver": 1}}', "[" * 100_000, " " * (1 << 21)],
)
def test_unusable_names_are_refused_and_numbers_still_work(case, labels, content):
    path, like = case
    (path.parent / "m.json").write_text(content, encoding="latin-1")
    with pytest.raises(ScanReadError, match=r"m\.json"):
        read_mask(path, like, label="liver")


def test_names_do_not_matter_for_a_mask_of_one_number(tmp_path, labels, scan_on):
    write_nifti(tmp_path / "m.nii", labels == 2, AFFINE, np.uint8)
    (tmp_path / "m.json").write_text("{")
    roi = read_roi(tmp_path / "m.nii", scan_on(labels.shape, AFFINE))
    np.testing.assert_array_equal(roi.mask, labels == 2)
    assert roi.notes == ()


@pytest.mark.shared
def test_real_label_maps_split_into_their_numbers(shared):
    path = sorted((shared / "volumes/head_label_maps").glob("training_seg_*.nii.gz"))[0]
    whole = read_volume(path)
    numbers = [n for n in np.unique(whole.voxels) if n != 0][:4]
    assert len(numbers) > 1
    for number in numbers:
        mask = read_mask(path, whole, label=int(number))
        np.testing.assert_array_equal(mask, whole.voxels[0] == number)
