"""NIfTI files become RAS volumes, and what they claim is checked before it is believed."""

import gzip
import hashlib
import itertools
import tempfile
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans import read_nifti, write_nifti

ORIENTATIONS = [
    "".join(pair[flip] for pair, flip in zip(axes, flips, strict=True))
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for flips in itertools.product((0, 1), repeat=3)
]
AFFINE = np.array([[0.5, 0, 0, -10], [0, 0.7, 0, 20], [0, 0, 2, 5], [0, 0, 0, 1.0]])


@pytest.fixture
def voxels():
    return np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def save(path, voxels, affine=AFFINE, **fields):
    image = nibabel.Nifti1Image(voxels, affine)
    image.to_filename(path)
    if fields:
        raw = bytearray(path.read_bytes())
        header = nibabel.Nifti1Header(bytes(raw[:348]), check=False)
        for name, value in fields.items():
            header[name] = value
        raw[:348] = header.binaryblock
        path.write_bytes(raw)
    return path


@contextmanager
def peak_memory():
    """Largest memory held at once in the block, in bytes, as the only item of a list."""
    peak = []
    tracemalloc.start()
    try:
        yield peak
    finally:
        peak.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


@pytest.mark.parametrize(("code", "bits"), [(1536, 128), (1, 1), (9999, 8), (0, 8)])
def test_unknown_number_types_are_refused(tmp_path, voxels, code, bits):
    with pytest.raises(ScanReadError, match=f"{code} "):
        read_nifti(save(tmp_path / "a.nii", voxels, datatype=code, bitpix=bits))


def test_all_48_orientations_are_tested():
    assert len(set(ORIENTATIONS)) == 48


@settings(deadline=None, max_examples=60)
@given(
    codes=st.sampled_from(ORIENTATIONS),
    tilt=st.tuples(*[st.floats(-20, 20)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 8)] * 3),
    shape=st.tuples(*[st.integers(2, 5)] * 3),
    lean=st.floats(-0.3, 0.3),
)
def test_every_orientation_equals_nibabels_closest_canonical(codes, tilt, spacing, shape, lean):
    start = nibabel.orientations.inv_ornt_aff(
        nibabel.orientations.axcodes2ornt(tuple(codes)), shape
    )
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", tilt, degrees=True).as_matrix()
    turn[:3, 2] += lean * turn[:3, 1]  # as with a tilted gantry
    affine = turn @ np.linalg.inv(start) @ np.diag([*spacing, 1])
    voxels = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nii"
        nibabel.Nifti1Image(voxels, affine).to_filename(path)
        expected = nibabel.as_closest_canonical(nibabel.load(path))
        volume = read_nifti(path)
        np.testing.assert_array_equal(volume.voxels[0], np.asarray(expected.dataobj))
    assert min(volume.voxels[0].strides) > 0  # torch takes no others
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-9)
    assert nibabel.aff2axcodes(volume.affine) == ("R", "A", "S")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a ü 日.NII.GZ"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_number_type_is_kept_without_scaling(tmp_path, voxels, name, dtype):
    write_nifti(tmp_path / name, voxels, AFFINE, dtype)
    volume = read_nifti(tmp_path / name)
    assert volume.voxels.dtype == dtype
    assert volume.voxels.flags.writeable
    assert min(volume.voxels[0].strides) > 0
    assert (volume.modality, volume.unit) == (None, "arbitrary")
    np.testing.assert_array_equal(volume.voxels[0], voxels)
    np.testing.assert_allclose(volume.affine, AFFINE, rtol=1e-6)
    assert volume.provenance.files == (name,)
    assert volume.provenance.skipped == volume.provenance.notes == ()
    assert volume.provenance.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()


