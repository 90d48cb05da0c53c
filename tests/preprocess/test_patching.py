"""From a scan to a patch: where it lies, what it holds, what it never reads."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfs.core.errors import GeometryError, ScanReadError
from medfs.preprocess.patching import make_field_patch, make_patch
from medfs.preprocess.presets import load_preset

CT = load_preset("ct-lung")
WHOLE = replace(CT, region="whole")


def _volume_of(roi, spacing):
    return float(roi.sum()) * float(np.prod(np.asarray(spacing)))


def _scan(shape, seed=0):
    return np.random.default_rng(seed).uniform(-1000, 400, shape).astype(np.float32)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 2.5), (1.5, 0.6, 1.0)])
@pytest.mark.parametrize("radius", [5.0, 11.0])
def test_a_ball_keeps_its_volume_and_its_place(volume, ball, spacing, radius):
    shape = tuple(round(60 / s) for s in spacing)
    centre = [n / 2 - 1.3 for n in shape]
    roi = ball(shape, centre, radius, spacing)
    patch = make_patch(volume(_scan(shape), spacing), roi, CT)
    kept = _volume_of(patch.roi, patch.spacing)
    assert kept == pytest.approx(_volume_of(roi, spacing), rel=0.06)
    where = np.argwhere(patch.roi[0].numpy()).mean(axis=0)
    np.testing.assert_allclose(where, 23.5, atol=1.3)  # half a slice


@settings(max_examples=5)
@given(st.integers(0, 1000), st.tuples(*[st.floats(0.6, 1.6)] * 3))
def test_random_blobs_keep_their_volume(volume, seed, spacing):
    from scipy import ndimage

    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(24, 24, 24)), 4)
    # A region that the scan cuts off has a flat face, whose place on the grid is a matter of luck.
    field[[0, -1]] = field[:, [0, -1]] = field[:, :, [0, -1]] = field.min()
    roi = field > np.quantile(field, 0.85)
    patch = make_patch(volume(_scan(roi.shape), spacing), roi, CT)
    expected = _volume_of(roi, spacing)
    assert _volume_of(patch.roi, patch.spacing) == pytest.approx(expected, rel=0.1)


@pytest.mark.shared
def test_real_nodules_keep_their_volume(shared_data):
    from medfs.scans import read_mask, read_volume

    folder = shared_data / "cohorts" / "lung_nodules"
    with (folder / "ratings.csv").open() as file:
        names = [p.name for p in sorted((folder / "masks").iterdir())][:: 994 // 6]
        assert next(csv.reader(file))
    for name in names:
        scan = read_volume(folder / "images" / name)
        mask = read_mask(folder / "masks" / name, scan)
        patch = make_patch(scan, mask, CT)
        kept = _volume_of(patch.roi, patch.spacing)
        assert kept == pytest.approx(_volume_of(mask, scan.spacing), rel=0.15), name


def test_a_region_that_does_not_fit_enlarges_the_grid_and_says_so(volume, ball):
    roi = ball((120, 90, 80), (60, 45, 40), 36.0)
    patch = make_patch(volume(_scan(roi.shape)), roi, CT)
    factor = (73 + 2 * CT.margin_mm) / 48
    np.testing.assert_allclose(patch.spacing.numpy(), factor, rtol=1e-6)
    assert any("does not fit" in note for note in patch.notes)
    inside = np.argwhere(patch.roi[0].numpy())
    assert inside.min() > 0
    assert inside.max() < 47
    assert _volume_of(patch.roi, patch.spacing) == pytest.approx(roi.sum(), rel=0.06)


def test_a_region_of_one_voxel_stays(volume):
    roi = np.zeros((40, 40, 40), bool)
    roi[7, 30, 2] = True
    for spacing in [(0.3, 0.3, 0.3), (1.0, 1.0, 1.0), (3.0, 3.0, 5.0)]:
        patch = make_patch(volume(_scan(roi.shape), spacing), roi, CT)
        assert patch.roi.sum() >= 1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_scan_gives_the_mirrored_patch(volume, ball, axis):
    spacing = (0.8, 1.1, 1.7)
    roi, voxels = ball((50, 44, 30), (20, 25, 13), 9.0, spacing), _scan((50, 44, 30))
    one = make_patch(volume(voxels, spacing), roi, CT)
    affine = np.diag([*spacing, 1.0])
    affine[axis, 3] = -7.0
    other = make_patch(volume(np.flip(voxels, axis), affine=affine), np.flip(roi, axis), CT)
    np.testing.assert_allclose(other.image.flip(axis + 1).numpy(), one.image.numpy(), atol=1e-4)
    assert (other.roi.flip(axis + 1) == one.roi).float().mean() > 0.9999


def test_where_the_scan_lies_in_the_world_does_not_matter(volume, ball):
    roi, voxels = ball((30, 30, 30), (15, 14, 16), 6.0), _scan((30, 30, 30))
    moved = np.eye(4)
    moved[:3, 3] = (100, -250, 33)
    one = make_patch(volume(voxels), roi, CT)
    other = make_patch(volume(voxels, affine=moved), roi, CT)
    assert (one.image == other.image).all()


def test_hu_are_mapped_by_the_window_and_clipped(volume, ball):
    roi = ball((40, 40, 40), (20, 20, 20), 8.0)
    for hu, expected in [(-3000.0, -1), (-1000.0, -1), (0.0, 0), (500.0, 0.5), (4000.0, 1)]:
        patch = make_patch(volume(np.full(roi.shape, hu, np.float32)), roi, CT)
        assert (patch.image - expected).abs().max() < 1e-6


def test_mr_does_not_depend_on_the_scale_of_its_intensities(volume, ball):
    roi, voxels = ball((40, 40, 40), (20, 20, 20), 8.0), _scan((40, 40, 40)) + 1000
    one = make_patch(volume(voxels), roi, load_preset("mr"))
    other = make_patch(volume(37 * voxels), roi, load_preset("mr"))
    np.testing.assert_allclose(one.image.numpy(), other.image.numpy(), atol=1e-3)


@pytest.mark.parametrize("preset", ["mr", "pet", "shape"])
def test_a_constant_scan_is_refused_where_it_has_no_scale(volume, preset):
    with pytest.raises(ScanReadError, match="same value"):
        make_patch(volume(np.full((20, 20, 20), 3.0)), None, load_preset(preset))


FIELD = (24.0, 20.0, 18.0)


@pytest.mark.parametrize("preset", ["ct-lung", "mr", "pet"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 2.5), (0.9, 1.3, 6.0)])
@pytest.mark.parametrize("size", [40, 41])
def test_a_field_patch_never_reads_voxels_outside_its_field(volume, preset, spacing, size):
    """A voxel of which no part lies in the field may hold anything."""
    voxels = _scan((size, size, size))
    x, y, z = (
        (np.abs(np.arange(size) - (size - 1) / 2) - 0.5) * step < length / 2 - 1e-6
        for step, length in zip(spacing, FIELD, strict=True)
    )
    inside = x[:, None, None] & y[None, :, None] & z[None, None, :]
    other = np.where(inside, voxels, -1000.0 if preset == "ct-lung" else 3e4).astype(np.float32)
    one = make_field_patch(volume(voxels, spacing), FIELD, load_preset(preset))
    two = make_field_patch(volume(other, spacing), FIELD, load_preset(preset))
    assert (one.image == two.image).all()
    assert (one.roi == two.roi).all()


def test_a_field_patch_is_the_same_for_a_scan_with_more_around_it(volume):
    voxels = _scan((40, 40, 40))
    larger = np.pad(voxels, 6, constant_values=-1000)
    one = make_field_patch(volume(voxels), FIELD, WHOLE)
    two = make_field_patch(volume(larger), FIELD, WHOLE)
    np.testing.assert_allclose(one.image.numpy(), two.image.numpy(), atol=1e-5)
    assert (one.roi == two.roi).all()
    assert one.roi.sum() == 24 * 20 * 18


def test_a_scan_smaller_than_the_field_is_refused(volume):
    with pytest.raises(GeometryError, match="smaller"):
        make_field_patch(volume(_scan((40, 40, 17))), FIELD, CT)
    make_field_patch(volume(_scan((24, 20, 18))), FIELD, CT)


def test_a_field_larger_than_the_grid_coarsens_it(volume):
    patch = make_field_patch(volume(_scan((100, 60, 60))), (96.0, 48.0, 48.0), WHOLE)
    np.testing.assert_allclose(patch.spacing.numpy(), 2.0)
    assert patch.roi.sum() == 48 * 24 * 24


def test_beyond_its_field_a_patch_repeats_the_edge(volume):
    patch = make_field_patch(volume(_scan((60, 60, 60))), FIELD, WHOLE)
    image = patch.image[0].numpy()
    inside = image[12:36, 14:34, 15:33]
    np.testing.assert_array_equal(image, np.pad(inside, ((12, 12), (14, 14), (15, 15)), "edge"))
    assert patch.roi[0, 12:36, 14:34, 15:33].all()
