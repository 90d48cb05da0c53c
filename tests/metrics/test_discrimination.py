import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from medfs.metrics.checks import check_scores
from medfs.metrics.discrimination import (
    auroc,
    auroc_replicates,
    balanced_accuracy,
    balanced_accuracy_replicates,
    macro_auroc,
    macro_auroc_replicates,
)

# Few levels, so that ties are common.
tied_scores = arrays(np.float64, 20, elements=st.integers(-3, 3).map(float))
sides = arrays(np.bool_, 20).filter(lambda a: 0 < a.sum() < 20)


def softmax_case(seed, n=40, way=3):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % way)
    logits = rng.normal(size=(n, way)) + 0.8 * np.eye(way)[labels]
    # Rounded logits make ties between cases.
    logits = np.round(logits, 1)
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True), labels


@given(tied_scores, sides)
def test_auroc_equals_sklearn_with_ties(scores, positive):
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


@given(tied_scores, sides, arrays(np.float64, 20, elements=st.integers(1, 4).map(float)))
def test_weighted_auroc_equals_repeating_cases(scores, positive, weights):
    index = np.repeat(np.arange(20), weights.astype(int))
    assert auroc(scores, positive, weights) == pytest.approx(auroc(scores[index], positive[index]))


@given(tied_scores, sides)
def test_auroc_is_invariant_to_monotone_transforms(scores, positive):
    assert auroc(np.exp(scores) * 7 - 2, positive) == auroc(scores, positive)


@given(tied_scores, sides)
def test_swapping_classes_gives_one_minus_auroc(scores, positive):
    assert auroc(scores, ~positive) == pytest.approx(1 - auroc(scores, positive), abs=1e-12)


@given(tied_scores, sides, st.randoms(use_true_random=False))
def test_order_of_cases_does_not_matter(scores, positive, random):
    order = np.array(random.sample(range(20), 20))
    assert auroc(scores[order], positive[order]) == auroc(scores, positive)


def test_infinite_scores_are_ordered_and_tied():
    scores = np.array([-np.inf, 0.0, np.inf, np.inf])
    assert auroc(scores, np.array([False, False, True, True])) == 1
    assert auroc(scores, np.array([False, False, False, True])) == pytest.approx(2.5 / 3)


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_auroc_without_one_class_is_nan(positive):
    assert np.isnan(auroc(np.array([0.1, 0.2]), np.array(positive)))


def test_weight_zero_removes_a_class():
    scores, positive = np.array([0.0, 1.0]), np.array([False, True])
    weights = np.array([[1.0, 1.0], [0.0, 2.0]])
    np.testing.assert_equal(auroc_replicates(scores, positive, weights), [1.0, np.nan])


def test_nan_scores_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        auroc(np.array([np.nan, 1.0]), np.array([True, False]))


@pytest.mark.parametrize("way", [3, 4, 5])
def test_macro_auroc_equals_sklearn(way):
    for seed in range(10):
        probabilities, labels = softmax_case(seed, way=way)
        expected = roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
        assert macro_auroc(probabilities, labels) == pytest.approx(expected, abs=1e-12)


def test_macro_auroc_of_two_classes_is_that_of_column_one():
    probabilities, labels = softmax_case(0, way=2)
    assert macro_auroc(probabilities, labels) == auroc(probabilities[:, 1], labels == 1)


def test_macro_auroc_is_nan_where_a_class_is_absent():
    probabilities, labels = softmax_case(0)
    kept = labels != 2
    assert np.isnan(macro_auroc(probabilities[kept], labels[kept]))


@pytest.mark.parametrize("way", [2, 3])
def test_balanced_accuracy_equals_sklearn(way):
    for seed in range(10):
        probabilities, labels = softmax_case(seed, n=31, way=way)
        expected = balanced_accuracy_score(labels, probabilities.argmax(axis=1))
        assert balanced_accuracy(probabilities, labels) == pytest.approx(expected)


def test_balanced_accuracy_counts_only_classes_present():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])
    assert balanced_accuracy(probabilities, np.array([0, 0])) == 0.5


@pytest.mark.parametrize("many", [macro_auroc_replicates, balanced_accuracy_replicates])
def test_every_replicate_equals_repeating_its_cases(many):
    probabilities, labels = softmax_case(1)
    weights = np.random.default_rng(2).integers(0, 4, (20, 40)).astype(float)
    one = {macro_auroc_replicates: macro_auroc, balanced_accuracy_replicates: balanced_accuracy}
    expected = [
        one[many](np.repeat(probabilities, w.astype(int), axis=0), np.repeat(labels, w.astype(int)))
        for w in weights
    ]
    np.testing.assert_allclose(many(probabilities, labels, weights), expected, atol=1e-12)


def test_scores_must_belong_to_cases():
    with pytest.raises(ValueError, match="2 rows of scores for 3 cases"):
        check_scores(np.zeros(2), 3)


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([[0.5, 0.6]], [0], "sum to 1"),
        ([[1.5, -0.5]], [0], r"\[0, 1\]"),
        ([[0.5, 0.5]], [2], "labels must be"),
        ([[1.0]], [0], "way"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        macro_auroc(np.array(probabilities), np.array(labels))
