"""Probabilities for a place where one class is rare: Bayes' rule, and readable refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.calibration import Temperature
from medfs.core.classifiers import CalibratedClassifier, Classifier
from medfs.core.errors import UsageError
from medfs.core.features import Features
from medfs.core.theta import LinearHead, Theta
from medfs.workflows.prevalence import as_tensor, parse_prevalence

NAMES = ("benign", "malignant")


def classifier(way):
    head = LinearHead(torch.eye(way).double(), torch.zeros(way).double())
    names = tuple(str(i) for i in range(way))
    one = Temperature(torch.tensor(1.0).double())
    return CalibratedClassifier(Classifier(("made",), Theta((), head), names), one)


@given(st.integers(2, 5), st.integers(0, 999))
def test_it_is_bayes_rule(way, seed):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(7, way)) * 3)
    prevalence = torch.from_numpy(rng.dirichlet(np.ones(way)) * 0.98 + 0.02 / way)
    plain = classifier(way)
    features = Features({"made": logits})
    before = plain.predict_proba(features)
    expected = before * prevalence * way
    expected = expected / expected.sum(dim=1, keepdim=True)
    shifted = plain.at_prevalence(prevalence)
    torch.testing.assert_close(shifted.predict_proba(features), expected)
    torch.testing.assert_close(shifted.probabilities(logits), expected)


def test_classes_that_are_alike_change_nothing():
    features = Features({"made": torch.randn(5, 2).double()})
    plain = classifier(2)
    alike = plain.at_prevalence(torch.tensor([0.5, 0.5]).double())
    torch.testing.assert_close(alike.predict_proba(features), plain.predict_proba(features))


def test_probabilities_that_were_right_stay_right_where_the_balance_changes():
    rng = np.random.default_rng(0)
    prevalence = np.array([0.9, 0.1])
    labels = rng.choice(2, p=prevalence, size=40_000)
    x = rng.normal(size=40_000) + labels
    # The exact log-odds where both classes are equally common.
    logits = torch.from_numpy(np.stack([np.zeros_like(x), x - 0.5], axis=1))
    features = Features({"made": logits})
    plain = classifier(2)
    said = plain.predict_proba(features)[:, 1].mean()
    shifted = plain.at_prevalence(torch.from_numpy(prevalence)).predict_proba(features)[:, 1]
    assert said > 0.3
    assert shifted.mean() == pytest.approx(0.1, abs=0.005)
    for low, high in ((0, 0.1), (0.1, 0.2), (0.2, 0.4)):
        inside = ((shifted > low) & (shifted <= high)).numpy()
        assert labels[inside].mean() == pytest.approx(float(shifted[inside].mean()), abs=0.02)


def test_numbers_are_read_in_any_order_and_divided_by_their_sum():
    found = parse_prevalence("malignant=0.1, benign=.9", NAMES)
    assert list(found.items()) == [("benign", 0.9), ("malignant", 0.1)]
    thirds = parse_prevalence("a=.333,b=.333,c=.333", ("a", "b", "c"))
    assert sum(thirds.values()) == pytest.approx(1)
    assert as_tensor(thirds).dtype == torch.float64


def test_names_may_hold_commas_and_spaces():
    assert parse_prevalence("a, b=0.9,c d=0.1", ("a, b", "c d")) == {"a, b": 0.9, "c d": 0.1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "CLASS=NUMBER"),
        ("benign", "CLASS=NUMBER"),
        ("benign=0.9,malignant", "CLASS=NUMBER"),
        ("benign=0.9", "every class"),
        ("benign=0.9,other=0.1", "every class"),
        ("benign=0.5,benign=0.4,malignant=0.1", "every class"),
        ("benign=0.9,malignant=x", "is a number"),
        ("benign=0.9,malignant=", "is a number"),
        ("benign=1,malignant=0", "between 0 and 1"),
        ("benign=1.1,malignant=-0.1", "between 0 and 1"),
        ("benign=nan,malignant=0.1", "between 0 and 1"),
        ("benign=inf,malignant=0.1", "between 0 and 1"),
        ("benign=0.9,malignant=0.2", "sum to 1"),
        ("benign=90,malignant=10", "sum to 1"),
    ],
)
def test_what_is_no_prevalence_is_refused_in_words(text, words):
    with pytest.raises(UsageError, match=words) as caught:
        parse_prevalence(text, NAMES)
    assert "--prevalence benign=" in str(caught.value)
