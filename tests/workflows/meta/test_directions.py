"""Classes made of features: what they mean, how large they are, and when they mean nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfs.metrics.discrimination import auroc
from medfs.workflows.meta.directions import labels_by_chance, labels_by_direction

N_CASES, N_FEATURES = 90, 12


def rows(seed=0):
    return np.random.default_rng(seed).normal(size=(N_CASES, N_FEATURES)) * np.arange(N_FEATURES)


@given(st.integers(2, 5), st.integers(0, 10_000))
def test_classes_are_equally_large_and_all_there(n_way, seed):
    labels = labels_by_direction(rows(), n_way, np.random.default_rng(seed))
    counts = np.bincount(labels[labels >= 0], minlength=n_way)
    assert len(counts) == n_way
    assert counts.min() == counts.max() >= 0.3 * N_CASES // n_way
    assert set(labels) <= {-1, *range(n_way)}


def best_single_feature(labels):
    kept = labels >= 0
    found = [auroc(rows()[kept][:, f], labels[kept]) for f in range(N_FEATURES)]
    return max(max(a, 1 - a) for a in found)


def test_a_direction_tells_the_classes_apart_and_chance_does_not():
    draws = [np.random.default_rng(seed) for seed in range(60)]
    by_direction = [best_single_feature(labels_by_direction(rows(), 2, rng)) for rng in draws]
    by_chance = [best_single_feature(labels_by_chance(N_CASES, 2, rng)) for rng in draws]
    assert np.median(by_direction) > 0.85
    assert np.median(by_chance) < 0.65


def test_a_constant_feature_never_defines_a_class():
    """Feature 0 is constant; alone with noise it would leave nothing to tell."""
    constant = np.ones((N_CASES, 1))
    with_others = np.concatenate([constant, rows()[:, 1:3]], axis=1)
    for seed in range(40):
        labels = labels_by_direction(with_others, 2, np.random.default_rng(seed))
        kept = labels >= 0
        told = [auroc(with_others[kept][:, f], labels[kept]) for f in (1, 2)]
        assert max(max(a, 1 - a) for a in told) > 0.6


@pytest.mark.parametrize("rule", [labels_by_direction, None])
def test_the_generator_alone_decides(rule):
    def draw(seed):
        rng = np.random.default_rng(seed)
        return labels_by_chance(N_CASES, 3, rng) if rule is None else rule(rows(), 3, rng)

    assert (draw(1) == draw(1)).all()
    assert (draw(1) != draw(2)).any()
