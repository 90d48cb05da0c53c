import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from medfs.metrics.calibration import brier, ece, ece_floor, nll, reliability_table

simplex = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda x: np.array(x) / sum(x))


def calibrated(n, seed, sharpness=1.5, way=3):
    """Probabilities, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.normal(size=(n, way))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((n, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return probabilities, labels


def test_nll_equals_sklearn():
    probabilities, labels = calibrated(50, 0)
    expected = log_loss(labels, probabilities, labels=[0, 1, 2])
    assert nll(probabilities, labels) == pytest.approx(expected)


def test_nll_of_a_certain_error_is_finite():
    assert nll(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(2.0**-52))


def test_brier_of_two_classes_is_twice_sklearns():
    probabilities, labels = calibrated(50, 0, way=2)
    expected = 2 * brier_score_loss(labels, probabilities[:, 1])
    assert brier(probabilities, labels) == pytest.approx(expected)


def test_brier_of_several_classes_equals_sklearn():
    probabilities, labels = calibrated(50, 0)
    expected = brier_score_loss(labels, probabilities, labels=[0, 1, 2], scale_by_half=False)
    assert brier(probabilities, labels) == pytest.approx(expected)


@pytest.mark.parametrize("score", [nll, brier])
def test_weights_equal_repeating_cases(score):
    probabilities, labels = calibrated(30, 1)
    weights = np.random.default_rng(0).integers(0, 3, 30)
    repeated = score(np.repeat(probabilities, weights, axis=0), np.repeat(labels, weights))
    assert score(probabilities, labels, weights.astype(float)) == pytest.approx(repeated)


@pytest.mark.parametrize("score", [nll, brier])
@given(truth=simplex, answer=simplex)
def test_no_answer_is_better_than_the_truth(score, truth, answer):
    """Both are proper: their expectation under the truth is least at the truth."""

    def expected(p):
        return score(np.tile(p, (3, 1)), np.arange(3), truth)

    assert expected(truth) <= expected(answer) + 1e-12


def test_ece_by_hand():
    # Bin (.6, .7]: confidence .65, accuracy ½. Bin (.9, 1]: confidence 1, accuracy 1.
    probabilities = np.array([[0.65, 0.35], [0.35, 0.65], [1.0, 0.0], [0.0, 1.0]])
    labels = np.array([0, 0, 0, 1])
    assert ece(probabilities, labels) == pytest.approx(0.5 * 0.15)


def test_reliability_table_accounts_for_every_case():
    probabilities, labels = calibrated(500, 2)
    table = reliability_table(probabilities, labels, bins=15)
    filled = table.count > 0
    assert table.count.sum() == 500
    assert len(table.edges) == 16
    assert (table.confidence[filled] > table.edges[:-1][filled]).all()
    assert (table.confidence[filled] <= table.edges[1:][filled]).all()
    assert np.isnan(table.accuracy[~filled]).all()
    assert table.ece == ece(probabilities, labels, bins=15)
    hits = (probabilities.argmax(axis=1) == labels).sum()
    assert (table.accuracy * table.count)[filled].sum() == pytest.approx(hits)


def test_ece_of_calibrated_probabilities_is_near_its_floor():
    cases = [calibrated(300, seed) for seed in range(60)]
    values = np.mean([ece(p, y) for p, y in cases])
    floors = np.mean([ece_floor(p, seed) for seed, (p, _) in enumerate(cases)])
    assert values == pytest.approx(floors, rel=0.1)


def test_ece_of_overconfident_probabilities_is_above_the_floor():
    probabilities, labels = calibrated(300, 0)
    sharper = probabilities**4 / (probabilities**4).sum(axis=1, keepdims=True)
    assert ece(sharper, labels) > 3 * ece_floor(sharper, 0, redraws=20)


def test_floor_falls_with_the_number_of_cases():
    few, many = (ece_floor(calibrated(n, 0)[0], 0, redraws=50) for n in (30, 3000))
    assert many < few / 5


def test_floor_is_deterministic():
    probabilities, _ = calibrated(50, 0)
    assert ece_floor(probabilities, 3) == ece_floor(probabilities, 3)
    assert ece_floor(probabilities, 3) != ece_floor(probabilities, 4)


def test_certain_probabilities_have_no_floor():
    assert ece_floor(np.eye(3), 0, redraws=10) == 0


def repeated(probabilities, labels, times):
    """Every case as often as its class says."""
    index = np.repeat(np.arange(len(labels)), times[labels])
    return probabilities[index], labels[index]


def test_weights_count_like_repeated_cases():
    probabilities, labels = calibrated(200, 4)
    times = np.array([1, 3, 2])[: probabilities.shape[1]]
    weighted = reliability_table(probabilities, labels, 10, times[labels].astype(float))
    wanted = reliability_table(*repeated(probabilities, labels, times))
    np.testing.assert_allclose(weighted.accuracy, wanted.accuracy)
    np.testing.assert_allclose(weighted.confidence, wanted.confidence)
    np.testing.assert_allclose(weighted.weight, wanted.count)
    assert weighted.ece == pytest.approx(wanted.ece)
    filled = weighted.count > 0
    assert (weighted.effective <= weighted.count + 1e-9)[filled].all()
    assert (weighted.effective >= 1 - 1e-9)[filled].all()


def test_the_floor_of_weighted_cases_is_what_perfect_predictors_show():
    """Shifted to a prevalence at which the sample was not drawn, and weighted back to it."""
    shares, gaps, floors = np.array([0.85, 0.15]), [], []
    rng = np.random.default_rng(0)
    for seed in range(300):
        labels = np.repeat([0, 1], 60)
        logit = rng.normal(2 * labels - 1.0, 1.0) * 2
        joint = shares / (1 + np.exp(np.stack([logit, -logit], axis=1)))
        p = joint / joint.sum(axis=1, keepdims=True)
        by_class = shares / 0.5
        gaps.append(ece(p, labels, 10, by_class[labels]))
        floors.append(ece_floor(p, seed, 3, 10, by_class))
    assert np.mean(gaps) == pytest.approx(np.mean(floors), rel=0.1)
    assert np.mean(floors) > 0.02