def test_big_endian_nifti2_and_pairs(tmp_path, voxels):
    header = nibabel.Nifti2Header(endianness=">")
    header.set_data_dtype(np.int16)
    big = nibabel.Nifti2Image(voxels, AFFINE, header)
    big.to_filename(tmp_path / "big.nii")
    nibabel.Nifti1Pair(voxels, AFFINE).to_filename(tmp_path / "pair.img")
    for name in ("big.nii", "pair.img", "pair.hdr"):
        volume = read_nifti(tmp_path / name)
        np.testing.assert_array_equal(volume.voxels[0], voxels)
        assert volume.voxels.dtype == np.dtype("=i2")
    assert volume.provenance.files == ("pair.hdr", "pair.img")


def test_scaling_is_applied(tmp_path, voxels):
    volume = read_nifti(save(tmp_path / "a.nii", voxels, scl_slope=0.5, scl_inter=-3))
    assert volume.voxels.dtype == np.float32
    np.testing.assert_allclose(volume.voxels[0], voxels * 0.5 - 3)


@pytest.mark.parametrize("slope", [0, np.nan, 1])
def test_no_scaling(tmp_path, voxels, slope):
    volume = read_nifti(save(tmp_path / "a.nii", voxels, scl_slope=slope, scl_inter=0))
    assert volume.voxels.dtype == np.int16


def test_micrometres_become_millimetres(tmp_path, voxels):
    volume = read_nifti(save(tmp_path / "a.nii", voxels, AFFINE, xyzt_units=3))
    np.testing.assert_allclose(volume.spacing, (0.0005, 0.0007, 0.002), rtol=1e-6)


def test_no_orientation_is_said(tmp_path, voxels):
    volume = read_nifti(save(tmp_path / "a.nii", voxels, sform_code=0, qform_code=0))
    assert [name for name, _ in volume.provenance.notes] == ["orientation"]
    np.testing.assert_allclose(volume.affine, np.diag([0.5, 0.7, 2, 1]), rtol=1e-6)


def test_qform_alone(tmp_path, voxels):
    image = nibabel.Nifti1Image(voxels, None)
    image.set_qform(AFFINE, code=1)
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii").affine, AFFINE, atol=1e-6)


def test_forms_may_differ_in_origin_and_rotation(tmp_path, voxels):
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("z", 10, degrees=True).as_matrix()
    image = nibabel.Nifti1Image(voxels, None)
    image.set_qform(AFFINE, code=1)
    image.set_sform(turned @ AFFINE, code=2)
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii").affine, turned @ AFFINE, atol=1e-5)


@pytest.mark.parametrize(
    ("sform", "words"),
    [
        (AFFINE @ np.diag([2, 1, 1, 1]), "1 × 0.7 × 2 mm"),
        (AFFINE @ np.diag([-1, 1, 1, 1]), "mirror"),
    ],
)
def test_forms_that_contradict_are_refused(tmp_path, voxels, sform, words):
    image = nibabel.Nifti1Image(voxels, None)
    image.set_qform(AFFINE, code=1)
    image.set_sform(sform, code=1)
    image.header["pixdim"][1:4] = (0.5, 0.7, 2)
    image.to_filename(tmp_path / "a.nii")
    with pytest.raises(GeometryError, match=words):
        read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize("column", [(0, 0, 0), (0, 0.7, 0), (0.2, 0.7, 0), (np.nan, 0, 0)])
def test_degenerate_affines_are_refused(tmp_path, voxels, column):
    affine = AFFINE.copy()
    affine[:3, 0] = column
    path = save(tmp_path / "a.nii", voxels, qform_code=0, srow_x=affine[0], srow_y=affine[1])
    with pytest.raises(GeometryError):
        read_nifti(path)


@pytest.mark.parametrize("degrees", [0.2, 18.5, 45])
def test_a_sheared_grid_is_kept_and_said(tmp_path, voxels, degrees):
    affine = AFFINE.copy()
    affine[:3, 2] = (0, 2 * np.sin(np.radians(degrees)), 2 * np.cos(np.radians(degrees)))
    volume = read_nifti(save(tmp_path / "a.nii", voxels, affine))
    np.testing.assert_array_equal(volume.voxels[0], voxels)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    ((name, why),) = volume.provenance.notes
    assert name == "grid"
    assert f"{degrees:.2f}°" in why


