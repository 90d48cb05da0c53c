import json
import time

import numpy as np
import pytest

from medfs.metrics.calibration import brier, ece, nll
from medfs.metrics.discrimination import balanced_accuracy, macro_auroc
from medfs.metrics.episodes import EpisodeOutcome, summarize_episodes


def outcomes(count=20, way=3, per_class=10, n_patients=200, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(way), per_class)
    made = []
    for _ in range(count):
        logits = rng.normal(size=(len(labels), way)) + np.eye(way)[labels]
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        patients = rng.choice(n_patients, len(labels), replace=False)
        made.append(EpisodeOutcome(probabilities, labels, patients))
    return made


@pytest.mark.parametrize("way", [2, 3])
def test_means_are_the_means_of_the_plain_metrics(way):
    made = outcomes(way=way)
    summary = summarize_episodes(made, replicates=50)
    for name, metric in {
        "auroc": macro_auroc,
        "balanced_accuracy": balanced_accuracy,
        "nll": nll,
        "brier": brier,
    }.items():
        values = [metric(o.probabilities, o.labels) for o in made]
        estimate = getattr(summary, name)
        assert estimate.mean == pytest.approx(np.mean(values))
        assert estimate.sd == pytest.approx(np.std(values, ddof=1))
        assert estimate.low < estimate.mean < estimate.high


def test_ece_is_pooled():
    made = outcomes()
    summary = summarize_episodes(made, replicates=10)
    pooled = [np.concatenate([getattr(o, n) for o in made]) for n in ("probabilities", "labels")]
    assert summary.ece.value == ece(*pooled)
    assert 0 < summary.ece.floor < 0.1


def test_interval_equals_resampling_patients_by_hand():
    """Against a slow bootstrap that really repeats cases, with other random numbers."""
    made = outcomes(count=8, n_patients=60)
    summary = summarize_episodes(made, replicates=2000)
    rng = np.random.default_rng(99)
    names = np.unique(np.concatenate([o.patients for o in made]))
    means = []
    for _ in range(600):
        times = dict.fromkeys(names, 0)
        for name in rng.choice(names, len(names)):
            times[name] += 1
        values = []
        for o in made:
            index = np.repeat(np.arange(len(o.labels)), [times[p] for p in o.patients])
            values.append(macro_auroc(o.probabilities[index], o.labels[index]))
        means.append(np.nanmean(values))
    low, high = np.quantile(means, [0.025, 0.975])
    assert summary.auroc.low == pytest.approx(low, abs=0.006)
    assert summary.auroc.high == pytest.approx(high, abs=0.006)


def test_same_seed_same_summary_and_names_may_be_strings():
    made = outcomes()
    named = [
        EpisodeOutcome(o.probabilities, o.labels, np.array([f"P{p:04d}" for p in o.patients]))
        for o in made
    ]
    assert summarize_episodes(made, 100, 1) == summarize_episodes(made, 100, 1)
    assert summarize_episodes(made, 100, 1) == summarize_episodes(named, 100, 1)
    assert summarize_episodes(made, 100, 1) != summarize_episodes(made, 100, 2)


def test_cases_of_the_same_patient_widen_the_interval():
    """The same numbers, but from five patients per class instead of ten."""
    made = outcomes(count=1, way=2)
    shared = EpisodeOutcome(made[0].probabilities, made[0].labels, np.arange(20) // 2)
    alone = summarize_episodes(made, 4000).nll
    together = summarize_episodes([shared], 4000).nll
    assert alone.mean == together.mean
    assert together.high - together.low > alone.high - alone.low


def test_the_same_patients_in_every_episode_gain_nothing_from_more_episodes():
    one = outcomes(count=1, n_patients=30)
    few, many = summarize_episodes(one, 500), summarize_episodes(one * 50, 500)
    assert few.auroc.high - few.auroc.low == pytest.approx(many.auroc.high - many.auroc.low)


def test_an_episode_without_a_class_is_left_out():
    made = outcomes(count=3)
    kept = made[0].labels != 2
    broken = EpisodeOutcome(*(getattr(made[0], n)[kept] for n in made[0].__slots__))
    summary = summarize_episodes([broken, *made[1:]], 50)
    assert summary.nll.mean == summarize_episodes(made[1:], 50).nll.mean
    with pytest.raises(ValueError, match="every class"):
        summarize_episodes([broken])


def test_no_episodes_are_refused():
    with pytest.raises(ValueError, match="no episodes"):
        summarize_episodes([])


def test_summary_is_json():
    single = summarize_episodes(outcomes(count=1), 20).as_dict()
    assert single["auroc"]["sd"] is None
    assert json.loads(json.dumps(single, allow_nan=False)) == single


def test_hundred_episodes_take_about_a_second():
    made = outcomes(count=100)
    start = time.process_time()
    summarize_episodes(made, replicates=1000)
    # Half a second on a quiet machine; the bound is wide because others may share it.
    assert time.process_time() - start < 3
