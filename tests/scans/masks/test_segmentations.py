"""DICOM SEG: the voxels come back as highdicom wrote them, and bad files are refused."""

import highdicom as hd
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from medfs.core.errors import GeometryError, MedfsError, ScanReadError
from medfs.scans.masks import read_mask, read_roi

SHAPE = (7, 5, 6)  # 35 pixels a frame: frames of single bits begin within a byte
AXIAL = np.array([[-0.5, 0, 0, 10], [0, -0.7, 0, 20], [0, 0, 2.0, -5], [0, 0, 0, 1]])
DOWN = np.array([[-0.5, 0, 0, 10], [0, -0.7, 0, 20], [0, 0, -2.0, -5], [0, 0, 0, 1]])
CORONAL = np.array([[-0.5, 0, 0, 10], [0, 0, 3.0, 20], [0, -0.6, 0, -5], [0, 0, 0, 1]])
OBLIQUE = np.array([[-0.48, 0.14, 0, 1], [-0.14, -0.48, 0, 2], [0, 0, 1.5, 3], [0, 0, 0, 1]])
TILTED = np.array([[-0.5, 0, 0, 10], [0, -0.7, 0.8, 20], [0, 0, 2.0, -5], [0, 0, 0, 1]])
GRIDS = {"axial": AXIAL, "down": DOWN, "coronal": CORONAL, "oblique": OBLIQUE, "tilted": TILTED}


def region(seed=0, empty=(0, 3)):
    mask = np.random.default_rng(seed).random(SHAPE) < 0.4
    mask[2, 2, :] = True
    mask[..., list(empty)] = False
    return mask


def places(mask, affine):
    """Where the voxels inside lie, in mm, in an order that depends on nothing else."""
    found = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    return found[np.lexsort(found.round(2).T)]


@pytest.mark.parametrize("omit", [True, False])
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("grid", GRIDS)
def test_round_trip(tmp_path, make_seg, scan_on, grid, kind, omit):
    make_seg(region()[np.newaxis], GRIDS[grid], kind=kind, omit=omit).save_as(tmp_path / "m.dcm")
    roi = read_roi(tmp_path / "m.dcm", scan_on(SHAPE, GRIDS[grid]))
    np.testing.assert_array_equal(roi.mask, region())
    assert roi.notes == ()


@given(seed=st.integers(0, 99), empty=st.sets(st.integers(0, 5), max_size=5))
def test_any_region_round_trips(tmp_path_factory, make_seg, scan_on, seed, empty):
    path = tmp_path_factory.mktemp("seg") / "m"
    mask = region(seed, tuple(empty))
    make_seg(mask[np.newaxis], TILTED).save_as(path)
    np.testing.assert_array_equal(read_mask(path, scan_on(SHAPE, TILTED)), mask)


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
@pytest.mark.parametrize("grid", ["axial", "down", "coronal", "oblique"])
def test_parity_with_highdicom(tmp_path, make_seg, scan_on, grid, kind):
    masks = np.stack([region(1), region(2, (0, 1))])
    ds = make_seg(masks, GRIDS[grid], kind=kind, labels=("a", "b"))
    ds.save_as(tmp_path / "m.dcm")
    for number in (1, 2):
        theirs = hd.seg.segread(tmp_path / "m.dcm").get_volume(
            segment_numbers=[number], rescale_fractional=True
        )
        inside = theirs.array[..., 0] >= 0.5
        ours = read_mask(tmp_path / "m.dcm", scan_on(SHAPE, GRIDS[grid]), label=number)
        affine = np.diag([-1.0, -1, 1, 1]) @ theirs.affine
        np.testing.assert_allclose(places(ours, GRIDS[grid]), places(inside, affine), atol=1e-3)


def test_fractions_from_one_half_on_are_inside(tmp_path, make_seg, scan_on):
    fractions = np.random.default_rng(3).random((1, *SHAPE))
    fractions[0, 0, 0, :2] = 0.5, 0.49
    make_seg(fractions, AXIAL, kind="FRACTIONAL", max_fractional_value=200, omit=False).save_as(
        tmp_path / "m.dcm"
    )
    mask = read_mask(tmp_path / "m.dcm", scan_on(SHAPE, AXIAL))
    np.testing.assert_array_equal(mask, np.rint(fractions[0] * 200) >= 100)
    assert mask[0, 0, :2].tolist() == [True, False]


