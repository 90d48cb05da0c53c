"""DICOM that is written: others read the same voxels at the same place, and the same bytes."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import UID
from scipy.spatial.transform import Rotation

from medfs.core.errors import GeometryError, OutputError, ScanReadError, UsageError
from medfs.scans import read_volume
from medfs.scans.grids import to_ras
from medfs.scans.write_dicom import write_ct_series
from medfs.scans.write_seg import write_segmentation

SETTINGS = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
AFFINE = np.array([[0, -0.5, 0, 3], [0.7, 0, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1.0]])
LPS = np.diag([-1.0, -1, 1, 1])


@st.composite
def affines(draw):
    """Axes in any direction, of either handedness; the third may lean as under a gantry tilt."""
    turn = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-180, 180)] * 3)), degrees=True)
    turn = draw(st.sampled_from([turn, Rotation.identity()])).as_matrix()
    spacing = draw(st.tuples(*[st.floats(0.2, 8)] * 3))
    signs = draw(st.tuples(*[st.sampled_from([1, -1])] * 3))
    affine = np.eye(4)
    affine[:3, :3] = turn[:, draw(st.permutations(range(3)))] * spacing * signs
    lean = draw(st.sampled_from([0, 0, 0.2])) * np.linalg.norm(affine[:3, 2])
    affine[:3, 2] += lean * affine[:3, 1] / np.linalg.norm(affine[:3, 1])
    affine[:3, 3] = draw(st.tuples(*[st.floats(-900, 900)] * 3))
    return affine


def volume(seed, shape=(5, 4, 3), low=-1024, high=3071):
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True).astype(np.int16)


def written(folder, voxels, affine, **texts):
    texts = {"patient": "p1", "description": "test"} | texts
    write_ct_series(folder, voxels, affine, **texts)
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def indices(ds, affine, at=(0, 1)):
    """Grid index of the pixel (row, column), by PS3.3 C.7.6.2.1.1 alone."""
    row, column = at
    along_columns, along_rows = np.reshape(ds.ImageOrientationPatient, (2, 3)).astype(float)
    between_rows, between_columns = map(float, ds.PixelSpacing)
    lps = np.array(ds.ImagePositionPatient, float)
    lps = lps + along_columns * between_columns * column + along_rows * between_rows * row
    return np.linalg.solve(affine, LPS @ [*lps, 1])[:3]


@SETTINGS
@given(affine=affines(), seed=st.integers(0, 9), wide=st.booleans())
def test_every_pixel_lies_where_the_affine_says(affine, seed, wide):
    voxels = volume(seed, low=-32768, high=32767) if wide else volume(seed)
    with tempfile.TemporaryDirectory() as folder:
        for k, ds in enumerate(written(Path(folder) / "s", voxels, affine)):
            hu = ds.pixel_array.astype(int) * int(ds.RescaleSlope) + int(ds.RescaleIntercept)
            for row, column in np.ndindex(hu.shape):
                found = indices(ds, affine, (row, column))
                np.testing.assert_allclose(found, np.rint(found), atol=1e-6)
                i, j, slice_index = np.rint(found).astype(int)
                assert slice_index == k
                assert hu[row, column] == voxels[i, j, k]


@SETTINGS
@given(affine=affines(), seed=st.integers(0, 9))
def test_reading_is_the_inverse(affine, seed):
    voxels = volume(seed)
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder) / "s", voxels, affine)
        volume_read = read_volume(Path(folder) / "s")
    expected, place = to_ras(voxels, affine)
    np.testing.assert_array_equal(volume_read.voxels[0], expected)
    np.testing.assert_allclose(volume_read.affine, place, atol=1e-6)
    assert (volume_read.modality, volume_read.unit) == ("CT", "HU")


def test_highdicom_places_series_and_region_alike(tmp_path):
    mask = np.zeros((5, 4, 6), bool)
    mask[1:4, 2:, 2:5] = True
    mask[2, 3, 3] = False
    series = written(tmp_path / "s", volume(0, mask.shape), AFFINE)
    write_segmentation(tmp_path / "m.dcm", mask, AFFINE, tmp_path / "s", label="région")
    image = highdicom.get_volume_from_series(series)
    region = highdicom.seg.segread(tmp_path / "m.dcm")
    drawn = region.get_volume(combine_segments=True).match_geometry(image)
    # Of each voxel that highdicom finds inside: its index in the mask that was given.
    inside = np.argwhere(drawn.array)
    to_mask = np.linalg.inv(AFFINE) @ LPS @ drawn.affine
    found = np.rint(inside @ to_mask[:3, :3].T + to_mask[:3, 3]).astype(int)
    assert set(map(tuple, found)) == set(map(tuple, np.argwhere(mask)))
    assert region.get_segment_description(1).segment_label == "région"
    assert region.StudyInstanceUID == series[0].StudyInstanceUID
    assert region.FrameOfReferenceUID == series[0].FrameOfReferenceUID
    referenced = region.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == series[0].SeriesInstanceUID


def test_screens_show_an_axial_scan_upright(tmp_path):
    ras = np.diag([0.7, 0.7, 2.0, 1])
    first, *_ = written(tmp_path / "s", volume(0), ras)
    assert list(first.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]


def test_same_input_same_bytes(tmp_path):
    mask = volume(1) > 0
    for name in ("a", "b"):
        written(tmp_path / name, volume(0), AFFINE)
        write_segmentation(tmp_path / f"{name}.dcm", mask, AFFINE, tmp_path / name, label="x")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.dcm", "b", "b.dcm"]


@pytest.mark.parametrize("other", ["seed", "patient", "description", "voxels", "affine"])
def test_other_input_other_uids(tmp_path, other):
    texts = {"patient": "p1", "description": "d1", "seed": "s1"}
    a = written(tmp_path / "a", volume(0), AFFINE, **texts)
    if other in texts:
        texts[other] += "x"
    shift = np.eye(4)
    shift[0, 3] = other == "affine"
    b = written(tmp_path / "b", volume(other == "voxels"), shift @ AFFINE, **texts)
    uids = [{ds[name].value for ds in a + b} for name in ("SeriesInstanceUID", "SOPInstanceUID")]
    assert [len(u) for u in uids] == [2, 6]
    assert all(UID(u).is_valid for u in uids[0] | uids[1])
    same_study = a[0].StudyInstanceUID == b[0].StudyInstanceUID
    assert same_study == (other not in ("seed", "patient"))


@pytest.mark.parametrize("text", ["", "a\\b", "a^b", "a\nb", "x" * 65, "a\x00"])
def test_text_that_dicom_cannot_hold(tmp_path, text):
    with pytest.raises(UsageError) as caught:
        written(tmp_path / "s", volume(0), AFFINE, patient=text)
    assert caught.value.why
    assert caught.value.todo
    with pytest.raises(UsageError):
        written(tmp_path / "s", volume(0), AFFINE, description=text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "voxels", [np.zeros((3, 3, 3), np.float32), np.zeros((1, 3, 3, 3), np.int16), volume(0)[:0]]
)
def test_what_is_no_ct_volume(tmp_path, voxels):
    with pytest.raises(UsageError):
        written(tmp_path / "s", voxels, AFFINE)


def test_a_skewed_image_or_an_unknown_place(tmp_path):
    skewed, unknown = AFFINE.copy(), AFFINE.copy()
    skewed[1, 1], unknown[0, 3] = 0.1, np.nan
    for affine in (skewed, unknown):
        with pytest.raises(GeometryError):
            written(tmp_path / "s", volume(0), affine)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_series_that_fails(tmp_path, monkeypatch):
    real, count = Path.write_bytes, []

    def full_disk(path, content):
        count.append(path)
        if len(count) == 3:
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        written(tmp_path / "s", volume(0), AFFINE)
    assert len(count) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_series_is_not_overwritten(tmp_path):
    written(tmp_path / "s", volume(0), AFFINE)
    with pytest.raises(OutputError):
        written(tmp_path / "s", volume(1), AFFINE)


def test_masks_that_do_not_belong_to_the_series(tmp_path):
    written(tmp_path / "s", volume(0), AFFINE)
    mask, path = np.ones((5, 4, 3), bool), tmp_path / "m.dcm"
    shift = np.eye(4)
    shift[2, 3] = 0.01
    for other, affine in ((mask, shift @ AFFINE), (mask[:, :, :2], AFFINE), (mask[1:], AFFINE)):
        with pytest.raises(GeometryError):
            write_segmentation(path, other, affine, tmp_path / "s", label="x")
    with pytest.raises(UsageError, match="empty"):
        write_segmentation(path, mask & False, AFFINE, tmp_path / "s", label="x")
    with pytest.raises(ScanReadError):
        write_segmentation(path, mask, AFFINE, tmp_path / "none", label="x")
    (tmp_path / "s" / "I0002.dcm").write_bytes(b"no DICOM")
    with pytest.raises(ScanReadError):
        write_segmentation(path, mask, AFFINE, tmp_path / "s", label="x")
    assert not path.exists()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy of dicom3tools is absent")
def test_dciodvfy_finds_no_error(tmp_path):
    written(tmp_path / "s", volume(0), AFFINE)
    write_segmentation(tmp_path / "m.dcm", volume(1) > 0, AFFINE, tmp_path / "s", label="x")
    for path in (tmp_path / "s" / "I0001.dcm", tmp_path / "m.dcm"):
        said = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True)
        assert "Error" not in said.stdout + said.stderr
