"""A folder of slices becomes the volume that its headers describe, or is refused by name."""

import hashlib
import itertools
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfs.core.errors import GeometryError, MissingExtraError, ScanReadError
from medfs.scans import read_series
from medfs.scans.options import ReadOptions


def lps_points(shape, orientation, spacing, origin, step):
    """World RAS position of every stored voxel (slice, row, column), from PS3.3 C.7.6.2.1.1."""
    k, r, c = np.meshgrid(*map(np.arange, shape), indexing="ij")
    orientation = np.asarray(orientation, float)
    points = (
        np.asarray(origin, float)
        + c[..., None] * orientation[:3] * spacing[1]
        + r[..., None] * orientation[3:] * spacing[0]
        + k[..., None] * np.asarray(step, float)
    )
    return points * [-1, -1, 1]


def value_at(volume, points):
    """Voxel values of the volume at world points, and how far the points are from voxel centres."""
    homogeneous = np.c_[points.reshape(-1, 3), np.ones(points.size // 3)]
    index = (homogeneous @ np.linalg.inv(volume.affine).T)[:, :3]
    nearest = np.rint(index).astype(int)
    return volume.voxels[0][tuple(nearest.T)].reshape(points.shape[:-1]), np.abs(index - nearest)


def test_axial_series_is_read_in_ras_and_hounsfield_units(tmp_path, write_series, random_stack):
    stored = random_stack()
    write_series(tmp_path / "s", stored)
    volume = read_series(tmp_path / "s")
    assert volume.voxels.shape == (1, 6, 4, 5)
    assert volume.voxels.dtype == np.int16
    assert (volume.modality, volume.unit) == ("CT", "HU")
    np.testing.assert_allclose(volume.spacing, (0.5, 0.7, 2.0))
    values, off = value_at(
        volume,
        lps_points(stored.shape, (1, 0, 0, 0, 1, 0), (0.7, 0.5), (-10, 20, 5), (0, 0, 2)),
    )
    np.testing.assert_array_equal(values, stored.astype(int) - 1024)
    assert off.max() < 1e-6


@settings(deadline=None, max_examples=30)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5), st.floats(0.2, 8)),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    shape=st.tuples(st.integers(3, 6), st.integers(2, 5), st.integers(2, 5)),
    seed=st.integers(0, 1000),
    upwards=st.booleans(),
)
def test_any_geometry_keeps_every_voxel_in_its_place(
    write_series, random_stack, angles, spacing, origin, shape, seed, upwards
):
    axes = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    orientation = np.r_[axes[:, 0], axes[:, 1]]
    step = axes[:, 2] * spacing[2] * (1 if upwards else -1)
    stored = random_stack(*shape, seed=seed)
    names = [f"{n:08x}" for n in np.random.default_rng(seed).permutation(shape[0])]
    grid = {
        "orientation": orientation,
        "spacing": spacing[:2],
        "origin": origin,
        "step": step,
    }
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder) / "s", stored, names=names, **grid)
        volume = read_series(Path(folder) / "s")
    values, off = value_at(volume, lps_points(shape, **grid))
    np.testing.assert_array_equal(values, stored.astype(int) - 1024)
    assert off.max() < 1e-3
    assert nibabel.aff2axcodes(volume.affine) == ("R", "A", "S")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_file_names_and_instance_numbers_do_not_matter(tmp_path, write_series, random_stack, order):
    stored = random_stack(slices=3)
    expected_folder, folder = tmp_path / "a", tmp_path / "b"
    write_series(expected_folder, stored)

    def number(ds, k):
        ds.InstanceNumber = order[k]

    write_series(folder, stored, names=[f"{n}.dcm" for n in order], edit=number)
    one, two = read_series(expected_folder), read_series(folder)
    np.testing.assert_array_equal(one.voxels, two.voxels)
    np.testing.assert_allclose(one.affine, two.affine)


def test_provenance_lists_slices_in_order_and_what_was_skipped(
    tmp_path, write_series, random_stack
):
    write_series(tmp_path / "s", random_stack(slices=3), names=["c", "a", "b"])
    (tmp_path / "s" / "notes.txt").write_text("hello")
    (tmp_path / "s" / ".hidden").write_text("hello")
    found = read_series(tmp_path / "s").provenance
    assert found.files == ("c", "a", "b")
    content = b"".join((tmp_path / "s" / n).read_bytes() for n in found.files)
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert found.skipped == (("notes.txt", "not a DICOM file"),)


