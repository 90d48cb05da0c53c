"""Neighbourhood operations against scipy.ndimage."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medfs.features.radiomics.grids import (
    depth,
    dilate,
    erode,
    gradient_magnitude,
    laplacian,
    runs,
    shell,
    smooth,
)

CUBE = np.ones((3, 3, 3), bool)
SHAPES = [(11, 12, 13), (4, 9, 5), (2, 3, 4)]


def _tensor(array):
    return torch.from_numpy(np.asarray(array, np.float64))[None, None]


def _random_mask(shape, seed=0, share=0.6):
    return np.random.default_rng(seed).random(shape) < share


@pytest.mark.parametrize("shape", SHAPES)
def test_dilate_and_erode_are_those_of_scipy(shape):
    sparse, dense = _random_mask(shape, share=0.03), _random_mask(shape, share=0.97)
    grown, shrunk = dilate(_tensor(sparse))[0, 0].numpy(), erode(_tensor(dense))[0, 0].numpy()
    np.testing.assert_array_equal(grown, ndimage.binary_dilation(sparse, CUBE))
    np.testing.assert_array_equal(shrunk, ndimage.binary_erosion(dense, CUBE))


@pytest.mark.parametrize("steps", [1, 3])
def test_shell_is_what_dilation_adds(steps):
    mask = _random_mask((12, 12, 12), share=0.01)
    grown = ndimage.binary_dilation(mask, CUBE, iterations=steps)
    np.testing.assert_array_equal(shell(_tensor(mask), steps)[0, 0].numpy(), grown & ~mask)


def test_depth_is_the_chessboard_distance_to_the_outside():
    for seed in range(3):
        mask = np.pad(_random_mask((14, 15, 16), seed, 0.995), 1)
        expected = ndimage.distance_transform_cdt(mask, metric="chessboard")
        np.testing.assert_array_equal(depth(_tensor(mask))[0, 0].numpy(), expected)


def test_depth_stops_at_its_number_of_steps_and_the_patch_ends_the_region():
    found = depth(_tensor(np.ones((9, 9, 9))), steps=3)[0, 0].numpy()
    expected = np.minimum(ndimage.distance_transform_cdt(np.pad(np.ones((9, 9, 9)), 1), "chessboard"), 3)
    np.testing.assert_array_equal(found, expected[1:-1, 1:-1, 1:-1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_smooth_is_the_gaussian_filter_of_scipy(shape, sigma):
    image = np.random.default_rng(1).normal(size=shape)
    expected = ndimage.gaussian_filter(image, sigma, truncate=4.0, mode="nearest")
    np.testing.assert_allclose(smooth(_tensor(image), sigma)[0, 0].numpy(), expected, atol=1e-12)


def test_smooth_treats_each_of_a_batch_by_itself():
    images = torch.randn(3, 1, 7, 8, 9, dtype=torch.float64)
    for i in range(3):
        torch.testing.assert_close(smooth(images, 2.0)[i], smooth(images[i : i + 1], 2.0)[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_laplacian_is_that_of_scipy(shape):
    image = np.random.default_rng(2).normal(size=shape)
    expected = ndimage.laplace(image, mode="nearest")
    np.testing.assert_allclose(laplacian(_tensor(image))[0, 0].numpy(), expected, atol=1e-12)


def test_gradient_magnitude_is_that_of_numpy_in_the_interior():
    image = np.random.default_rng(3).normal(size=(8, 9, 10))
    expected = np.sqrt(sum(g**2 for g in np.gradient(image)))
    inner = (slice(1, -1),) * 3
    found = gradient_magnitude(_tensor(image))[0, 0].numpy()
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-6)


def test_runs_of_two_are_where_both_voxels_lie_inside():
    mask = _random_mask((5, 6, 7))
    found = runs(_tensor(mask), (2, 1, 2))[0, 0].numpy()
    expected = mask[:-1, :, :-1] & mask[1:, :, :-1] & mask[:-1, :, 1:] & mask[1:, :, 1:]
    np.testing.assert_array_equal(found, expected)
