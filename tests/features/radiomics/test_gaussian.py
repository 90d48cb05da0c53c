import numpy as np
import pytest
import torch
from scipy import ndimage

from medfs.features.radiomics.gaussian import ScaleSpace, magnitude

from .regions import ball, random_image, spacings

INTERIOR = (slice(10, -10),) * 3


def _space(image, mm, sigma, *, beyond_zero=False):
    return ScaleSpace.of(
        image, spacings(*mm), torch.tensor([float(sigma)]), beyond_zero=beyond_zero
    )


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_against_scipy_away_from_the_border(sigma):
    image = random_image(0, size=32)
    volume = image[0, 0].double().numpy()
    space = _space(image, (1.0, 1.0, 1.0), sigma)
    smooth = ndimage.gaussian_filter(volume, sigma, truncate=4)
    steep = ndimage.gaussian_gradient_magnitude(volume, sigma, truncate=4)
    bend = ndimage.gaussian_laplace(volume, sigma, truncate=4)
    # A cut kernel of the second derivative does not sum to zero; ours is corrected for that.
    rest = ndimage.gaussian_laplace(np.ones_like(volume), sigma, truncate=4) * smooth
    for ours, theirs in [
        (space.smoothed(), smooth),
        (magnitude(space.gradient()), steep),
        (space.laplacian(), bend - rest),
    ]:
        np.testing.assert_allclose(ours[0, 0].numpy()[INTERIOR], theirs[INTERIOR], atol=1e-4)


def test_derivatives_are_per_mm():
    x = torch.arange(32.0).view(1, 1, -1, 1, 1) * 0.5 * torch.ones(1, 1, 32, 32, 32)
    steep = magnitude(_space(x * 3, (0.5, 0.5, 0.5), 1.0).gradient())
    torch.testing.assert_close(steep[0, 0][INTERIOR], torch.full((12,) * 3, 3.0), rtol=5e-3, atol=0)
    bend = _space(x**2, (0.5, 0.5, 0.5), 1.0).laplacian()
    torch.testing.assert_close(bend[0, 0][INTERIOR], torch.full((12,) * 3, 2.0), rtol=2e-2, atol=0)


def test_a_constant_image_has_no_derivative_at_the_border_either():
    space = _space(torch.full((1, 1, 12, 12, 12), 0.7), (1.0, 1.0, 2.0), 2.0)
    torch.testing.assert_close(space.smoothed(), space.image)
    assert magnitude(space.gradient()).max() < 1e-5
    assert space.laplacian().abs().max() < 1e-5


def test_past_the_patch_a_mask_is_zero():
    mask = ball(16, 40)
    assert _space(mask, (1.0, 1.0, 1.0), 2.0, beyond_zero=True).smoothed()[0, 0, 0, 8, 8] < 0.62


def test_sigma_is_at_least_one_grid_step():
    image = random_image(1)
    fine, step = (_space(image, (3.0, 3.0, 3.0), s).smoothed() for s in (1.0, 3.0))
    assert torch.equal(fine, step)
