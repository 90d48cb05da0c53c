"""The one interpolation, against MONAI's and on what is known exactly."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.preprocess.resample import axis_weights, resample

SHAPE = (12, 10, 9)
centres = st.tuples(*(st.floats(0, n - 1) for n in SHAPE)).map(np.array)
fine_steps = st.tuples(*[st.floats(0.05, 1.0)] * 3).map(np.array)
any_steps = st.tuples(*[st.floats(0.05, 6.0)] * 3).map(np.array)


def _random(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def _positions(centre, step, shape):
    return [
        c + (np.arange(n) - (n - 1) / 2) * s for c, s, n in zip(centre, step, shape, strict=True)
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("step", [(1.0, 1.0, 1.0), (0.5, 0.8, 0.3), (0.9, 0.33, 1.0)])
def test_finer_grids_are_those_of_monai(step):
    from monai.data import MetaTensor
    from monai.transforms import SpatialResample

    voxels, centre, shape = _random(), np.array([5.3, 4.1, 4.4]), (14, 16, 11)
    start = [p[0] for p in _positions(centre, step, shape)]
    affine = np.diag([*step, 1.0])
    affine[:3, 3] = start
    theirs = SpatialResample(mode="bilinear", padding_mode="border", align_corners=True)(
        MetaTensor(torch.from_numpy(voxels)[None], affine=torch.eye(4)),
        dst_affine=torch.from_numpy(affine),
        spatial_size=shape,
    )
    ours = resample(voxels, centre, np.array(step), shape)
    np.testing.assert_allclose(ours, theirs.numpy()[0], atol=1e-4)


@given(centres, fine_steps, st.integers(0, 99))
def test_linear_ramps_are_exact_where_the_scan_is(centre, step, seed):
    slopes = np.random.default_rng(seed).normal(size=3)
    i, j, k = np.indices(SHAPE)
    ramp = (slopes[0] * i + slopes[1] * j + slopes[2] * k).astype(np.float32)
    where = _positions(centre, step, (5, 6, 7))
    clamped = [np.clip(w, 0, n - 1) for w, n in zip(where, SHAPE, strict=True)]
    x, y, z = np.meshgrid(*clamped, indexing="ij")
    expected = slopes[0] * x + slopes[1] * y + slopes[2] * z
    np.testing.assert_allclose(resample(ramp, centre, step, (5, 6, 7)), expected, atol=1e-4)


@given(centres, any_steps, st.floats(-2000, 2000))
def test_a_constant_stays_constant(centre, step, value):
    found = resample(np.full(SHAPE, value, np.float32), centre, step, (4, 5, 6))
    np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-3)


@given(centres, any_steps, st.booleans())
def test_weights_sum_to_one_and_are_never_negative(centre, step, repeat_edge):
    for n, c, s in zip(SHAPE, centre, step, strict=True):
        weights, used = axis_weights(n, c, s, 7, repeat_edge=repeat_edge)
        assert (weights >= 0).all()
        assert 0 <= used.start < used.stop <= n
        sums = weights.sum(axis=1)
        assert np.all(np.isclose(sums, 1) | (np.isclose(sums, 0) & (not repeat_edge)))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_coarser_grid_keeps_the_mean(factor):
    n = 12 * factor
    voxels = np.random.default_rng(1).normal(size=(n, n, n)).astype(np.float32) + 3
    centre = np.full(3, (n - 1) / 2)
    found = resample(voxels, centre, np.full(3, float(factor)), (12, 12, 12))
    assert found.mean() == pytest.approx(voxels.mean(), abs=0.02)
    assert found.std() < voxels.std() / factor


def test_a_single_bright_voxel_is_not_skipped_by_a_coarser_grid():
    voxels = np.zeros((20, 20, 20), np.float32)
    voxels[7, 8, 9] = 64
    found = resample(voxels, np.full(3, 9.5), np.full(3, 4.0), (5, 5, 5))
    assert found.sum() * 4**3 == pytest.approx(64, rel=0.01)


def test_beyond_the_scan_is_its_edge_or_nothing():
    voxels = np.full((4, 4, 4), 7.0, np.float32)
    centre = np.full(3, 1.5)
    assert (resample(voxels, centre, np.ones(3), (10, 10, 10)) == 7).all()
    found = resample(voxels, centre, np.ones(3), (10, 10, 10), repeat_edge=False)
    assert (found[3:7, 3:7, 3:7] == 7).all()
    assert found.sum() == 7 * 64


def test_values_are_clipped_before_they_are_mixed():
    voxels = np.zeros((9, 9, 9), np.float32)
    voxels[4, 4, 4] = 30_000
    found = resample(voxels, np.full(3, 4.5), np.ones(3), (1, 1, 1), clip=(-1000.0, 1000.0))
    assert found.max() == pytest.approx(125)


def test_whole_numbers_are_read_as_well():
    voxels = np.arange(64, dtype=np.int16).reshape(4, 4, 4)
    found = resample(voxels, np.full(3, 1.5), np.ones(3), (4, 4, 4))
    np.testing.assert_array_equal(found, voxels)
