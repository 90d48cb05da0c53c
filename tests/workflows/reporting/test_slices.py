"""Slices lie as radiologists look at them, and show what they should."""

import numpy as np
import pytest
import torch

from medfs.core.patches import Patch
from medfs.preprocess.presets import Intensity
from medfs.workflows.reporting.slices import Look, slices

WINDOW = Intensity("window", -1000.0, 1000.0)
SPACING = (1.0, 2.0, 3.0)


def patch(image: np.ndarray, roi: np.ndarray) -> Patch:
    return Patch(
        torch.tensor(image, dtype=torch.float32)[None],
        torch.tensor(roi, dtype=torch.float32)[None],
        torch.tensor(SPACING),
        "ct-lung",
    )


@pytest.fixture
def marked() -> Patch:
    """A region at (4, 5, 6), one bright point at the patient's right, one in front, one above."""
    image, roi = -np.ones((10, 12, 14)), np.zeros((10, 12, 14))
    roi[4, 5, 6] = 1
    image[9, 5, 6], image[4, 11, 6], image[4, 5, 13] = 1, 0, 0.5
    return patch(image, roi)


def test_right_is_left_front_and_head_are_up(marked):
    axial, coronal, sagittal = slices(marked, Look(WINDOW))
    # rows from the front (y = 11) down, columns from the patient's right (x = 9) on.
    assert axial.grey.shape == (12, 10)
    assert axial.grey[6, 0] == 255
    assert axial.grey[0, 5] == 128
    assert axial.roi[6, 5]
    assert axial.roi.sum() == 1
    assert coronal.grey.shape == (14, 10)
    assert (coronal.grey[7, 0], coronal.grey[0, 5]) == (255, 191)
    assert sagittal.grey.shape == (14, 12)
    assert (sagittal.grey[7, 0], sagittal.grey[0, 6]) == (128, 191)
    assert [s.sides for s in (axial, coronal, sagittal)] == [("R", "A"), ("R", "S"), ("A", "S")]


def test_pixels_know_their_size(marked):
    assert [s.mm for s in slices(marked, Look(WINDOW))] == [(2, 1), (3, 1), (3, 2)]


def test_the_fullest_slice_is_shown():
    roi = np.zeros((9, 9, 9))
    roi[2:5, 2:5, 1] = 1
    roi[2, 2, 1:8] = 1
    axial = slices(patch(np.zeros((9, 9, 9)), roi), Look(WINDOW))[0]
    assert axial.roi.sum() == 9


def test_weights_lie_on_the_same_points(marked):
    weight = np.zeros((10, 12, 14))
    weight[9, 5, 6] = 0.7
    axial = slices(marked, Look(WINDOW), weight)[0]
    assert axial.weight[6, 0] == 0.7
    assert np.count_nonzero(axial.weight) == 1


def test_deface_shows_nothing_far_from_the_region(marked):
    for shown in slices(marked, Look(WINDOW, deface=True)):
        assert shown.grey.shape == (5, 5)
        assert shown.roi[2, 2]
        assert shown.grey.max() == 0
        assert shown.roi.sum() == 1


def test_standard_deviations_fill_the_range_of_grey():
    image = np.linspace(-5, 5, 6 * 6 * 6).reshape(6, 6, 6)
    shown = slices(patch(image, np.ones((6, 6, 6))), Look(Intensity("zscore", clip=5.0)))[0]
    assert (shown.grey.min(), shown.grey.max()) == (0, 255)