def test_slopes_differ_per_slice(tmp_path, write_series, random_stack):
    stored = random_stack()

    def scale(ds, k):
        ds.RescaleSlope, ds.RescaleIntercept = str(1 + k / 2), "0.5"

    write_series(tmp_path / "s", stored, edit=scale)
    voxels = read_series(tmp_path / "s").voxels
    assert voxels.dtype == np.float32
    expected = stored * (1 + np.arange(5) / 2)[:, None, None] + 0.5
    np.testing.assert_allclose(np.sort(voxels.ravel()), np.sort(expected.ravel()))


@pytest.mark.parametrize(
    ("tag", "value", "unit"),
    [
        ("RescaleType", "US", "arbitrary"),
        ("RescaleType", "HU", "HU"),
        ("Modality", "MR", "arbitrary"),
    ],
)
def test_unit_is_hounsfield_only_where_the_file_says_so(
    tmp_path, write_series, random_stack, tag, value, unit
):
    write_series(tmp_path / "s", random_stack(), edit=lambda ds, k: setattr(ds, tag, value))
    assert read_series(tmp_path / "s").unit == unit


def test_bits_above_those_stored_are_cleared(tmp_path, write_series, random_stack):
    stored = np.abs(random_stack()) % 4096

    def twelve_bits(ds, k):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation, ds.RescaleIntercept = 12, 11, 0, "0"
        ds.PixelData = (stored[k].astype("<u2") | 0xF000).tobytes()

    write_series(tmp_path / "s", stored, edit=twelve_bits)
    volume = read_series(tmp_path / "s")
    np.testing.assert_array_equal(np.sort(volume.voxels.ravel()), np.sort(stored.ravel()))


def drop(*tags):
    def edit(ds, k):
        for tag in tags:
            delattr(ds, tag)

    return edit