def test_rounded_direction_cosines_are_no_shear(tmp_path, voxels):
    affine = AFFINE.copy()
    affine[1, 2] = 2 * np.sin(np.radians(0.05))
    assert read_nifti(save(tmp_path / "a.nii", voxels, affine)).provenance.notes == ()


@pytest.mark.parametrize(
    "shape", [(4,), (4, 5), (4, 5, 1), (1, 4, 5), (4, 5, 6, 2), (4, 5, 6, 1, 3)]
)
def test_other_than_three_axes_is_refused_with_the_shape(tmp_path, shape):
    path = save(tmp_path / "a.nii", np.zeros(shape, np.int16))
    with pytest.raises(GeometryError, match=", ".join(map(str, shape))):
        read_nifti(path)


def test_trailing_axes_of_length_one_are_dropped(tmp_path, voxels):
    path = save(tmp_path / "a.nii", voxels[..., None, None])
    np.testing.assert_array_equal(read_nifti(path).voxels[0], voxels)


@pytest.mark.parametrize("dtype", [np.complex64, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])])
def test_other_than_real_numbers_is_refused(tmp_path, dtype):
    path = save(tmp_path / "a.nii", np.zeros((3, 3, 3), dtype))
    with pytest.raises(ScanReadError, match="plain real numbers"):
        read_nifti(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_are_counted(tmp_path, value):
    voxels = np.zeros((3, 3, 3), np.float32)
    voxels[0, 1, 1:] = value
    with pytest.raises(ScanReadError, match="2 of 27 voxels"):
        read_nifti(save(tmp_path / "a.nii", voxels))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_claims_terabytes_takes_no_memory(tmp_path, name):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float64)
    header["dim"][:4] = (3, 32767, 32767, 32767)
    header["vox_offset"], header["magic"], header["sform_code"] = 352, b"n+1", 1
    header["srow_x"], header["srow_y"], header["srow_z"] = AFFINE[:3]
    content = header.binaryblock + bytes(4)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with (
        peak_memory() as peak,
        pytest.raises(ScanReadError, match=r"declares 28144920769365\d bytes"),
    ):
        read_nifti(tmp_path / name)
    assert peak[0] < 1 << 24


def test_decompression_stops_at_the_declared_size(tmp_path, voxels):
    save(tmp_path / "a.nii", voxels)
    bomb = (tmp_path / "a.nii").read_bytes() + bytes(1 << 28)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(bomb, compresslevel=1))
    del bomb
    with (
        peak_memory() as peak,
        pytest.raises(ScanReadError, match="more voxels than its header declares"),
    ):
        read_nifti(tmp_path / "b.nii.gz")
    assert peak[0] < 1 << 24


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.97])
def test_truncated_files_are_refused(tmp_path, voxels, name, share):
    noise = np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype(np.int16)
    write_nifti(tmp_path / name, noise, AFFINE, np.int16)
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(ScanReadError):
        read_nifti(tmp_path / name)


@pytest.mark.parametrize("place", [-1, -6])
def test_damaged_checksum_or_length_is_refused(tmp_path, voxels, place):
    write_nifti(tmp_path / "a.nii.gz", voxels, AFFINE, np.int16)
    raw = bytearray((tmp_path / "a.nii.gz").read_bytes())
    raw[place] ^= 1
    (tmp_path / "a.nii.gz").write_bytes(raw)
    with pytest.raises(ScanReadError, match="checksum"):
        read_nifti(tmp_path / "a.nii.gz")


