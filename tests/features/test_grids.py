"""Neighbourhood operations against scipy.ndimage."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medfs.features.radiomics.gaussian import ScaleSpace
from medfs.features.radiomics.grids import distance, local_maximum, runs, surface


def _tensor(array):
    return torch.from_numpy(np.asarray(array, np.float64))[None, None]


def _random_mask(shape, seed=0, share=0.6):
    return np.random.default_rng(seed).random(shape) < share


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.1, 2.3)])
@pytest.mark.parametrize("seed", range(3))
def test_distance_is_the_euclidean_one_to_the_outside(spacing, seed):
    mask = _random_mask((14, 15, 16), seed, 0.99)
    expected = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    step = torch.tensor([spacing], dtype=torch.float64)
    found = distance(_tensor(~mask), step, 16, border=True)[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_surface_is_what_erosion_by_faces_takes_off():
    mask = _random_mask((11, 12, 13), share=0.9)
    expected = mask & ~ndimage.binary_erosion(mask)
    np.testing.assert_array_equal(surface(_tensor(mask))[0, 0].numpy(), expected)


def test_local_maximum_is_that_of_scipy():
    image = np.random.default_rng(0).random((7, 8, 9))
    expected = ndimage.maximum_filter(image, 3, mode="constant")
    np.testing.assert_array_equal(local_maximum(_tensor(image))[0, 0].numpy(), expected)


def test_smoothing_of_a_mask_is_the_gaussian_filter_of_scipy():
    mask = np.pad(_random_mask((10, 10, 10)), 9).astype(float)
    one = torch.ones(1, dtype=torch.float64)
    space = ScaleSpace.of(_tensor(mask), torch.ones(1, 3).double(), 2 * one, beyond_zero=True)
    expected = ndimage.gaussian_filter(mask, 2.0, truncate=4.0, mode="constant")
    np.testing.assert_allclose(space.smoothed()[0, 0].numpy(), expected, atol=1e-9)


def test_runs_of_two_are_where_both_voxels_lie_inside():
    mask = _random_mask((5, 6, 7))
    found = runs(_tensor(mask), (2, 1, 2))[0, 0].numpy()
    expected = mask[:-1, :, :-1] & mask[1:, :, :-1] & mask[:-1, :, 1:] & mask[1:, :, 1:]
    np.testing.assert_array_equal(found, expected)
