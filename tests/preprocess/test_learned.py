"""The region that the shipped network finds: where it lies, and what it may depend on."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from medfs.core.errors import FieldError, IntegrityError, ScanReadError
from medfs.preprocess import finder, regions
from medfs.preprocess.learned import learned
from medfs.preprocess.patching import make_field_patch, make_patch
from medfs.preprocess.presets import load_preset
from medfs.storage.files import sha256
from medfs.synthesis.tasks import TaskPlan, sample_tasks

CT = replace(load_preset("ct-lung"), region="learned")
MR = replace(load_preset("mr"), region="learned")
FIELD = (24.0, 20.0, 8.0)


def _dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def _scan(ball, shape=(40, 44, 30), centre=(20.5, 21, 14.5), radius=6.0, spacing=(1.0, 1.0, 1.0)):
    """A nodule in lung, with a vessel beside it, in HU."""
    rng = np.random.default_rng(3)
    share = ball(shape, centre, radius, spacing).astype(np.float32)
    share[4:6] = 1
    smooth = ndimage.gaussian_filter(share, 0.7)
    return (-850 + 870 * smooth + rng.normal(0, 25, shape)).astype(np.float32)


@pytest.fixture
def fresh():
    """The network is read anew, before and after."""
    finder._network.cache_clear()
    yield
    finder._network.cache_clear()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("field", [None, FIELD])
def test_a_mirrored_scan_has_the_mirrored_region(volume, ball, axis, field):
    voxels, spacing = _scan(ball, spacing=(0.9, 1.1, 1.3)), (0.9, 1.1, 1.3)

    def patch(v):
        scan = volume(v, spacing)
        return make_field_patch(scan, field, CT) if field else make_patch(scan, None, CT)

    one, other = patch(voxels).roi, patch(np.flip(voxels, axis)).roi
    assert one.sum() > 50
    assert (other.flip(axis + 1) == one).float().mean() > 0.9999


def test_a_nodule_is_found_and_the_vessel_beside_it_is_not(volume, ball):
    voxels, true = _scan(ball), ball((40, 44, 30), (20.5, 21, 14.5), 6.0)
    found = learned(volume(voxels), None, CT)
    assert _dice(found.mask, true) > 0.8
    assert "network" in found.note
    assert regions.otsu(voxels).mask.shape == found.mask.shape


@pytest.mark.parametrize("preset", [CT, MR], ids=["ct", "mr"])
def test_nothing_outside_the_field_changes_the_region(volume, ball, preset):
    voxels = _scan(ball) + 1000
    x, y, z = (
        np.abs(np.arange(n) - (n - 1) / 2) <= f / 2 + 1
        for n, f in zip(voxels.shape, FIELD, strict=True)
    )
    inside = x[:, None, None] & y[None, :, None] & z[None, None, :]
    other = np.where(inside, voxels, np.float32(1500))
    one, two = (make_field_patch(volume(v), FIELD, preset) for v in (voxels, other))
    assert (one.roi == two.roi).all()
    assert (one.image == two.image).all()
    assert 0 < one.roi.sum() < 24 * 20 * 8
    assert any("within the central field" in note for note in one.notes)


def test_how_far_a_grid_reaches_beyond_its_field_does_not_matter(ball):
    image = _scan(ball, (24, 20, 8), (11.5, 9.5, 3.5)) / 1000
    near = finder.probabilities(image, np.ones(image.shape, bool))
    wide = np.pad(image, ((4, 4), (6, 6), (10, 10)), constant_values=7)
    valid = np.pad(np.ones(image.shape, bool), ((4, 4), (6, 6), (10, 10)))
    far = finder.probabilities(wide, valid)
    assert (far[~valid] == 0).all()
    assert (far[valid].reshape(near.shape) == near).all()


def test_a_field_of_any_number_of_points_can_be_asked(ball):
    for shape in [(5, 7, 3), (22, 22, 4), (1, 9, 2)]:
        found = finder.find(_scan(ball, shape, (2, 3, 1), 1.5) / 1000, np.ones(shape, bool))
        assert found.mask.shape == shape
        assert found.mask.any()


@pytest.mark.parametrize(
    ("scenes", "floor"), [(("lesion-ct",), 0.7), (("lesion-soft", "lesion-mr"), 0.5)]
)
def test_fresh_synthetic_lesions_are_found_and_better_than_by_otsu(scenes, floor):
    plan = TaskPlan(n_tasks=4, n_query=1, n_shot=3, scenes=scenes, factors=("size", "contrast"))
    tasks = sample_tasks(plan, torch.Generator().manual_seed(77))
    images = tasks.image.flatten(0, 2).numpy()
    rois = tasks.roi.flatten(0, 2).numpy() > 0
    everywhere = np.ones(plan.shape, bool)
    ours = [_dice(finder.find(i, everywhere).mask, r) for i, r in zip(images, rois, strict=True)]
    otsu = [_dice(regions.otsu(i).mask, r) for i, r in zip(images, rois, strict=True)]
    assert np.mean(ours) > floor
    assert np.mean(ours) > np.mean(otsu) + 0.1


def test_the_same_scan_gives_the_same_bytes(volume, ball, fresh):
    scan = volume(_scan(ball))
    one = finder.probabilities(_scan(ball) / 1000, np.ones((40, 44, 30), bool)).tobytes()
    region = learned(scan, None, CT).mask.tobytes()
    finder._network.cache_clear()
    again = finder.probabilities(_scan(ball) / 1000, np.ones((40, 44, 30), bool)).tobytes()
    assert one == again
    assert learned(scan, None, CT).mask.tobytes() == region


def test_a_large_scan_is_looked_at_on_a_coarser_grid(volume, ball):
    shape = (260, 200, 150)
    true = ball(shape, (130, 100, 75), 50.0)
    voxels = np.where(true, 40, -850).astype(np.float32)
    region = learned(volume(voxels), None, CT)
    low, high = region.bounds()
    assert region.stride == (3, 2, 2)
    np.testing.assert_allclose((low + high) / 2, (129.5, 99.5, 74.5), atol=6)
    np.testing.assert_allclose(high - low, 101, atol=25)


def test_where_nothing_is_clear_the_best_guess_is_used_and_said(volume, ball, monkeypatch):
    monkeypatch.setattr(finder, "THRESHOLD", 1.0)
    patch = make_patch(volume(_scan(ball)), None, CT)
    assert patch.roi.sum() > 0
    assert any("found no clear region" in note for note in patch.notes)


def test_a_constant_scan_is_refused(volume):
    with pytest.raises(ScanReadError, match="same value"):
        make_patch(volume(np.full((20, 20, 20), 5.0)), None, CT)


def test_a_field_smaller_than_the_grid_is_refused(volume, ball):
    with pytest.raises(FieldError, match="smaller than the grid"):
        make_field_patch(volume(_scan(ball)), (10.0, 10.0, 1.5), CT)


def test_the_shipped_weights_are_those_that_the_code_knows():
    assert sha256(finder.WEIGHTS.read_bytes()) == finder.SHA256


@pytest.mark.parametrize("damage", ["changed", "cut", "missing"])
def test_damaged_weights_are_refused(tmp_path, monkeypatch, damage, fresh):
    content, path = bytearray(finder.WEIGHTS.read_bytes()), tmp_path / "weights.safetensors"
    content[-5] ^= 1
    if damage != "missing":
        path.write_bytes(content if damage == "changed" else content[:-100])
    monkeypatch.setattr(finder, "WEIGHTS", path)
    with pytest.raises(IntegrityError, match="Install medfs again"):
        finder.probabilities(np.zeros((8, 8, 8), np.float32), np.ones((8, 8, 8), bool))


@pytest.mark.shared
def test_real_nodules_are_found(shared_data):
    from medfs.scans import read_mask, read_volume

    folder = shared_data / "cohorts" / "lung_nodules"
    with (folder / "ratings.csv").open() as file:
        rows = list(csv.DictReader(file))[::40]
    ours, otsu = [], []
    for row in rows:
        scan = read_volume(folder / row["image"])
        true = read_mask(folder / row["mask"], scan)
        ours.append(_dice(learned(scan, None, CT).mask, true))
        otsu.append(_dice(regions.otsu(scan.voxels[0]).mask, true))
    assert np.mean(ours) > 0.55
    assert np.mean(ours) > np.mean(otsu) + 0.1