@settings(deadline=None, max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_of_compressed_data_changes_a_voxel(place, bit):
    voxels = np.random.default_rng(1).integers(0, 99, (12, 11, 10)).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nii.gz"
        write_nifti(path, voxels, AFFINE, np.int16)
        raw = bytearray(path.read_bytes())
        raw[int(place * len(raw))] ^= 1 << bit
        path.write_bytes(raw)
        try:
            found = read_nifti(path).voxels[0]
        except ScanReadError:
            return  # fields of the gzip header that mean nothing may change
        np.testing.assert_array_equal(found, voxels)


def packed_in(members, content):
    cuts = np.linspace(0, len(content), members + 1).astype(int)
    return b"".join(gzip.compress(content[a:b]) for a, b in itertools.pairwise(cuts))


@pytest.mark.parametrize("members", [2, 7, 500])
@pytest.mark.parametrize("padding", [0, 300, 4000])
def test_several_gzip_members_are_one_file(tmp_path, members, padding):
    voxels = np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype(np.int16)
    plain = save(tmp_path / "a.nii", voxels).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(packed_in(members, plain) + bytes(padding))
    np.testing.assert_array_equal(read_nifti(tmp_path / "b.nii.gz").voxels[0], voxels)


@pytest.mark.parametrize("tail", [b"garbage", bytes(9) + b"x", b"\x1f\x8b"])
def test_what_follows_the_compressed_data_must_be_zeros(tmp_path, voxels, tail):
    plain = save(tmp_path / "a.nii", voxels).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(plain) + tail)
    with pytest.raises(ScanReadError):
        read_nifti(tmp_path / "b.nii.gz")


@pytest.mark.parametrize("codes", ["RAS", "SAR", "ASR", "LAS", "RAI", "IPL"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_voxels_are_held_once_and_in_the_order_of_the_file(tmp_path, name, codes):
    voxels = np.random.default_rng(0).integers(0, 9, (150, 120, 90)).astype(np.int16)
    axes = nibabel.orientations.axcodes2ornt(tuple(codes))
    affine = np.linalg.inv(nibabel.orientations.inv_ornt_aff(axes, voxels.shape))
    save(tmp_path / name, voxels, affine)
    size = (tmp_path / name).stat().st_size + (voxels.nbytes if name.endswith("gz") else 0)
    with peak_memory() as peak:
        volume = read_nifti(tmp_path / name)
    assert peak[0] < size + (3 << 19)
    assert volume.provenance.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    steps = np.array([2, 300, 36000])  # bytes from voxel to voxel along the axes of the file
    assert volume.voxels[0].strides == tuple(steps[np.argsort(axes[:, 0])])


def test_scaling_takes_one_slab_of_float64(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 9, (300, 300, 90)).astype(np.int16)
    path = save(tmp_path / "a.nii", voxels, scl_slope=0.1, scl_inter=-1)
    with peak_memory() as peak:
        volume = read_nifti(path)
    assert peak[0] < voxels.nbytes * 3 + (5 << 20)
    expected = (voxels.astype(np.float64) * np.float64(np.float32(0.1)) - 1).astype(np.float32)
    np.testing.assert_array_equal(volume.voxels[0], expected)


def test_huge_but_finite_voxels_are_read(tmp_path):
    voxels = np.full((9, 9, 9), np.finfo(np.float32).max)
    np.testing.assert_array_equal(read_nifti(save(tmp_path / "a.nii", voxels)).voxels[0], voxels)


def test_voxels_that_begin_anywhere_are_aligned_in_memory(tmp_path, voxels):
    raw = bytearray(save(tmp_path / "a.nii", voxels, vox_offset=353).read_bytes())
    (tmp_path / "a.nii").write_bytes(raw[:352] + b"\0" + raw[352:])
    volume = read_nifti(tmp_path / "a.nii")
    assert volume.voxels.flags.aligned
    np.testing.assert_array_equal(volume.voxels[0], voxels)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("content", [b"hello", b"\x1f\x8b garbage", b"PK\x03\x04" + bytes(999)])
def test_other_content_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScanReadError):
        read_nifti(tmp_path / name)


def test_name_and_compression_must_agree(tmp_path, voxels):
    write_nifti(tmp_path / "a.nii", voxels, AFFINE, np.int16)
    (tmp_path / "b.nii.gz").write_bytes((tmp_path / "a.nii").read_bytes())
    with pytest.raises(ScanReadError, match="not compressed, unlike its name says"):
        read_nifti(tmp_path / "b.nii.gz")
