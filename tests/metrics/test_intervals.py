import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from medfs.metrics.discrimination import auroc
from medfs.metrics.intervals import (
    learner_auroc,
    newcombe_auroc,
    patient_bootstrap_weights,
    percentile_interval,
    wilson,
)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy(pair):
    successes, n = pair
    expected = binomtest(successes, n).proportion_ci(0.9, method="wilson")
    assert wilson(successes, n, 0.9) == pytest.approx(tuple(expected), abs=1e-9)


def test_wilson_published_example():
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_reaches_the_ends():
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1


@given(st.floats(0, 1), st.integers(1, 60), st.integers(1, 60))
def test_newcombe_limits_enclose_the_estimate(theta, m, n):
    low, high = newcombe_auroc(theta, m, n)
    assert 0 <= low <= theta <= high <= 1
    assert high - low > 0


@given(st.floats(0.01, 0.99), st.integers(2, 60), st.integers(2, 60))
def test_newcombe_limits_solve_their_equation(theta, m, n):
    """The quartic that squaring |θ̂ − θ| = z √V(θ) leads to vanishes at both limits."""
    star = (m + n) / 2 - 1
    for limit in newcombe_auroc(theta, m, n):
        bracket = 1 + star * (1 - limit) / (2 - limit) + star * limit / (1 + limit)
        variance = limit * (1 - limit) * bracket / (m * n)
        assert (theta - limit) ** 2 == pytest.approx(norm.ppf(0.975) ** 2 * variance, abs=1e-9)


@given(st.floats(0, 1), st.integers(1, 60), st.integers(1, 60))
def test_newcombe_is_symmetric(theta, m, n):
    low, high = newcombe_auroc(theta, m, n)
    mirrored = newcombe_auroc(1 - theta, n, m)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-7)


def test_newcombe_keeps_a_width_at_the_ends():
    low, high = newcombe_auroc(1, 10, 10)
    assert high == 1
    assert 0.75 < low < 0.85
    assert newcombe_auroc(0, 10, 10)[0] == 0


@pytest.mark.parametrize(("truth", "m", "n"), [(0.75, 12, 20), (0.9, 15, 15), (0.97, 20, 10)])
def test_newcombe_covers(truth, m, n):
    rng = np.random.default_rng(0)
    shift = np.sqrt(2) * norm.ppf(truth)
    positive = np.arange(m + n) < m
    hits = 0
    for _ in range(1000):
        scores = rng.normal(size=m + n) + shift * positive
        low, high = newcombe_auroc(auroc(scores, positive), m, n)
        hits += low <= truth <= high
    assert 0.92 <= hits / 1000 <= 0.99


def test_cases_of_a_patient_are_drawn_together():
    patients = np.array([7, 3, 7, 5, 3, 7])
    weights = patient_bootstrap_weights(patients, 50, 0)
    assert weights.shape == (50, 6)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 5])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), 3)


def test_bootstrap_weights_follow_the_patients_not_the_order():
    patients = np.array(["b", "a", "c", "a"])
    order = np.array([2, 0, 3, 1])
    np.testing.assert_array_equal(
        patient_bootstrap_weights(patients[order], 20, 4),
        patient_bootstrap_weights(patients, 20, 4)[:, order],
    )


def test_repeating_each_patients_case_leaves_the_interval_as_it_is():
    """Ten copies of every case are no new patients: the interval must not shrink."""
    values = np.random.default_rng(0).normal(size=30)

    def width(repeats, patients):
        weights = patient_bootstrap_weights(patients, 2000, 1)
        means = weights @ np.repeat(values, repeats) / weights.sum(axis=1)
        low, high = percentile_interval(means)
        return high - low

    once = width(1, np.arange(30))
    assert width(10, np.repeat(np.arange(30), 10)) == pytest.approx(once)
    as_if_independent = width(10, np.arange(300))
    assert once > 2.5 * as_if_independent


def test_percentile_interval_leaves_out_nan():
    values = np.r_[np.linspace(0, 1, 101), np.nan]
    assert percentile_interval(values, 0.9) == pytest.approx((0.05, 0.95))
    assert np.isnan(percentile_interval(np.array([np.nan]))).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_impossible_levels_are_refused(level):
    with pytest.raises(ValueError, match="level"):
        wilson(1, 2, level)


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="0 positive"):
        newcombe_auroc(0.5, 0, 2)


@given(st.floats(0, 1), st.integers(2, 30), st.integers(2, 30))
def test_allowing_for_the_learner_only_widens(theta, m, n):
    (low, high), (inner_low, inner_high) = learner_auroc(theta, m, n), newcombe_auroc(theta, m, n)
    assert 0 <= low <= inner_low + 1e-9
    assert inner_high - 1e-9 <= high <= 1
    more = learner_auroc(theta, 2 * m, 2 * n)
    assert more[1] - more[0] <= high - low + 1e-9
