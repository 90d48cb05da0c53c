import pytest
import torch
from scipy import ndimage

from medfs.features.radiomics import grids
from medfs.features.radiomics.topology import euler_number

from .regions import ball, random_region, spacings


@pytest.mark.parametrize("seed", range(4))
def test_distance_is_the_euclidean_distance_transform(seed):
    roi, mm = random_region(seed), (0.7, 1.0, 1.3)
    ours = grids.distance(1 - roi, spacings(*mm), 12, border=True)
    padded = torch.nn.functional.pad(roi[0, 0], (1,) * 6).numpy()
    theirs = ndimage.distance_transform_edt(padded, sampling=mm)[1:-1, 1:-1, 1:-1]
    inside = roi[0, 0] > 0
    torch.testing.assert_close(
        ours[0, 0][inside], torch.from_numpy(theirs).float()[inside], atol=1e-4, rtol=1e-5
    )


def test_distance_is_capped_one_step_further_than_it_looks():
    far = grids.distance(torch.zeros(1, 1, 9, 9, 9), spacings(2.0, 2.0, 2.0), 3, border=False)
    torch.testing.assert_close(far, torch.full_like(far, 8.0))


def test_surface_is_what_erosion_takes_away():
    roi = random_region(5)
    inner = torch.from_numpy(ndimage.binary_erosion(roi[0, 0].numpy() > 0)).float()
    assert torch.equal(grids.surface(roi)[0, 0], roi[0, 0] - inner)


@pytest.mark.parametrize("seed", range(6))
def test_euler_number_against_scikit_image(seed):
    measure = pytest.importorskip("skimage.measure")
    roi = random_region(seed, sigma=0.7)
    expected = measure.euler_number(roi[0, 0].numpy() > 0, connectivity=1)
    assert euler_number(roi).item() == expected


def test_euler_number_of_known_shapes():
    solid = ball(15, 6)
    hollow = solid - ball(15, 3)
    drilled = solid.clone()
    drilled[:, :, 7, 7, :] = 0
    two = torch.cat([solid, solid], dim=2)
    assert [euler_number(r).item() for r in (solid, hollow, drilled, two)] == [1, 2, 0, 2]