def put(k_wanted=None, **values):
    def edit(ds, k):
        if k_wanted is None or k == k_wanted:
            for tag, value in values.items():
                setattr(ds, tag, value)

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (drop("ImagePositionPatient"), "ImagePositionPatient is missing"),
        (drop("ImageOrientationPatient"), "ImageOrientationPatient is missing"),
        (drop("PixelSpacing"), "PixelSpacing is missing"),
        (drop("SeriesInstanceUID"), "SeriesInstanceUID is missing"),
        (put(1, SeriesInstanceUID="1.2.3", SeriesDescription="other"), "not evenly spaced"),
        (put(2, ImageOrientationPatient=[1, 0, 0, 0, 0, -1]), "not lie parallel"),
        (put(2, PixelSpacing=[0.7, 0.6]), "PixelSpacing is [0.7, 0.5]"),
        (put(2, PixelSpacing=[0, 0]), "PixelSpacing"),
        (put(PixelSpacing=[0, 0]), "not positive"),
        (put(2, Rows=2, Columns=12), "Rows is 4 in I000 and 2 in I002"),
        (put(2, FrameOfReferenceUID="1.2.3"), "one coordinate system"),
        (put(2, ImagePositionPatient=[-10, 20, 7]), "at the same position"),
        (put(2, ImagePositionPatient=[-10, 20, 9.05]), "not evenly spaced"),
        (put(2, ImagePositionPatient=[-9, 20, 9]), "1.00 mm away"),
        (put(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "localizer"),
        (put(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "mosaic"),
        (put(NumberOfFrames=2), "declares several frames"),
        (put(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), "Secondary Capture"),
        (put(SamplesPerPixel=3, PhotometricInterpretation="RGB"), "colour"),
        (put(ImageOrientationPatient=[2, 0, 0, 0, 1, 0]), "not of length 1"),
        (put(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "at right angles"),
        (put(1, SOPInstanceUID="1.2.9", AcquisitionTime="12"), None),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path, write_series, random_stack, edit, words):
    write_series(tmp_path / "s", random_stack(), edit=edit)
    if words is None:
        read_series(tmp_path / "s")
        return
    with pytest.raises(GeometryError) as caught:
        read_series(tmp_path / "s")
    assert words in str(caught.value)


def test_missing_slice_is_refused_with_the_gap(tmp_path, write_series, random_stack):
    write_series(tmp_path / "s", random_stack())
    (tmp_path / "s" / "I002").unlink()
    with pytest.raises(GeometryError, match=r"I001 and I003 lie 4\.000 mm where 2\.000 mm"):
        read_series(tmp_path / "s")


def test_the_same_image_twice_is_named(tmp_path, write_series, random_stack):
    write_series(tmp_path / "s", random_stack())
    (tmp_path / "s" / "copy").write_bytes((tmp_path / "s" / "I002").read_bytes())
    with pytest.raises(GeometryError, match="I002 and copy are the same image"):
        read_series(tmp_path / "s")


def test_four_dimensions_are_named_with_what_differs(tmp_path, write_series, random_stack):
    for echo in (1, 2):
        write_series(
            tmp_path / "s",
            random_stack(),
            names=[f"{echo}-{k}" for k in range(5)],
            edit=lambda ds, k, echo=echo: put(EchoTime=echo, SOPInstanceUID=f"1.2.{echo}.{k + 1}")(
                ds, k
            ),
        )
    with pytest.raises(GeometryError, match=r"4D.* 2 volumes: EchoTime 1, EchoTime 2"):
        read_series(tmp_path / "s")


def test_gantry_tilt_is_refused_with_its_angle_where_that_is_asked_for(
    tmp_path, write_series, random_stack
):
    step = (0, 2 * np.tan(np.radians(12)), 2.0)
    write_series(tmp_path / "s", random_stack(), step=step)
    with pytest.raises(GeometryError, match=r"leans by 12\.00°"):
        read_series(tmp_path / "s", ReadOptions(tilt="refuse"))


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_slices(tmp_path, write_series, random_stack, count):
    write_series(tmp_path / "s", random_stack(slices=count))
    with pytest.raises(GeometryError, match=f"It has {count} image"):
        read_series(tmp_path / "s")


def test_truncated_pixels_name_the_file(tmp_path, write_series, random_stack):
    write_series(tmp_path / "s", random_stack())
    whole = (tmp_path / "s" / "I003").read_bytes()
    (tmp_path / "s" / "I003").write_bytes(whole[:-20])
    with pytest.raises(ScanReadError, match="I003"):
        read_series(tmp_path / "s")


def test_declared_size_is_checked_before_decoding(tmp_path, write_series, random_stack):
    write_series(tmp_path / "s", random_stack(), edit=put(Rows=65535, Columns=65535))
    with pytest.raises(ScanReadError, match="declares 8589672450 bytes and holds 48"):
        read_series(tmp_path / "s")


def test_missing_codec_names_the_extra(tmp_path, write_series, random_stack, monkeypatch):
    from pydicom.uid import JPEGLSLossless

    write_series(tmp_path / "s", random_stack())

    class Absent:
        is_available = False

    from pydicom.encaps import encapsulate

    def compressed(ds, k):
        ds.file_meta.TransferSyntaxUID = JPEGLSLossless
        ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
        ds["PixelData"].is_undefined_length = True

    write_series(tmp_path / "s", random_stack(), edit=compressed)
    monkeypatch.setattr("pydicom.pixels.decoders.base.get_decoder", lambda uid: Absent())
    with pytest.raises(MissingExtraError, match=r"pip install 'medfs\[codecs\]'"):
        read_series(tmp_path / "s")


def test_damaged_compressed_pixels_are_named(tmp_path, write_series, random_stack):
    from pydicom.encaps import encapsulate
    from pydicom.uid import RLELossless

    def compressed(ds, k):
        ds.file_meta.TransferSyntaxUID = RLELossless
        ds.PixelData = encapsulate([b"\x01\x00\x00\x00" * 20])
        ds["PixelData"].is_undefined_length = True

    write_series(tmp_path / "s", random_stack(), edit=compressed)
    with pytest.raises(ScanReadError, match="I000"):
        read_series(tmp_path / "s")


def test_folder_without_images(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ScanReadError, match=r"1 other file\(s\)"):
        read_series(tmp_path)


def test_values_beyond_int16_become_float32(tmp_path, write_series):
    stored = np.zeros((3, 4, 4), np.int16)
    stored[1, 2, 3] = -1

    def unsigned(ds, k):
        ds.PixelRepresentation, ds.RescaleIntercept = 0, "0"

    write_series(tmp_path / "s", stored, edit=unsigned)
    voxels = read_series(tmp_path / "s").voxels
    assert voxels.dtype == np.float32
    assert voxels.max() == 65535