@pytest.mark.parametrize("syntax", [RLELossless, DeflatedExplicitVRLittleEndian])
def test_compressed(tmp_path, make_seg, scan_on, syntax):
    kind = "FRACTIONAL" if syntax == RLELossless else "BINARY"
    ds = make_seg(region()[np.newaxis], AXIAL, kind=kind)
    if syntax == RLELossless:
        ds = make_seg(region()[np.newaxis], AXIAL, kind=kind, transfer_syntax_uid=syntax)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(tmp_path / "m.dcm")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.dcm", scan_on(SHAPE, AXIAL)), region())


@pytest.mark.parametrize("stated", [True, False])
def test_frames_in_any_order(tmp_path, make_seg, scan_on, stated):
    ds = make_seg(region()[np.newaxis], TILTED, kind="FRACTIONAL")
    order = np.random.default_rng(0).permutation(ds.NumberOfFrames)
    frames = np.frombuffer(ds.PixelData, np.uint8)[: ds.NumberOfFrames * 35].reshape(-1, 35)
    ds.PixelData = frames[order].tobytes() + b"\0" * (frames.size % 2)
    groups = list(ds.PerFrameFunctionalGroupsSequence)
    ds.PerFrameFunctionalGroupsSequence = [groups[i] for i in order]
    if not stated:
        del ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices
    ds.save_as(tmp_path / "m.dcm")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.dcm", scan_on(SHAPE, TILTED)), region())


def test_a_segment_of_one_slice_is_as_thick_as_stated(tmp_path, make_seg, scan_on):
    mask = region(0, (0, 1, 2, 4, 5))
    ds = make_seg(mask[np.newaxis], AXIAL)
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    del measures.SpacingBetweenSlices
    ds.save_as(tmp_path / "m.dcm")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.dcm", scan_on(SHAPE, AXIAL)), mask)
    del measures.SliceThickness
    ds.save_as(tmp_path / "m.dcm")
    with pytest.raises(GeometryError, match="depth of the only slice"):
        read_mask(tmp_path / "m.dcm", scan_on(SHAPE, AXIAL))


def test_the_scan_may_have_another_grid(tmp_path, make_seg, scan_on):
    make_seg(region()[np.newaxis], TILTED).save_as(tmp_path / "m.dcm")
    finer = TILTED @ np.diag([1, 1, 0.5, 1])
    finer[:3, 3] -= TILTED[:3, 2] / 4
    roi = read_roi(tmp_path / "m.dcm", scan_on((7, 5, 12), finer))
    np.testing.assert_array_equal(roi.mask, region().repeat(2, axis=2))
    assert [subject for subject, _ in roi.notes] == ["mask"]


@pytest.mark.parametrize("label", [2, "2", "Tumour", " tumour"])
def test_one_segment_of_several(tmp_path, make_seg, scan_on, label):
    masks = np.stack([region(1), region(2)])
    make_seg(masks, AXIAL, labels=("liver", "tumour")).save_as(tmp_path / "m.dcm")
    roi = read_roi(tmp_path / "m.dcm", scan_on(SHAPE, AXIAL), label=label)
    np.testing.assert_array_equal(roi.mask, masks[1])
    assert roi.notes == (("segment", "2"), ("segment name", "tumour"))


@pytest.mark.parametrize(
    ("label", "words"),
    [(None, "several labels"), (3, "no label '3'"), ("lesion", "fits several"), ("x", "no label")],
)
def test_unclear_choices_list_the_segments(tmp_path, make_seg, scan_on, label, words):
    masks = np.stack([region(1), region(2)])
    make_seg(masks, AXIAL, labels=("lesion", "LESION")).save_as(tmp_path / "m.dcm")
    with pytest.raises(ScanReadError, match=words) as caught:
        read_mask(tmp_path / "m.dcm", scan_on(SHAPE, AXIAL), label=label)
    assert "m.dcm holds 2 segments: 1 (lesion), 2 (LESION)" in str(caught.value)


def test_an_empty_segment(tmp_path, make_seg, scan_on):
    masks = np.stack([region(1), np.zeros(SHAPE, bool)])
    for omit in (True, False):
        make_seg(masks, AXIAL, labels=("a", "b"), omit=omit).save_as(tmp_path / "m.dcm")
        with pytest.raises(ScanReadError, match="the mask is empty"):
            read_mask(tmp_path / "m.dcm", scan_on(SHAPE, AXIAL), label="b")


