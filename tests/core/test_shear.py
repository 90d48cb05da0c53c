"""Sheared grids come to right angles without moving anything in the world."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfs.core.errors import GeometryError
from medfs.core.shear import is_sheared, shear_degrees, straighten

AXES = list(itertools.permutations(range(3)))
leans = st.tuples(st.floats(-25, 25), st.floats(-25, 25)).filter(lambda d: max(map(abs, d)) > 0.5)


def sheared(degrees, spacing=(0.7, 0.7, 2.5), turn=(0, 0, 0), axes=(0, 1, 2)):
    """Slices (axes 0 and 1 before they are permuted) stacked along a leaning third axis."""
    affine = np.eye(4)
    affine[:2, 2] = np.tan(np.radians(degrees))
    affine[:3, :3] = affine[:3, :3] * spacing
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, :3] = affine[:3, axes]
    affine[:3, 3] = (3, -5, 11)
    return affine


def places(shape, affine):
    """Where the voxels lie, in mm: (x, y, z, 3)."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def middle(shape, affine):
    return affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3]


@given(leans, st.tuples(*[st.floats(-30, 30)] * 3), st.sampled_from(AXES))
def test_a_linear_image_stays_the_same_function_of_place(degrees, turn, axes):
    affine = sheared(degrees, turn=turn, axes=axes)
    slope = np.array([1.5, -2, 0.7])
    shape = tuple(np.array((9, 8, 6))[list(axes)])
    voxels = places(shape, affine) @ slope + 400
    straight, turned = straighten(voxels, affine, order=1, fill=-1e6)
    assert shear_degrees(turned) < 1e-6
    expected = places(straight.shape, turned) @ slope + 400
    index = (places(straight.shape, turned) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    inside = ((index > -1e-6) & (index < np.array(shape) - 1 + 1e-6)).all(axis=-1)
    assert inside.sum() > 0.6 * voxels.size
    np.testing.assert_allclose(straight[inside], expected[inside], atol=2e-3)


def test_every_voxel_of_the_scan_finds_a_place():
    affine = sheared((0, 18.5))
    voxels = np.ones((30, 31, 12), np.float32)
    for order in (0, 1):
        straight, turned = straighten(voxels, affine, order=order, fill=0)
        assert straight.sum() == voxels.sum()
        volumes = [abs(np.linalg.det(a[:3, :3])) for a in (affine, turned)]
        assert volumes[0] == pytest.approx(volumes[1])


@given(st.sampled_from(AXES), st.tuples(*[st.floats(-30, 30)] * 3), st.sampled_from([0, 1]))
def test_an_unsheared_grid_comes_back_as_it_is(axes, turn, order):
    affine = sheared((0, 0), turn=turn, axes=axes)
    voxels = np.random.default_rng(0).normal(size=(5, 6, 7))
    straight, turned = straighten(voxels, affine, order=order, fill=0)
    assert straight is voxels
    assert turned is affine


@given(leans, st.tuples(*[st.floats(-30, 30)] * 3), st.sampled_from(AXES))
def test_a_ball_in_the_world_stays_a_ball(degrees, turn, axes):
    affine = sheared(degrees, (0.8, 0.8, 1.5), turn, axes)
    shape = tuple(np.array((60, 60, 30))[list(axes)])
    centre = middle(shape, affine) + np.array([1.1, -0.6, 0.4])
    ball = np.linalg.norm(places(shape, affine) - centre, axis=-1) <= 12
    straight, turned = straighten(ball, affine, order=0, fill=0)
    assert straight.dtype == bool
    assert straight.sum() == ball.sum()  # slices are moved, and a voxel has the same volume
    points = places(straight.shape, turned)[straight]
    np.testing.assert_allclose(points.mean(axis=0), centre, atol=0.2)
    spread = np.linalg.eigvalsh(np.cov(points.T))
    np.testing.assert_allclose(spread, 12**2 / 5, rtol=0.04)
    again = np.linalg.norm(places(straight.shape, turned) - centre, axis=-1) <= 12
    assert 2 * (again & straight).sum() / (again.sum() + straight.sum()) > 0.96


@given(st.integers(0, 2), st.integers(0, 9))
def test_a_mirrored_scan_gives_the_mirrored_result(axis, seed):
    affine = sheared((4, -17))
    voxels = np.random.default_rng(seed).normal(size=(7, 8, 5)).astype(np.float32)
    flip = np.eye(4)
    flip[axis, axis], flip[axis, 3] = -1, voxels.shape[axis] - 1
    one, here = straighten(voxels, affine, order=1, fill=0)
    other, there = straighten(np.flip(voxels, axis), affine @ flip, order=1, fill=0)
    np.testing.assert_allclose(np.flip(other, axis), one, atol=1e-5)
    np.testing.assert_allclose(middle(one.shape, here), middle(voxels.shape, affine), atol=1e-9)
    np.testing.assert_allclose(middle(other.shape, there), middle(one.shape, here), atol=1e-9)


@given(st.sampled_from(AXES), st.sampled_from(["C", "F"]))
def test_order_of_axes_and_memory_do_not_matter(axes, memory):
    voxels = np.random.default_rng(0).normal(size=(7, 9, 5)).astype(np.float32)
    expected, place = straighten(voxels, sheared((0, -12)), order=1, fill=-3)
    moved = np.asarray(voxels.transpose(axes), order=memory)
    straight, turned = straighten(moved, sheared((0, -12), axes=axes), order=1, fill=-3)
    np.testing.assert_array_equal(straight, expected.transpose(axes))
    np.testing.assert_allclose(turned[:3, :3], place[:3, axes], atol=1e-12)
    assert min(straight.strides) > 0


def test_slices_are_not_mixed_although_two_other_axes_are_at_right_angles_too():
    # A lean towards y leaves x at right angles to z as well: the plane with square pixels is kept.
    voxels = np.zeros((12, 12, 5), np.float32)
    voxels[:, :, 2] = 7
    straight, _ = straighten(voxels, sheared((0, 20)), order=1, fill=0)
    assert straight.shape[2] == 5
    assert not straight[:, :, [0, 1, 3, 4]].any()
    assert straight[:, :, 2].sum() == voxels.sum()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
def test_the_nearest_voxel_keeps_its_number_type(dtype):
    voxels = np.arange(6 * 7 * 4).reshape(6, 7, 4).astype(dtype)
    straight, _ = straighten(voxels, sheared((9, 0)), order=0, fill=0)
    assert straight.dtype == dtype
    assert set(straight.ravel()) == set(voxels.ravel())


@given(st.floats(0.11, 44))
def test_degrees_of_a_tilted_gantry(angle):
    affine = sheared((0, angle))
    assert shear_degrees(affine) == pytest.approx(angle, abs=1e-6)
    assert is_sheared(affine)
    assert not is_sheared(affine, tolerance=45)
    assert not is_sheared(sheared((0, 0.05)))


def test_a_grid_without_any_right_angle_is_refused():
    affine = sheared((10, 0))
    affine[:3, 1] += 0.2 * affine[:3, 0]
    with pytest.raises(GeometryError, match="more than one direction"):
        straighten(np.zeros((4, 4, 4)), affine, order=1, fill=0)


def read_tilted(folder):
    """Voxels (column, row, slice) and affine of an axial series, its slices sorted along z."""
    import pydicom

    slices = [pydicom.dcmread(p) for p in folder.iterdir() if p.name.startswith("I")]
    rows = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(*rows)
    slices.sort(key=lambda s: float(np.array(s.ImagePositionPatient, float) @ normal))
    first, last = (np.array(s.ImagePositionPatient, float) for s in (slices[0], slices[-1]))
    affine = np.eye(4)
    affine[:3, 0] = rows[0] * float(slices[0].PixelSpacing[1])
    affine[:3, 1] = rows[1] * float(slices[0].PixelSpacing[0])
    affine[:3, 2] = (last - first) / (len(slices) - 1)
    affine[:3, 3] = first
    pixels = np.stack([s.pixel_array.T for s in slices], axis=-1)
    scale = float(slices[0].RescaleSlope), float(slices[0].RescaleIntercept)
    return (pixels * scale[0] + scale[1]).astype(np.int16), np.diag([-1, -1, 1, 1.0]) @ affine


@pytest.mark.shared
def test_a_real_tilted_gantry_equals_dcm2niixs_correction(shared_data):
    nibabel = pytest.importorskip("nibabel")
    folder = shared_data / "dicom/ct_gantry_tilt"
    voxels, affine = read_tilted(folder / "series")
    assert shear_degrees(affine) == pytest.approx(18.5, abs=0.01)
    began = time.perf_counter()
    ours, turned = straighten(voxels, affine, order=1, fill=int(voxels.min()))
    assert time.perf_counter() - began < 10  # a second on an idle machine
    steps = np.linalg.norm(turned[:3, :3], axis=0)
    # 2.5 mm of table between slices; dcm2niix writes 2.371, which is that times cos², not cos.
    np.testing.assert_allclose(steps, (0.48242, 0.48242, 2.5 * np.cos(np.radians(18.5))), atol=1e-3)
    image = nibabel.load(folder / "reference/1F_STEREOTAXIS_Head_201_Tilt_1.nii.gz")
    theirs = np.asarray(image.dataobj)[:, ::-1].astype(np.float32)
    assert ours.shape == theirs.shape
    for k in range(ours.shape[2]):
        one, other = ours[:, :, k], theirs[:, :, k]
        both = (one > -1000) & (other > -1000)
        assert np.corrcoef(one[both], other[both])[0, 1] > 0.997, k
