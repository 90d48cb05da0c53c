"""Curves, DeLong and decision curves against scikit-learn and written-out sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from medfs.metrics.curves import precision_recall_curve, roc_curve
from medfs.metrics.decision_curve import decision_curve
from medfs.metrics.delong import delong, delong_interval
from medfs.metrics.discrimination import auroc

pairs = st.integers(2, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(-3, 3), min_size=2 * n, max_size=2 * n),
        st.permutations([True, False] * n),
    )
)


def arrays(drawn):
    scores, positive = drawn
    return np.array(scores, float), np.array(positive)


@given(pairs)
def test_roc_is_that_of_scikit_learn(drawn):
    scores, positive = arrays(drawn)
    ours = roc_curve(scores, positive)
    alarms, sensitivity, thresholds = reference.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(ours.false_alarms, alarms)
    np.testing.assert_allclose(ours.sensitivity, sensitivity)
    np.testing.assert_allclose(ours.thresholds, thresholds)
    area = np.trapezoid(ours.sensitivity, ours.false_alarms)
    assert area == pytest.approx(auroc(scores, positive))


@given(pairs)
def test_precision_and_recall_are_those_of_scikit_learn(drawn):
    scores, positive = arrays(drawn)
    ours = precision_recall_curve(scores, positive)
    precision, recall, thresholds = reference.precision_recall_curve(positive, scores)
    np.testing.assert_allclose(ours.precision, precision[-2::-1])
    np.testing.assert_allclose(ours.recall, recall[-2::-1])
    np.testing.assert_allclose(ours.thresholds, thresholds[::-1])


@given(pairs, st.integers(2, 9))
def test_weighted_precision_is_that_of_scikit_learn(drawn, often):
    scores, positive = arrays(drawn)
    weights = np.where(positive, 1.0, often)
    ours = precision_recall_curve(scores, positive, weights)
    precision, recall, _ = reference.precision_recall_curve(positive, scores, sample_weight=weights)
    np.testing.assert_allclose(ours.precision, precision[-2::-1])
    np.testing.assert_allclose(ours.recall, recall[-2::-1])
    assert (ours.precision_limits[:, 0] <= ours.precision + 1e-12).all()
    assert (ours.precision_limits[:, 1] >= ours.precision - 1e-12).all()


@given(pairs)
def test_limits_hold_their_points(drawn):
    scores, positive = arrays(drawn)
    roc, pr = roc_curve(scores, positive), precision_recall_curve(scores, positive)
    for points, limits in (
        (roc.sensitivity, roc.sensitivity_limits),
        (roc.false_alarms, roc.false_alarms_limits),
        (pr.precision, pr.precision_limits),
    ):
        assert ((limits[:, 0] <= points + 1e-12) & (points <= limits[:, 1] + 1e-12)).all()


@given(pairs)
def test_delong_is_the_written_out_sum(drawn):
    scores, positive = arrays(drawn)
    above, below = scores[positive], scores[~positive]
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    v10, v01 = wins.mean(axis=1), wins.mean(axis=0)
    mean, variance = delong(scores, positive)
    assert mean == pytest.approx(auroc(scores, positive))
    assert variance == pytest.approx(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01))
    low, high = delong_interval(scores, positive)
    assert 0 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1
    flipped = delong_interval(-scores, positive)
    np.testing.assert_allclose(flipped, (1 - high, 1 - low), atol=1e-12)


def test_delong_covers_where_one_scorer_is_given_and_cases_are_many():
    rng = np.random.default_rng(0)
    positive = np.repeat([False, True], 60)
    truth, held = 0.7602499389065233, 0  # Φ(1 / √2): unit normals, one apart
    for _ in range(400):
        low, high = delong_interval(rng.normal(size=120) + positive, positive)
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.98


@given(pairs, st.floats(0.05, 0.95))
def test_net_benefit_is_the_written_out_sum(drawn, threshold):
    scores, positive = arrays(drawn)
    probabilities = 1 / (1 + np.exp(-scores))
    curve = decision_curve(probabilities, positive, np.array([threshold]))
    acted = probabilities >= threshold
    benefit = (acted & positive).sum() - (acted & ~positive).sum() * threshold / (1 - threshold)
    assert curve.model[0] == pytest.approx(benefit / len(positive))
    everybody = positive.sum() - (~positive).sum() * threshold / (1 - threshold)
    assert curve.everybody[0] == pytest.approx(everybody / len(positive))


def test_prevalence_reweights_the_classes():
    probabilities, positive = np.array([0.2, 0.6, 0.7, 0.9]), np.array([False, False, True, True])
    repeated = np.r_[np.repeat(probabilities[:2], 9), probabilities[2:]]
    labels = np.r_[np.zeros(18, bool), np.ones(2, bool)]
    thresholds = np.linspace(0, 0.9, 10)
    wanted = decision_curve(repeated, labels, thresholds)
    found = decision_curve(probabilities, positive, thresholds, prevalence=0.1)
    np.testing.assert_allclose(found.model, wanted.model)
    np.testing.assert_allclose(found.everybody, wanted.everybody)


def test_weights_say_how_common_the_other_classes_are():
    probabilities = np.array([0.2, 0.6, 0.7, 0.9])
    positive, thresholds = np.array([False, False, False, True]), np.linspace(0, 0.9, 10)
    often = np.array([1, 5, 1, 1])
    wanted = decision_curve(
        np.repeat(probabilities, often), np.repeat(positive, often), thresholds, 0.3
    )
    found = decision_curve(probabilities, positive, thresholds, 0.3, often.astype(float))
    np.testing.assert_allclose(found.model, wanted.model)


def test_one_class_has_no_curve():
    ones = np.ones(4, bool)
    for made in (roc_curve, precision_recall_curve):
        with pytest.raises(ValueError, match="both classes"):
            made(np.arange(4.0), ones)
    with pytest.raises(ValueError, match="both classes"):
        decision_curve(np.full(4, 0.5), ones, np.array([0.5]))
    with pytest.raises(ValueError, match="two of each"):
        delong(np.arange(4.0), np.array([True, True, True, False]))
