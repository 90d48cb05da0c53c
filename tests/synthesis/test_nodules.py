import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfs.synthesis.grid import Grid, coverage, unit_vectors
from medfs.synthesis.nodules import draw_factors, draw_surface, paint
from medfs.synthesis.scanner import slice_average


@given(st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_volume_does_not_depend_on_irregularity(irregularity, seed):
    rng = np.random.default_rng(seed)
    factors = draw_factors(irregularity, rng)
    grid = Grid.centred((80, 80, 80), (0.5, 0.5, 0.5))
    painted = paint(factors, draw_surface(factors, rng), grid)
    assert painted.min() >= 0
    assert painted.max() <= 1
    expected = np.pi / 6 * factors.diameter**3
    # A wide margin adds some: it is as wide outwards as inwards.
    assert painted.sum() * 0.5**3 == pytest.approx(expected, rel=0.12)


def test_irregularity_roughens_the_surface():
    def roughness(irregularity):
        rng = np.random.default_rng(0)
        factors = draw_factors(irregularity, rng)
        radii = draw_surface(factors, rng).radius(unit_vectors(rng, 2000))
        return radii.std() / radii.mean()

    assert roughness(0.0) < roughness(0.4) < roughness(0.9)


def test_coverage_is_half_on_the_surface():
    depth = np.array([[[-1.0, -0.25, 0.0, 0.25, 1.0]]])
    np.testing.assert_allclose(coverage(depth, 1.0)[0, 0], [0, 0.25, 0.5, 0.75, 1])


def test_slices_are_means_of_their_fine_steps():
    fine = np.arange(12.0).reshape(1, 2, 6)
    np.testing.assert_array_equal(slice_average(fine, 3), [[[1, 4], [7, 10]]])


def test_grid_is_centred_and_boxes_are_in_mm():
    grid = Grid.centred((5, 4, 3), (1.0, 2.0, 3.0))
    np.testing.assert_array_equal(grid.y, [-3, -1, 1, 3])
    part = grid.within(grid.box(np.array([-1, -1.5, 10]), np.array([1, 1.5, 20])))
    assert part.shape == (3, 2, 0)
