"""What the guard measures: known values, and no dependence on how a scan is laid out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from medfs.core.errors import DataError
from medfs.core.measured import MEASURES, Measured
from medfs.preprocess.measure import _brighter, measure
from medfs.preprocess.patching import make_patch
from medfs.preprocess.presets import load_preset

LUNG = load_preset("ct-lung")


@pytest.fixture
def nodule(volume, ball):
    """A ball of −100 HU in −800 HU, with noise of 20 HU."""
    mask = ball((50, 48, 46), (24.5, 23.5, 22.5), 6.0)
    noise = np.random.default_rng(0).normal(0, 20, mask.shape)
    return volume((np.where(mask, -100, -800) + noise).astype(np.float32), modality="CT"), mask


def named(volume, mask):
    found = measure(volume, make_patch(volume, mask, LUNG))
    return dict(zip(MEASURES, found.values.tolist(), strict=True))


def test_known_values(nodule):
    found = named(*nodule)
    assert found["log_finest_mm"] == found["log_coarsest_mm"] == 0
    assert np.exp(found["log_roi_mm3"]) == pytest.approx(nodule[1].sum(), rel=1e-6)
    assert found["roi_median"] == pytest.approx(-0.1, abs=0.01)
    assert found["near_median"] == pytest.approx(-0.8, abs=0.01)
    assert found["roi_p10"] < found["roi_median"] < found["roi_p90"]
    assert found["flat"] == 0
    # The difference from the mean of six neighbours has variance 7/6 that of the noise.
    expected = 0.6745 * 0.02 * np.sqrt(7 / 6)
    assert np.exp(found["log_noise"]) - 0.01 == pytest.approx(expected, rel=0.2)


def test_where_the_mask_outlines_nothing_half_of_all_pairs_are_brighter(nodule, volume):
    scan, mask = nodule
    assert named(*nodule)["brighter"] > 0.99
    assert named(volume(-900 - scan.voxels[0], modality="CT"), mask)["brighter"] < 0.01
    beside = np.roll(mask, (14, 0, 0), axis=(0, 1, 2))
    assert named(scan, beside)["brighter"] == pytest.approx(0.5, abs=0.05)


def test_how_much_brighter_does_not_depend_on_unit_or_contrast(volume, ball):
    mr, mask = load_preset("mr"), ball((50, 48, 46), (24.5, 23.5, 22.5), 6.0)
    voxels = np.random.default_rng(0).normal(100, 20, mask.shape) + 15 * mask
    found = [
        measure(scan, make_patch(scan, mask, mr)).values[MEASURES.index("brighter")]
        for scan in (volume(voxels.astype(np.float32)), volume((7 * voxels).astype(np.float32)))
    ]
    assert 0.6 < float(found[0]) < 0.8
    assert float(found[0]) == pytest.approx(float(found[1]), abs=1e-3)


def test_brighter_is_the_statistic_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 9, 70).astype(float), rng.integers(2, 9, 50).astype(float)
    expected = mannwhitneyu(one, other).statistic / (70 * 50)
    assert _brighter(one, other) == pytest.approx(expected, abs=1e-12)


def test_without_a_rim_there_is_nothing_to_be_brighter_than(volume):
    voxels = np.random.default_rng(0).normal(-500, 50, (60, 60, 60)).astype(np.float32)
    scan = volume(voxels, modality="CT")
    patch = make_patch(scan, np.ones(voxels.shape, dtype=bool), LUNG)
    whole = replace(patch, roi=torch.ones_like(patch.roi))
    assert float(measure(scan, whole).values[MEASURES.index("brighter")]) == 0.5


def test_a_mirrored_scan_measures_the_same(nodule, volume):
    scan, mask = nodule
    mirrored = volume(np.ascontiguousarray(scan.voxels[0][::-1, :, ::-1]))
    flipped = named(mirrored, np.ascontiguousarray(mask[::-1, :, ::-1]))
    assert flipped == pytest.approx(named(scan, mask), abs=1e-5)


def test_blank_slices_are_flat(nodule, volume):
    voxels = nodule[0].voxels[0].copy()
    voxels[:, :, 22:] = 0
    assert named(volume(voxels), nodule[1])["flat"] > 0.3


def test_spacings_are_those_of_the_scan(volume, ball):
    spacing = (0.5, 0.5, 3.0)
    mask = ball((60, 60, 12), (30, 30, 6), 6.0, spacing)
    found = named(volume(np.where(mask, 0.0, -800.0), spacing), mask)
    assert np.exp([found["log_finest_mm"], found["log_coarsest_mm"]]) == pytest.approx([0.5, 3.0])


def test_plain_and_back_is_the_same_bit_by_bit(nodule):
    found = measure(nodule[0], make_patch(*nodule, LUNG))
    back = Measured.from_plain(found.plain())
    assert torch.equal(back.values, found.values)
    assert back.modality == found.modality == "CT"


@pytest.mark.parametrize("change", [{"measures": [1.0]}, {"measures": None}, {"modality": 3}])
def test_other_measures_are_not_taken_for_these(nodule, change):
    plain = measure(nodule[0], make_patch(*nodule, LUNG)).plain()
    with pytest.raises((ValueError, TypeError)):
        Measured.from_plain({**plain, **change})


def test_an_empty_mask_is_refused_in_words(nodule):
    with pytest.raises(DataError, match="the region is empty") as error:
        make_patch(nodule[0], np.zeros_like(nodule[1]), LUNG)
    assert error.value.todo
