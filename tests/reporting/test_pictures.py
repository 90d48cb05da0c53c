"""Outlines enclose exactly the region, in mm; overlays are as opaque as their weight."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medfs.reporting.pictures import outline, picture
from medfs.reporting.values import Slice


def length(path: str) -> tuple[float, float]:
    """(sum of horizontal, sum of vertical strokes)."""
    across = re.findall(r"M([\d.]+) [\d.]+H([\d.]+)", path)
    down = re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", path)
    return tuple(sum(float(b) - float(a) for a, b in found) for found in (across, down))


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_the_outline_is_as_long_as_the_border(roi):
    padded = np.pad(roi, 1).astype(int)
    across, down = length(outline(roi, (2.0, 3.0)))
    assert across == pytest.approx(3 * np.abs(np.diff(padded, axis=0)).sum())
    assert down == pytest.approx(2 * np.abs(np.diff(padded, axis=1)).sum())


def test_a_pixel_has_its_own_outline():
    roi = np.zeros((3, 4), bool)
    roi[1, 2] = True
    assert outline(roi, (1.0, 0.5)) == "M1 1H1.5M1 2H1.5M1 1V2M1.5 1V2"


def test_a_picture_is_as_wide_as_its_pixels_are():
    shown = Slice("axial", np.zeros((4, 6), np.uint8), np.zeros((4, 6), bool), (2.0, 0.5))
    drawn = picture(shown, "words & more")
    assert 'viewBox="0 0 3 8"' in drawn
    assert 'aria-label="words &amp; more"' in drawn
    assert "path" not in drawn


def test_weights_become_colour_and_opacity():
    from medfs.reporting.pictures import _overlay

    shown = _overlay(np.array([[0.0, 1.0, -0.5, 2.0]]))
    assert shown[0, 0, 3] == 0
    assert shown[0, 1, 3] == shown[0, 3, 3] == 153
    assert shown[0, 2, 3] == pytest.approx(77, abs=1)
    assert tuple(shown[0, 1, :3]) != tuple(shown[0, 2, :3])
