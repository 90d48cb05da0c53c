import time
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from medfs.metrics.discrimination import auroc
from medfs.synthesis.cohorts import simulate_cohort


@pytest.fixture(scope="module")
def cases():
    return list(simulate_cohort(24, seed=0))


def spacing(case):
    return np.diag(case.affine)[:3]


def volume(case):
    """Of the nodule, in mm³."""
    return case.mask.sum() * spacing(case).prod()


def same(a, b):
    equal = all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("voxels", "mask", "affine"))
    return equal and (a.case_id, a.patient_id, a.label) == (b.case_id, b.patient_id, b.label)


def spread(case):
    """Reach of the nodule relative to its size: a plain measure of spicules."""
    points = np.argwhere(case.mask) * spacing(case)
    return np.linalg.norm(points - points.mean(axis=0), axis=1).max() / volume(case) ** (1 / 3)


def test_same_seed_same_bytes(cases):
    assert all(map(same, cases[:6], simulate_cohort(3, seed=0)))


def test_a_case_does_not_depend_on_how_many_are_simulated(cases):
    few = list(simulate_cohort(3, seed=0))
    assert len(few) == 6
    assert all(map(same, cases, few))


def test_a_case_does_not_depend_on_the_number_of_threads(cases):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert same(cases[0], next(simulate_cohort(1, seed=0)))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_seeds_differ(cases):
    assert not same(cases[0], next(simulate_cohort(1, seed=1)))


def test_both_classes_have_as_many_cases_as_asked_for(cases):
    assert Counter(c.label for c in cases) == {"smooth": 24, "spiculated": 24}
    assert len({c.case_id for c in cases}) == 48


def test_some_patients_have_two_nodules_of_one_class_and_one_scanner(cases):
    by_patient = {}
    for case in cases:
        by_patient.setdefault(case.patient_id, []).append(case)
    twice = [found for found in by_patient.values() if len(found) > 1]
    assert len(twice) == 6
    for first, second in twice:
        assert first.label == second.label
        np.testing.assert_array_equal(first.affine, second.affine)
        assert not np.array_equal(first.voxels, second.voxels)


def test_a_demo_of_twelve_has_two_such_patients():
    patients = Counter(c.patient_id for c in simulate_cohort(12, seed=3))
    assert sorted(patients.values())[-3:] == [1, 2, 2]


def test_types_and_geometry(cases):
    for case in cases:
        assert case.voxels.dtype == np.int16
        assert case.mask.dtype == np.bool_
        assert case.mask.shape == case.voxels.shape
        x, y, z = spacing(case)
        assert 0.55 <= x == y <= 0.95
        assert z in {1.0, 1.25, 1.5, 2.0, 2.5}
        np.testing.assert_array_equal(case.affine[:3, :3], np.diag((x, y, z)))
        np.testing.assert_array_equal(case.affine[3], (0, 0, 0, 1))
        extent = np.array(case.voxels.shape) * (x, y, z)
        np.testing.assert_allclose(extent, 40, atol=1.3)


def test_nodules_lie_inside_the_crop(cases):
    for case in cases:
        places = np.argwhere(case.mask)
        assert len(places) >= 40
        assert (places.min(axis=0) > 0).all()
        assert (places.max(axis=0) < np.array(case.mask.shape) - 1).all()


def test_intensities_are_those_of_a_chest_ct(cases):
    for case in cases:
        assert case.voxels.min() >= -1024
        assert case.voxels.max() < 400
        away = case.voxels[~binary_dilation(case.mask, iterations=3)]
        lung = np.median(away[away < -500])
        assert -950 < lung < -750
        core = np.median(case.voxels[case.mask])
        assert -600 < core < 150
        assert core > lung + 200


def test_size_and_field_of_view_do_not_give_the_class_away(cases):
    spiculated = np.array([c.label == "spiculated" for c in cases])
    sizes = np.array([volume(c) for c in cases])
    # Equal distributions: with 24 per class the AUROC has a standard error of .08.
    assert auroc(sizes, spiculated) == pytest.approx(0.5, abs=0.2)
    for axis in (0, 2):
        extents = np.array([c.voxels.shape[axis] * spacing(c)[axis] for c in cases])
        assert auroc(extents, spiculated) == pytest.approx(0.5, abs=0.2)
    diameters = (6 * sizes / np.pi) ** (1 / 3)
    assert (diameters > 5.5).all()
    assert (diameters < 20).all()


def test_shape_tells_the_classes_apart_but_not_perfectly(cases):
    spiculated = np.array([c.label == "spiculated" for c in cases])
    assert 0.8 < auroc(np.array([spread(c) for c in cases]), spiculated) < 1


def test_a_case_takes_tens_of_milliseconds():
    start = time.process_time()
    list(islice(simulate_cohort(10, seed=5), 20))
    # About .05 s on a quiet machine; the bound leaves room for a busy one.
    assert (time.process_time() - start) / 20 < 0.15
