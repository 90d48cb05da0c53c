"""Finding a region without a mask."""

import numpy as np
import pytest

from medfs.core.errors import ScanReadError
from medfs.preprocess.regions import from_mask, half_maximum, otsu, whole


def _noisy(ball, shape, centre, radius, level=1000.0):
    noise = np.random.default_rng(0).normal(0, 20, shape)
    return (noise + level * ball(shape, centre, radius)).astype(np.float32)


def test_otsu_finds_the_bright_blob_in_the_middle(ball):
    found = otsu(_noisy(ball, (40, 42, 44), (20, 21, 22), 7))
    assert (found.mask == ball((40, 42, 44), (20, 21, 22), 7)).all()
    assert found.stride == (1, 1, 1)
    assert "no mask" in found.note


def test_otsu_prefers_the_middle_to_a_larger_blob_at_the_border(ball):
    shape = (60, 60, 60)
    voxels = _noisy(ball, shape, (30, 30, 30), 6) + 1000 * ball(shape, (4, 4, 4), 9)
    assert (otsu(voxels).mask == ball(shape, (30, 30, 30), 6)).all()


def test_otsu_on_a_large_scan_works_on_every_second_voxel_and_bounds_are_in_voxels(ball):
    region = otsu(_noisy(ball, (200, 60, 50), (100, 30, 25), 12))
    assert region.stride == (2, 1, 1)
    low, high = region.bounds()
    np.testing.assert_allclose(low, [87.5, 17.5, 12.5], atol=1.6)
    np.testing.assert_allclose(high, [112.5, 42.5, 37.5], atol=1.6)


def test_otsu_refuses_a_constant_scan():
    with pytest.raises(ScanReadError, match="same value"):
        otsu(np.full((9, 9, 9), 5, np.int16))


def test_otsu_finds_a_single_bright_voxel():
    voxels = np.zeros((20, 20, 20), np.float32)
    voxels[10, 10, 10] = 1
    assert otsu(voxels).mask.sum() == 1


def test_half_maximum_of_a_binary_volume_is_the_shape(ball):
    shape = ball((20, 20, 20), (9, 9, 9), 5)
    for low, high in [(0, 1), (0, 255)]:
        assert (half_maximum(np.where(shape, high, low).astype(np.int16)).mask == shape).all()


def test_bounds_are_the_outer_voxel_edges():
    mask = np.zeros((9, 9, 9), bool)
    mask[2:5, 3, 1:9] = True
    low, high = from_mask(mask).bounds()
    assert low.tolist() == [1.5, 2.5, 0.5]
    assert high.tolist() == [4.5, 3.5, 8.5]


def test_whole_is_everything_and_says_so():
    region = whole(np.zeros((3, 4, 5)))
    assert region.mask.all()
    assert "whole scan" in region.note
