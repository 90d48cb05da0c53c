"""Prediction sets from a support: nobody's strangeness comes from a classifier that saw them."""

import numpy as np
import pytest
import torch

from medfs.calibration.sets import cross_sets, split_sets
from medfs.core.prediction_sets import CV, JACKKNIFE, SPLIT, strangeness
from medfs.mappers.prototype import Prototype


def mapper():
    return Prototype(8).double()


def asked(n=40, seed=9):
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("make", [cross_sets, split_sets])
@pytest.mark.parametrize("per_patient", [1, 3])
def test_a_patient_is_judged_by_a_classifier_that_did_not_see_it(
    support, watched, make, per_patient
):
    given = support(0, 3, 4, cases_per_patient=per_patient)
    rows = given.features.joined().tolist()
    mapping = watched(mapper())
    sets = make(given, mapping, 1.0, seed=0)
    assert len(mapping.seen) == len(sets.members)
    seen_patients = [
        {p for row, p in zip(rows, given.patients.tolist(), strict=True) if tuple(row) in seen}
        for seen in mapping.seen
    ]
    for score, label, member in zip(
        sets.scores, sets.labels.tolist(), sets.member.tolist(), strict=True
    ):
        theta = sets.members[member]
        own = strangeness(theta(given.features.joined()))[:, label]
        unseen = [p not in seen_patients[member] for p in given.patients.tolist()]
        worst = {
            float(own[(given.patients == p) & (given.labels == label)].max())
            for p in given.patients[given.labels == label].unique().tolist()
            if unseen[given.patients.tolist().index(p)]
        }
        assert min(abs(float(score) - w) for w in worst) < 1e-9


def test_every_patient_is_left_out_alone_and_counts_once(support):
    sets = cross_sets(support(1, 2, 6, cases_per_patient=2), mapper(), 1.0, seed=0)
    assert (sets.method, len(sets.members)) == (JACKKNIFE, 12)
    assert sets.n_patients.tolist() == [6, 6]
    assert sets.highest == pytest.approx(6 / 7)


def test_many_patients_are_left_out_in_groups(support):
    sets = cross_sets(support(1, 2, 25), mapper(), 1.0, seed=0)
    assert (sets.method, len(sets.members), len(sets.scores)) == (CV, 40, 50)
    assert sets.n_folds == (20, 20)
    assert sets.guaranteed(0.9) < 0.8


def test_half_of_every_class_is_held_out_by_split(support):
    sets = split_sets(support(1, 2, 7), mapper(), 1.0, seed=0)
    assert (sets.method, len(sets.members)) == (SPLIT, 1)
    assert sets.n_patients.tolist() == [3, 3]
    assert sets.guaranteed(0.7) == 0.7


@pytest.mark.parametrize("make", [cross_sets, split_sets])
def test_a_class_of_one_patient_gives_no_sets(support, make):
    assert make(support(1, 2, 1), mapper(), 1.0, seed=0) is None


@pytest.mark.parametrize("make", [cross_sets, split_sets])
def test_the_same_support_in_another_order_gives_the_same_sets(support, make):
    given = support(2, 2, 5)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    one = make(given, mapper(), 1.3, seed=4)
    other = make(given.subset(order), mapper(), 1.3, seed=4)
    torch.testing.assert_close(one.p_values(asked()), other.p_values(asked()))


def test_a_positive_temperature_matters_for_several_classes_alone(support):
    given = support(2, 2, 5)
    one, other = (cross_sets(given, mapper(), t, 0).p_values(asked()) for t in (1.0, 7.0))
    assert torch.equal(one, other)


@pytest.mark.parametrize("make", [cross_sets, split_sets])
def test_sets_of_new_patients_hold_their_class_as_often_as_promised(support, make):
    """Thousands of new patients of the same simulated cohort, class by class."""
    level, held = 0.75, []
    for seed in range(25):
        given = support(seed, 2, 12, gap=1.0)
        sets = make(given, mapper(), 1.0, seed)
        new = support(1000 + seed, 2, 50, gap=1.0)
        kept = sets(new.features.joined(), level)
        held.append([kept[new.labels == k, k].double().mean().item() for k in range(2)])
    per_class = np.mean(held, axis=0)
    assert (per_class >= sets.guaranteed(level) - 0.03).all()
    # Counts are whole: what is reached lies less than one patient above what was asked for.
    one = 1 / (int(sets.n_patients.min()) + 1)
    assert ((per_class > level - 0.05) & (per_class < level + one + 0.05)).all()