def _position(ds, index, axis, shift):
    where = ds.PerFrameFunctionalGroupsSequence[index].PlanePositionSequence[0]
    position = list(where.ImagePositionPatient)
    position[axis] += shift
    where.ImagePositionPatient = position


def _repeat(ds):
    first, second = ds.PerFrameFunctionalGroupsSequence[:2]
    second.PlanePositionSequence = first.PlanePositionSequence


def _set(ds, keyword, value):
    setattr(ds, keyword, value)


def _shared(ds, sequence):
    return ds.SharedFunctionalGroupsSequence[0][sequence].value[0]


BAD = {
    "uneven": (lambda ds: _position(ds, 2, 2, 0.7), GeometryError, "not evenly spaced"),
    "sideways": (lambda ds: _position(ds, 2, 0, 0.7), GeometryError, "one straight, even stack"),
    "twice": (lambda ds: _repeat(ds), GeometryError, "4 frames in 3 slices"),
    "spacing": (
        lambda ds: _set(_shared(ds, "PixelMeasuresSequence"), "SpacingBetweenSlices", 1.7),
        GeometryError,
        "not multiples of 1.7 mm",
    ),
    "pixels": (
        lambda ds: _set(_shared(ds, "PixelMeasuresSequence"), "PixelSpacing", [0, 1]),
        GeometryError,
        "zero or absurd",
    ),
    "cosines": (
        lambda ds: _set(
            _shared(ds, "PlaneOrientationSequence"), "ImageOrientationPatient", [1, 0, 0, 1, 1, 0]
        ),
        GeometryError,
        "direction cosines",
    ),
    "unplaced": (
        lambda ds: ds.PerFrameFunctionalGroupsSequence[1].pop("PlanePositionSequence"),
        GeometryError,
        "lacks ImagePositionPatient in 1 of 4 frames",
    ),
    "frames": (lambda ds: _set(ds, "NumberOfFrames", 5), ScanReadError, "declares 5 frame"),
    "rows": (lambda ds: _set(ds, "Rows", 60000), ScanReadError, "frames have 60000 × 7|take"),
    "bytes": (lambda ds: _set(ds, "PixelData", b"\0\0"), ScanReadError, "there are 2"),
    "no pixels": (lambda ds: ds.pop("PixelData"), ScanReadError, "holds no pixels"),
    "kind": (lambda ds: _set(ds, "SegmentationType", "X"), ScanReadError, "its type is X"),
    "segments": (lambda ds: _set(ds, "SegmentSequence", []), ScanReadError, "names no segment"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused(tmp_path, make_seg, scan_on, case):
    edit, kind, words = BAD[case]
    make_seg(region()[np.newaxis], AXIAL).save_as(tmp_path / "m.dcm")
    ds = dcmread(tmp_path / "m.dcm")
    edit(ds)
    ds.save_as(tmp_path / "m.dcm")
    with pytest.raises(kind, match=words):
        read_mask(tmp_path / "m.dcm", scan_on(SHAPE, AXIAL))


@pytest.mark.parametrize("syntax", [None, DeflatedExplicitVRLittleEndian])
def test_truncated_anywhere_is_an_error_of_medfs(tmp_path, make_seg, scan_on, syntax):
    ds = make_seg(region()[np.newaxis], AXIAL)
    if syntax:
        ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(tmp_path / "m.dcm")
    content = (tmp_path / "m.dcm").read_bytes()
    for end in range(0, len(content) - 4, 97):
        (tmp_path / "m.dcm").write_bytes(content[:end])
        with pytest.raises(MedfsError):
            read_mask(tmp_path / "m.dcm", scan_on(SHAPE, AXIAL))


def test_a_deflated_bomb_is_refused(tmp_path, make_seg, scan_on, monkeypatch):
    monkeypatch.setattr("medfs.scans.dicom.headers._MAX_INFLATED", 1 << 22)
    ds = make_seg(region()[np.newaxis], AXIAL)
    ds.PixelData = bytes(1 << 23)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(tmp_path / "m.dcm")
    with pytest.raises(ScanReadError, match="inflates without end"):
        read_mask(tmp_path / "m.dcm", scan_on(SHAPE, AXIAL))
