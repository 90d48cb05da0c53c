"""AUROC by leaving pairs of patients out."""

import pytest
import torch

from medfs.calibration.performance import leave_pair_out_auroc
from medfs.core.episodes import SupportSet
from medfs.mappers.prototype import Prototype
from medfs.mappers.ridge import Ridge


@pytest.mark.parametrize("mapper", [Prototype, Ridge])
def test_separable_classes_score_one_with_an_interval_below_it(support, mapper):
    found = leave_pair_out_auroc(support(0, gap=50.0, n_features=1), mapper(1).double(), 0)
    assert found.auroc == 1
    assert 0.3 < found.low < 1
    assert found.high == 1


@pytest.mark.parametrize("mapper", [Prototype, Ridge])
def test_pure_noise_scores_one_half_on_average(support, mapper):
    found = [
        leave_pair_out_auroc(support(seed, n_patients=4), mapper(8).double(), seed).auroc
        for seed in range(120)
    ]
    # The standard error of the mean of 120 such estimates is about 0.02.
    assert sum(found) / len(found) == pytest.approx(0.5, abs=0.05)


def test_no_classifier_sees_the_pair_it_ranks(support, watched):
    given = support(0, n_patients=3, cases_per_patient=2)
    mapper = watched(Prototype(8).double())
    leave_pair_out_auroc(given, mapper, 0)
    assert len(mapper.seen) == 9
    assert {len(rows) for rows in mapper.seen} == {len(given) - 4}


def test_a_class_with_one_patient_has_no_estimate(support):
    assert leave_pair_out_auroc(support(0, n_patients=1), Ridge(8), 0) is None


def test_every_pair_of_classes_is_reported_and_the_mean_lies_within_its_limits(support):
    found = leave_pair_out_auroc(support(0, n_way=3, n_patients=4, gap=3.0), Ridge(8), 0)
    assert [(p.first, p.second) for p in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    for name in ("auroc", "low", "high"):
        of_pairs = [getattr(pair, name) for pair in found.pairs]
        assert getattr(found, name) == pytest.approx(sum(of_pairs) / 3)
    assert found.low <= found.auroc <= found.high
    assert found.auroc == pytest.approx(sum(p.auroc for p in found.pairs) / 3)


def test_naming_the_classes_the_other_way_round_mirrors_nothing(support):
    given = support(1, gap=1.0)
    swapped = SupportSet(given.features, 1 - given.labels, given.patients, given.class_names)
    one, other = (leave_pair_out_auroc(s, Prototype(8).double(), 0).auroc for s in (given, swapped))
    assert one == pytest.approx(other)


def test_identical_features_count_one_half(support):
    given = support(0, n_patients=3)
    from medfs.core.features import Features

    flat = Features({"made": torch.zeros_like(given.features.joined())})
    same = SupportSet(flat, given.labels, given.patients, given.class_names)
    assert leave_pair_out_auroc(same, Prototype(8).double(), 0).auroc == 0.5
