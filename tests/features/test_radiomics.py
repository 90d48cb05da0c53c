"""Laws of the radiomics block: what may and what may not change it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from medfs.core.patches import PatchBatch
from medfs.features.radiomics import Radiomics, radiomics
from medfs.testing import check_encoder

NAMES = Radiomics.feature_names
SHAPE = (40, 40, 40)
SPACING = (0.8, 1.0, 1.7)


def _features(batch):
    return dict(zip(NAMES, Radiomics()(batch)[0].tolist(), strict=True))


def _scan(blob, seed=0):
    """A region near the middle of a patch whose image is constant towards its border."""
    roi = np.pad(blob(seed, (14, 14, 14), 0.2), 13)
    near = ndimage.binary_dilation(roi, np.ones((3, 3, 3)), iterations=2)
    return np.random.default_rng(seed).normal(size=SHAPE) * near, roi


def _assert_same(one, other, names=NAMES):
    for name in names:
        assert one[name] == pytest.approx(other[name], abs=1e-9, rel=1e-7), name


def test_it_keeps_the_laws_of_encoders():
    check_encoder(Radiomics(), (16, 20, 24))


def test_moving_image_and_region_together_changes_nothing(blob, as_batch):
    image, roi = _scan(blob)
    moved = [np.roll(a, (2, -1, 3), axis=(0, 1, 2)) for a in (image, roi)]
    one = _features(as_batch(image, roi, SPACING, torch.float64))
    _assert_same(one, _features(as_batch(*moved, SPACING, torch.float64)))


@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (0, 2)])
def test_a_quarter_turn_with_its_spacing_changes_nothing(blob, as_batch, axes):
    image, roi = _scan(blob)
    turned = [np.rot90(a, axes=axes) for a in (image, roi)]
    spacing = list(SPACING)
    spacing[axes[0]], spacing[axes[1]] = spacing[axes[1]], spacing[axes[0]]
    one = _features(as_batch(image, roi, SPACING, torch.float64))
    _assert_same(one, _features(as_batch(*turned, spacing, torch.float64)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirror_image_has_the_same_features(blob, as_batch, axis):
    image, roi = _scan(blob, 1)
    flipped = [np.flip(a, axis) for a in (image, roi)]
    one = _features(as_batch(image, roi, SPACING, torch.float64))
    _assert_same(one, _features(as_batch(*flipped, SPACING, torch.float64)))


def test_an_added_constant_moves_locations_alone(blob, as_batch):
    image, roi = _scan(blob)
    one = _features(as_batch(image, roi, SPACING, torch.float64))
    two = _features(as_batch(image + 5, roi, SPACING, torch.float64))
    moving = [f"roi_{n}" for n in ("mean", "p10", "median", "p90", "max")]
    moving += ["core_mean", "shell_mean"]
    for name in moving:
        assert two[name] - one[name] == pytest.approx(5)
    _assert_same(one, two, [n for n in NAMES if n not in moving])


@given(
    kind=st.sampled_from(["voxel", "slice", "whole", "row", "random", "corners"]),
    seed=st.integers(0, 1000),
    flat=st.booleans(),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
    axis=st.integers(0, 2),
)
def test_every_region_that_is_not_empty_has_finite_features(kind, seed, flat, spacing, axis):
    rng = np.random.default_rng(seed)
    roi = np.zeros((8, 9, 10))
    at = tuple(int(rng.integers(n)) for n in roi.shape)
    if kind == "slice":
        roi[(slice(None),) * axis + (at[axis],)] = 1
    elif kind == "whole":
        roi[:] = 1
    elif kind == "row":
        roi[at[0], at[1]] = 1
    elif kind == "random":
        roi = (rng.random(roi.shape) < 0.3).astype(float)
    elif kind == "corners":
        roi[0, 0, 0] = roi[-1, -1, -1] = 1
    roi[at] = 1
    image = np.ones(roi.shape) if flat else rng.normal(size=roi.shape) * 10 ** rng.uniform(-3, 3)
    batch = PatchBatch(
        torch.from_numpy(image).float()[None, None],
        torch.from_numpy(roi).float()[None, None],
        torch.tensor([spacing], dtype=torch.float32),
    )
    features = Radiomics()(batch)
    bad = [n for n, ok in zip(NAMES, torch.isfinite(features[0]).tolist(), strict=True) if not ok]
    assert not bad


def test_single_precision_agrees_with_double(blob, as_batch):
    image, roi = _scan(blob)
    double = _features(as_batch(image, roi, SPACING, torch.float64))
    single = _features(as_batch(image, roi, SPACING, torch.float32))
    for name in NAMES:
        assert single[name] == pytest.approx(double[name], rel=1e-3, abs=1e-3), name


def test_gradients_reach_the_image_and_are_finite(blob, as_batch):
    image, roi = _scan(blob)
    batch = as_batch(image, roi, SPACING, torch.float64)
    leaf = batch.image.requires_grad_()
    radiomics(leaf, batch.roi, batch.spacing).sum().backward()
    gradient = leaf.grad[0, 0].numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[roi] != 0).all()


class _Graph(torch.nn.Module):
    def forward(self, image, roi, spacing):
        return radiomics(image, roi, spacing)


def _sizes(n_cases, seed=0):
    from medfs.testing.samples import random_patches

    batch = random_patches(n_cases, (16, 16, 16), seed)
    return batch.image, batch.roi, batch.spacing


# torch's own code for export uses what Python deprecates.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_exported_graph_takes_any_batch_and_equals_the_eager_one(tmp_path):
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        _Graph(), _sizes(2), dynamic_shapes=({0: batch}, {0: batch}, {0: batch})
    )
    torch.export.save(program, tmp_path / "radiomics.pt2")
    loaded = torch.export.load(tmp_path / "radiomics.pt2").module()
    for n_cases in (1, 2, 5):
        given = _sizes(n_cases, seed=n_cases)
        torch.testing.assert_close(loaded(*given), radiomics(*given), rtol=1e-5, atol=1e-5)
