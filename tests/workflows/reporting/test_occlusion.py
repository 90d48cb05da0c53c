"""Covering finds what a classifier looks at, and cubes have a size in mm that fits the region."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medfs.core.patches import Patch
from medfs.workflows.embed import Embedder
from medfs.workflows.reporting.occlusion import occlude


class Corner:
    """An encoder that sees the brightness of one point."""

    name, identity, feature_names = "corner", "corner-1", ("brightness",)

    def __init__(self, at):
        self.at, self.calls = at, 0

    def __call__(self, patches):
        self.calls += 1
        return patches.image[:, 0, *self.at][:, None]


class Logistic:
    def predict_proba(self, features):
        p = torch.sigmoid(features.joined().double())
        return torch.cat([1 - p, p], dim=1)


def patch(spacing=(1.0, 1.0, 1.0)) -> Patch:
    image, roi = torch.zeros(1, 24, 24, 24), torch.zeros(1, 24, 24, 24)
    roi[0, 8:16, 8:16, 8:16] = 1
    image[roi > 0] = 2.0
    return Patch(image, roi, torch.tensor(spacing), "ct-lung")


def looking_at(*at):
    encoder = Corner(at)
    return encoder, SimpleNamespace(embedder=Embedder((encoder,), None), calibrated=Logistic())


def test_only_the_cube_that_is_looked_at_matters():
    encoder, predictor = looking_at(9, 14, 10)
    found = occlude(predictor, patch(), 1, "case")
    assert found.drop[9, 14, 10] == pytest.approx(1 / (1 + np.exp(-2)) - 0.5)
    touched = np.argwhere(found.drop != 0)
    size = touched.max(axis=0) - touched.min(axis=0) + 1
    assert tuple(size) == (round(found.edge_mm),) * 3
    assert found.weight.max() == 1
    assert encoder.calls == found.cubes + 1
    # Three along each axis; four would be 64, more than are covered.
    assert found.cubes == 27


def test_for_the_other_class_it_is_the_other_way_round():
    _, predictor = looking_at(9, 14, 10)
    one, other = (occlude(predictor, patch(), label, "case") for label in (1, 0))
    np.testing.assert_allclose(one.drop, -other.drop)


def test_far_from_the_region_nothing_is_covered():
    _, predictor = looking_at(0, 0, 0)
    found = occlude(predictor, patch(), 1, "case")
    assert not found.drop.any()
    assert not found.weight.any()


def test_cubes_are_cubes_in_mm():
    _, predictor = looking_at(9, 14, 10)
    found = occlude(predictor, patch((1.0, 1.0, 2.0)), 1, "case")
    touched = np.argwhere(found.drop != 0)
    nx, ny, nz = touched.max(axis=0) - touched.min(axis=0) + 1
    assert nx == ny
    assert abs(nz * 2.0 - nx) <= 1.0


def test_the_covered_part_leaves_the_region():
    seen = []
    encoder, predictor = looking_at(9, 14, 10)
    inner = encoder.__class__.__call__

    class Watching(Corner):
        def __call__(self, patches):
            seen.append(float(patches.roi.sum()))
            return inner(self, patches)

    predictor.embedder = Embedder((Watching((9, 14, 10)),), None)
    occlude(predictor, patch(), 1, "case")
    whole, *parts = seen
    assert min(parts) < whole
    assert sum(whole - part for part in parts) == whole
