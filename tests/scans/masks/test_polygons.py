"""Filling one polygon: the half-open rule, and parity with scikit-image away from edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfs.scans.masks.polygons import area, enclosed

SIZE = 24


def whole(points, size=SIZE):
    """The cut on a fixed grid, so that results can be compared."""
    cut = enclosed(np.asarray(points, float))
    part, grid = cut.within((0, 0), (size, size)), np.zeros((size, size), bool)
    grid[part.low[0] : part.high[0], part.low[1] : part.high[1]] = part.inside
    return grid


def polygon(seed, corners=7):
    return np.random.default_rng(seed).uniform(-3, SIZE + 3, (corners, 2))


def distance_to_edges(points):
    """Distance of every centre from the nearest edge."""
    centres = np.moveaxis(np.indices((SIZE, SIZE)), 0, -1).astype(float)
    a, b = points, np.roll(points, -1, axis=0)
    along = ((centres[..., None, :] - a) * (b - a)).sum(-1) / ((b - a) ** 2).sum(-1)
    nearest = a + np.clip(along, 0, 1)[..., None] * (b - a)
    return np.linalg.norm(centres[..., None, :] - nearest, axis=-1).min(-1)


@given(seed=st.integers(0, 10_000), corners=st.integers(3, 12))
def test_parity_with_scikit_image(seed, corners):
    """Also for polygons that cross themselves: both count crossings."""
    draw = pytest.importorskip("skimage.draw")
    points = polygon(seed, corners)
    clear = distance_to_edges(points) > 1e-6
    theirs = draw.polygon2mask((SIZE, SIZE), points)
    np.testing.assert_array_equal(whole(points)[clear], theirs[clear])


@given(seed=st.integers(0, 10_000), start=st.integers(0, 6), back=st.booleans())
def test_where_a_polygon_starts_and_which_way_it_runs_do_not_matter(seed, start, back):
    points = polygon(seed).round(1)  # with corners on rows of voxels
    other = np.roll(points[:: -1 if back else 1], start, axis=0)
    np.testing.assert_array_equal(whole(points), whole(other))


def test_edges_through_centres_are_half_open():
    square = np.array([[2, 3], [6, 3], [6, 8], [2, 8]])
    expected = np.zeros((SIZE, SIZE), bool)
    expected[2:6, 3:8] = True
    np.testing.assert_array_equal(whole(square), expected)


@given(seed=st.integers(0, 10_000), u=st.integers(4, 20), v=st.integers(4, 20))
def test_polygons_that_share_edges_tile(seed, u, v):
    """Triangles around a point fill their square once, centres on common edges included."""
    square = np.array([[0, 0], [24, 0], [24, 24], [0, 24]])
    parts = [whole([square[i], square[(i + 1) % 4], (u, v)]) for i in range(4)]
    np.testing.assert_array_equal(np.sum(parts, axis=0), np.ones((SIZE, SIZE)))


@given(u=st.floats(9, 12), v=st.floats(9, 12))
def test_a_keyhole_is_a_hole(u, v):
    outer = np.array([[2.3, 2.2], [20.4, 2.2], [20.4, 20.6], [2.3, 20.6]])
    inner = np.array([[u, v], [u, v + 4.4], [u + 4.4, v + 4.4], [u + 4.4, v]])
    keyhole = np.concatenate([outer, outer[:1], inner, inner[:1]])
    np.testing.assert_array_equal(whole(keyhole), whole(outer) & ~whole(inner))


def test_many_points_are_filled_in_parts(monkeypatch):
    turn = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    circle = 12 + 9 * np.column_stack([np.cos(turn), np.sin(turn)])
    at_once = whole(circle)
    monkeypatch.setattr("medfs.scans.masks.polygons._PART", 3)
    np.testing.assert_array_equal(whole(circle), at_once)
    assert area(circle) == pytest.approx(np.pi * 81, rel=1e-5)
    assert at_once.sum() == pytest.approx(np.pi * 81, rel=0.02)
