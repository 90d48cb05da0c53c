"""Laws of paired differences: what two methods share must cancel, and nothing else."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from medfs.metrics.discrimination import auroc
from medfs.metrics.episodes import EpisodeOutcome, summarize_episodes
from medfs.metrics.paired import Difference, paired_differences, replicate

METRICS = ("auroc", "nll", "balanced_accuracy")


def softmax(logits):
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def answered(gains, noise=1.0, way=2, count=12, per_class=8, patients=80, seed=0):
    """Outcomes of one method per gain: the same queries and the same noise, other signals."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(way), per_class)
    methods = [[] for _ in gains]
    for _ in range(count):
        shared = noise * rng.normal(size=(len(labels), way))
        who = rng.choice(patients, len(labels), replace=False)
        for method, gain in zip(methods, gains, strict=True):
            probabilities = softmax(shared + gain * np.eye(way)[labels])
            method.append(EpisodeOutcome(probabilities, labels, who))
    return methods


@pytest.mark.parametrize("way", [2, 3])
def test_a_method_against_itself_is_exactly_zero(way):
    (made,) = answered([1.0], way=way)
    gaps = paired_differences(made, made, replicates=100)
    assert gaps == dict.fromkeys(METRICS, Difference(0, 0, 0))
    assert not any(gap.clear for gap in gaps.values())


@given(st.integers(0, 10**6), st.integers(2, 4))
def test_exchanging_the_methods_changes_the_signs(seed, way):
    a, b = answered([0.4, 1.5], way=way, count=4, seed=seed)
    there, back = (paired_differences(*p, replicates=60, seed=seed) for p in ((a, b), (b, a)))
    for name in METRICS:
        gap = there[name]
        opposite = (-gap.mean, -gap.high, -gap.low)
        assert dataclasses.astuple(back[name]) == pytest.approx(opposite, abs=1e-12)


def test_a_known_difference_is_covered_as_often_as_promised():
    """Two Gaussians a distance d apart have the AUROC Φ(d / √2)."""
    # The two columns' noises of variance ½ make scores of variance 1; the distance is twice gain.
    known = ndtr(2.4 / 2**0.5) - ndtr(1.4 / 2**0.5)
    gaps = []
    for seed in range(60):
        made = answered([1.2, 0.7], count=20, patients=2000, noise=2**-0.5, seed=seed)
        gaps.append(paired_differences(*made, replicates=200)["auroc"])
    assert np.mean([gap.mean for gap in gaps]) == pytest.approx(known, abs=0.005)
    assert 51 <= sum(gap.low < known < gap.high for gap in gaps) <= 60
    assert sum(gap.clear for gap in gaps) > 50


def test_means_and_intervals_are_those_of_the_summary():
    a, b = answered([0.5, 1.0], way=3)
    first, second = (summarize_episodes(m, 200, seed=7) for m in (a, b))
    gaps = paired_differences(a, b, 200, seed=7)
    alone = replicate(a, 200, seed=7)
    for name in METRICS:
        one, other = getattr(first, name), getattr(second, name)
        assert gaps[name].mean == pytest.approx(one.mean - other.mean)
        assert alone.interval(name) == pytest.approx((one.mean, one.low, one.high))


def test_the_interval_is_that_of_repeating_patients_by_hand():
    a, b = answered([0.3, 0.8], count=6, patients=40)
    gap = paired_differences(a, b, replicates=3000)["auroc"]
    rng = np.random.default_rng(5)
    names = np.unique(np.concatenate([o.patients for o in a]))
    means = []
    for _ in range(800):
        times = dict.fromkeys(names, 0)
        for name in rng.choice(names, len(names)):
            times[name] += 1
        gaps = []
        for first, second in zip(a, b, strict=True):
            index = np.repeat(np.arange(len(first.labels)), [times[p] for p in first.patients])
            positive = first.labels[index] == 1
            if 0 < positive.sum() < len(positive):
                scores = (o.probabilities[index, 1] for o in (first, second))
                one, other = (auroc(s, positive) for s in scores)
                gaps.append(one - other)
        means.append(np.mean(gaps))
    assert (gap.low, gap.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.008)


def test_shared_noise_cancels():
    """Unpaired, the intervals overlap widely; paired, the same small gain is clear."""
    a, b = answered([1.0, 0.9], count=40)
    first, second = (summarize_episodes(m, 300).auroc for m in (a, b))
    gap = paired_differences(a, b, 300)["auroc"]
    assert second.high > first.mean
    assert gap.clear
    assert gap.high - gap.low < (first.high - first.low) / 2


def test_an_episode_without_a_class_counts_for_neither():
    a, b = answered([0.5, 1.5], count=5)
    kept = slice(0, 8)  # of class 0 alone
    cut = [
        EpisodeOutcome(o.probabilities[kept], o.labels[kept], o.patients[kept])
        for o in (a[0], b[0])
    ]
    gaps = paired_differences([cut[0], *a[1:]], [cut[1], *b[1:]], replicates=20)
    without = paired_differences(a[1:], b[1:], replicates=20)
    for name in METRICS:
        assert gaps[name].mean == without[name].mean


@pytest.mark.parametrize("field", ["labels", "patients"])
def test_answers_to_other_queries_are_refused(field):
    a, b = answered([0.5, 1.5], count=3)
    b[1] = dataclasses.replace(b[1], **{field: getattr(b[1], field)[::-1].copy()})
    with pytest.raises(ValueError, match="same queries"):
        paired_differences(a, b, replicates=5)


def test_no_episode_is_refused():
    with pytest.raises(ValueError, match="no episodes"):
        replicate([])


def test_json_has_none_where_nothing_is_known():
    (made,) = answered([1.0], count=2)
    only = [EpisodeOutcome(o.probabilities[:8], o.labels[:8], o.patients[:8]) for o in made]
    gap = paired_differences(only, only, replicates=5)["nll"]
    assert gap.as_dict() == {"mean": None, "low": None, "high": None}
    assert not gap.clear
