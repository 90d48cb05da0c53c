"""A scan with a tilted gantry gives the patch of the same patient in an upright scan."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.errors import FieldError, GeometryError
from medfs.core.patches import PatchBatch
from medfs.features.radiomics import NAMES, Radiomics
from medfs.preprocess.auto import suggest
from medfs.preprocess.intensity import evenly_spaced
from medfs.preprocess.patching import make_field_patch, make_patch
from medfs.preprocess.presets import Intensity, load_preset

CT = load_preset("ct-lung")
SHAPE, SPACING = (90, 96, 60), (0.8, 0.8, 1.25)
SHAPES = ("log_volume", "log_major_axis", "log_minor_axis", "log_least_axis", "elongation")


def grid(degrees=0.0, toward=1):
    """A grid around the origin whose slices lean towards one of their own axes."""
    affine = np.diag([*SPACING, 1.0])
    affine[toward, 2] = SPACING[2] * np.tan(np.radians(degrees))
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return affine


def places(affine):
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def patient(affine, centre=(2.0, -3.0, 1.5), radius=11.0):
    """Smooth tissue with a ball in it, and the ball, as functions of place."""
    where = places(affine)
    distance = np.linalg.norm(where - np.array(centre), axis=-1)
    tissue = -500 + 120 * np.sin(where / 9).sum(axis=-1) + 600 / (1 + np.exp(distance - radius))
    return tissue.astype(np.float32), distance <= radius


def shapes(patch):
    values = dict(zip(NAMES, Radiomics()(PatchBatch.of(patch))[0].tolist(), strict=True))
    return [values[name] for name in SHAPES]


@pytest.mark.parametrize("degrees", [-30, 5, 18.5])
@pytest.mark.parametrize("toward", [0, 1])
@pytest.mark.parametrize("preset", ["ct-lung", "mr"])
def test_a_ball_in_a_sheared_scan_gives_the_patch_of_an_upright_one(
    volume, degrees, toward, preset
):
    patches = []
    for affine in (grid(), grid(degrees, toward)):
        voxels, ball = patient(affine)
        patches.append(make_patch(volume(voxels, affine=affine), ball, load_preset(preset)))
    upright, leaning = patches
    assert f"the scan is sheared by {abs(degrees):.1f}° (gantry tilt)" in leaning.notes[0]
    assert not upright.notes
    assert 2 * (upright.roi * leaning.roi).sum() / (upright.roi + leaning.roi).sum() > 0.95
    near = (upright.roi + leaning.roi) > 0
    if preset == "ct-lung":  # statistics of a whole scan depend on what else is in it
        assert (upright.image - leaning.image)[near].abs().mean() < 0.02
    else:
        together = torch.stack([upright.image[near], leaning.image[near]])
        assert torch.corrcoef(together)[0, 1] > 0.98
    np.testing.assert_allclose(shapes(leaning), shapes(upright), atol=0.03)


def test_without_a_mask_the_region_lies_in_the_scan(volume):
    affine = grid(25)
    voxels, ball = patient(affine)
    patch = make_patch(volume(voxels - voxels.min() + 100, affine=affine), None, load_preset("mr"))
    marked = make_patch(volume(voxels, affine=affine), ball, load_preset("mr"))
    assert any("region was found" in note for note in patch.notes)
    assert (patch.roi * marked.roi).sum() > 0.8 * marked.roi.sum()


def test_corners_that_the_scan_does_not_cover_are_no_region(volume):
    affine = grid(25)
    preset = replace(load_preset("mr"), region="whole", shape=(128, 128, 128))
    patch = make_patch(volume(patient(affine)[0], affine=affine), None, preset)
    kept = float(patch.roi.sum() * patch.spacing.prod())
    assert kept == pytest.approx(np.prod(SHAPE) * np.prod(SPACING), rel=0.02)


def test_corners_that_the_scan_does_not_cover_change_no_intensity(volume):
    affine = grid(25)
    height = places(affine)[..., 2].astype(np.float32)
    preset = replace(load_preset("pet"), intensity=Intensity("percentile", low=20.0, high=80.0))
    patch = make_patch(volume(height, affine=affine), patient(affine)[1], preset)
    low, high = np.percentile(height, [20, 80])
    inside = patch.roi[0].numpy() > 0
    step = np.diff(patch.image[0].numpy(), axis=2)[inside[..., 1:] & inside[..., :-1]]
    assert step.mean() == pytest.approx(float(patch.spacing[2]) / (high - low), rel=0.02)


FIELD = (30.0, 24.0, 32.0)


@pytest.mark.parametrize("degrees", [-20, 18.5])
def test_a_field_patch_of_a_sheared_scan_shows_the_same_place(volume, degrees):
    upright, leaning = (
        make_field_patch(volume(patient(a)[0], affine=a), FIELD, replace(CT, region="whole"))
        for a in (grid(), grid(degrees))
    )
    assert torch.equal(upright.roi, leaning.roi)
    inside = upright.roi > 0
    assert (upright.image - leaning.image)[inside].abs().mean() < 0.01
    assert "straightened" in leaning.notes[0]


def test_a_field_must_lie_within_the_leaning_scan(volume):
    # 76.8 mm are covered along y; over 40 mm of height a lean of 20° takes 14.6 mm of them.
    scan = volume(patient(grid(20))[0], affine=grid(20))
    make_field_patch(scan, (30.0, 62.0, 40.0), CT)
    with pytest.raises(FieldError, match=r"leans by 20\.0°"):
        make_field_patch(scan, (30.0, 62.5, 40.0), CT)
    with pytest.raises(FieldError, match="smaller"):
        make_field_patch(scan, (30.0, 20.0, 75.5), CT)
    make_field_patch(scan, (30.0, 20.0, 75.0), CT)


def test_a_grid_that_leans_twice_is_refused(volume):
    affine = grid(10, toward=0)
    affine[0, 1] = 0.3
    voxels, ball = patient(affine)
    for patch in (
        lambda scan: make_patch(scan, ball, CT),
        lambda scan: make_field_patch(scan, FIELD, CT),
    ):
        with pytest.raises(GeometryError, match="more than one direction"):
            patch(volume(voxels, affine=affine))


def test_the_transform_for_monai_straightens_too(volume):
    from monai.data import MetaTensor

    from medfs.preprocess.transforms import MakePatchd

    affine = grid(18.5)
    voxels, ball = patient(affine)
    sample = {
        "image": MetaTensor(torch.from_numpy(voxels[None]), affine=torch.from_numpy(affine)),
        "mask": MetaTensor(torch.from_numpy(ball[None]), affine=torch.from_numpy(affine)),
    }
    made = MakePatchd(preset="ct-lung")(sample)
    patch = make_patch(volume(voxels, affine=affine), ball, CT)
    assert torch.equal(made["image"], patch.image)
    assert torch.equal(made["roi"], patch.roi)


@given(
    axes=st.permutations(range(4)),
    preset=st.sampled_from(["ct-lung", "mr", "pet"]),
    degrees=st.sampled_from([0, 15]),
    masked=st.booleans(),
)
def test_order_of_voxels_in_memory_changes_no_bit(volume, axes, preset, degrees, masked):
    affine = grid(degrees)
    voxels, ball = patient(affine)
    laid = np.ascontiguousarray(voxels[None].transpose(axes)).transpose(np.argsort(axes))
    mask = np.asfortranarray(ball) if masked else None
    one = volume(voxels, affine=affine)
    other = volume(laid[0], affine=affine)
    expected = make_patch(one, ball if masked else None, load_preset(preset))
    found = make_patch(other, mask, load_preset(preset))
    assert torch.equal(found.image, expected.image)
    assert torch.equal(found.roi, expected.roi)
    assert suggest(one) == suggest(other)


@given(axes=st.permutations(range(3)), at_most=st.integers(1, 200))
def test_the_sample_of_a_scan_does_not_depend_on_its_memory(axes, at_most):
    voxels = np.arange(7 * 6 * 5, dtype=np.int16).reshape(7, 6, 5)
    laid = np.ascontiguousarray(voxels.transpose(axes)).transpose(np.argsort(axes))
    sample = evenly_spaced(laid, at_most)
    np.testing.assert_array_equal(sample, evenly_spaced(voxels, at_most))
    assert at_most <= len(sample) < 2 * at_most + 1 or len(sample) == voxels.size
