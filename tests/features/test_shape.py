"""Size and form against written-out definitions, NumPy, SciPy and scikit-image."""

import math

import numpy as np
import pytest
import torch

from medfs.features.radiomics.regions import Regions
from medfs.features.radiomics.shape import (
    NAMES,
    face_area,
    principal_axes,
    shape,
    symmetric_eigenvalues,
)
from medfs.features.radiomics.topology import euler_number


def _tensor(array):
    return torch.from_numpy(np.asarray(array, np.float64))[None, None]


def _spacing(*mm):
    return torch.tensor([mm], dtype=torch.float64)


def _regions(roi, *mm):
    return Regions.of(_tensor(roi), _spacing(*mm))


def _named(roi, spacing):
    values = shape(_regions(roi, *spacing))[0].tolist()
    return dict(zip(NAMES, values, strict=True))


def _axes(roi, spacing, voxels_have_extent=True):
    """4√λ of the second moments of the voxels, longest first."""
    points = np.argwhere(roi) * np.asarray(spacing)
    second = np.cov(points.T, bias=True)
    if voxels_have_extent:
        second = second + np.diag(np.square(spacing)) / 12
    return 4 * np.sqrt(np.linalg.eigvalsh(second)[::-1])


@pytest.mark.parametrize("seed", range(4))
def test_axes_volume_and_ratios_follow_their_definitions(blob, seed):
    roi, spacing = blob(seed), (0.7, 1.1, 2.3)
    found, axes = _named(roi, spacing), _axes(roi, spacing)
    assert found["log_volume"] == pytest.approx(math.log(roi.sum() * np.prod(spacing)))
    for name, axis in zip(NAMES[1:4], axes, strict=True):
        assert found[name] == pytest.approx(math.log(axis), abs=1e-9)
    assert found["elongation"] == pytest.approx(axes[1] / axes[0])
    assert found["flatness"] == pytest.approx(axes[2] / axes[0])


def test_a_box_has_the_axes_of_its_sides():
    roi = np.zeros((12, 12, 12))
    roi[2:10, 3:8, 5:7] = 1
    # The variance of a box of side a is a² / 12.
    expected = 4 * np.array([8 * 0.5, 5 * 1.0, 2 * 3.0]) / math.sqrt(12)
    axes = principal_axes(_regions(roi, 0.5, 1, 3))
    np.testing.assert_allclose(axes[0].numpy(), np.sort(expected)[::-1])


def test_face_area_of_a_box_is_its_surface():
    roi = np.zeros((6, 6, 6))
    roi[0:3, 1:5, 1:3] = 1  # touches the border of the patch
    a, b, c = 3 * 0.5, 4 * 1.0, 2 * 3.0
    area = face_area(_regions(roi, 0.5, 1, 3))
    assert area.item() == pytest.approx(2 * (a * b + b * c + a * c))


def test_compactness_of_a_ball_is_near_one_and_less_elsewhere():
    grid = np.indices((31, 31, 31)) - 15
    ball = (grid**2).sum(axis=0) <= 12**2
    stick = (abs(grid[0]) <= 12) & (abs(grid[1]) <= 1) & (abs(grid[2]) <= 1)
    assert _named(ball, (1, 1, 1))["compactness"] == pytest.approx(1, abs=0.05)
    assert _named(stick, (1, 1, 1))["compactness"] < 0.9


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ball", 1), ("two balls", 2), ("ring", 0), ("hollow", 2), ("touching corners", 2)],
)
def test_euler_number_of_simple_bodies(name, expected):
    roi = np.zeros((9, 9, 9))
    if name == "ball":
        roi[2:6, 2:6, 2:6] = 1
    elif name == "two balls":
        roi[1:3, 1:3, 1:3] = roi[5:8, 5:8, 5:8] = 1
    elif name == "ring":
        roi[2:7, 2:7, 4] = 1
        roi[4, 4, 4] = 0
    elif name == "hollow":
        roi[2:7, 2:7, 2:7] = 1
        roi[4, 4, 4] = 0
    else:
        roi[2, 2, 2] = roi[3, 3, 3] = 1
    assert euler_number(_tensor(roi)).item() == expected


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_euler_number_is_that_of_scikit_image(share):
    measure = pytest.importorskip("skimage.measure")
    roi = np.random.default_rng(0).random((10, 11, 12)) < share
    assert euler_number(_tensor(roi)).item() == measure.euler_number(roi, connectivity=1)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_eigenvalues_are_those_of_numpy(scale):
    rng = np.random.default_rng(0)
    m = rng.normal(size=(50, 3, 3))
    m = scale * (m @ m.transpose(0, 2, 1))
    found = symmetric_eigenvalues(torch.from_numpy(m)).numpy()
    np.testing.assert_allclose(found, np.linalg.eigvalsh(m)[:, ::-1], atol=1e-8 * scale)


@pytest.mark.parametrize(
    "values", [(1, 1, 1), (2, 2, 1), (3, 1, 1), (5, 0, 0), (0, 0, 0), (1 + 1e-9, 1, 1), (4, 2, 1)]
)
def test_equal_and_zero_eigenvalues_are_found_without_nan(values):
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    m = torch.from_numpy(turn @ np.diag(values).astype(float) @ turn.T)[None]
    found = symmetric_eigenvalues(m)[0].numpy()
    np.testing.assert_allclose(found, sorted(values, reverse=True), atol=1e-3)
