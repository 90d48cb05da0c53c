import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.cases import Case, Cohort
from medfs.core.errors import ConfigError, UsageError
from medfs.episodes.design_sampler import DesignSampler
from medfs.episodes.designs import EpisodeDesign
from medfs.episodes.mixture import EpisodeStream, Mixture
from medfs.episodes.sampler import EpisodeSampler


def cohort(prefix, n_patients, classes):
    ids = [(f"{prefix}{c}{i}", c) for c in classes for i in range(n_patients)]
    return Cohort(tuple(Case(p, p, Path(p), label=c) for p, c in ids))


def mixture(weight=1.0):
    varied = EpisodeDesign((2, 4), (1, 5), 2, unequal=True)
    return Mixture(
        {
            "lung": (DesignSampler(cohort("l", 9, "abcd"), varied), weight),
            "bone": (DesignSampler(cohort("b", 6, "efg"), EpisodeDesign(2, 2, 3)), 2.0),
            "skin": (EpisodeSampler(cohort("s", 4, "xy"), 1, 1), 3.0),
        }
    )


def take(stream, n):
    return [next(stream) for _ in range(n)]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 2**40))
def test_a_stopped_stream_goes_on_as_if_it_had_not_been(before, after, seed):
    undisturbed = take(EpisodeStream(mixture(), seed), before + after)
    stopped = EpisodeStream(mixture(), seed)
    head = take(stopped, before)
    state = json.loads(json.dumps(stopped.state()))
    # What the stopped stream still did after saving is lost, as in a crash.
    take(stopped, 3)
    resumed = EpisodeStream(mixture(), seed + 1)
    resumed.restore(state)
    assert resumed.drawn == before
    assert head + take(resumed, after) == undisturbed
    assert resumed.drawn == before + after


def test_saving_changes_nothing():
    watched = EpisodeStream(mixture(), 4)
    seen = []
    for _ in range(10):
        watched.state()
        seen.append(next(watched))
    assert seen == take(EpisodeStream(mixture(), 4), 10)
    assert seen != take(EpisodeStream(mixture(), 5), 10)


def test_cohorts_are_mixed_by_weight():
    counts = Counter(s.source for s in take(EpisodeStream(mixture(), 0), 3000))
    for name, expected in (("lung", 500), ("bone", 1000), ("skin", 1500)):
        assert abs(counts[name] - expected) < 110


def test_what_is_drawn_comes_from_the_source_it_names():
    for sampled in take(EpisodeStream(mixture(), 0), 100):
        cases = [c for names in sampled.item.support.values() for c in names]
        assert {c[0] for c in cases} == {sampled.source[0]}


def test_weight_zero_is_never_drawn_and_scale_does_not_matter():
    assert "lung" not in {s.source for s in take(EpisodeStream(mixture(0.0), 0), 300)}

    def scaled(by):
        source = EpisodeSampler(cohort("s", 4, "xy"), 1, 1)
        return Mixture({"b": (source, 3.0 * by), "a": (source, 1.0 * by)})

    turned = Mixture(dict(reversed({"b": (scaled(1)._sources[1], 3.0),
                                    "a": (scaled(1)._sources[0], 1.0)}.items())))  # fmt: skip
    expected = take(EpisodeStream(scaled(1), 1), 20)
    assert take(EpisodeStream(scaled(8), 1), 20) == expected
    assert take(EpisodeStream(turned, 1), 20) == expected


@pytest.mark.parametrize("weights", [{}, {"a": 0.0}, {"a": 1.0, "b": -1.0}, {"a": float("nan")}])
def test_weights_without_a_meaning_are_refused(weights):
    source = EpisodeSampler(cohort("s", 4, "xy"), 1, 1)
    with pytest.raises(UsageError, match="weights of a mixture"):
        Mixture({name: (source, weight) for name, weight in weights.items()})


def test_a_negative_seed_is_refused():
    with pytest.raises(UsageError, match="found -1"):
        EpisodeStream(mixture(), -1)


def changed(state, path, value):
    state = json.loads(json.dumps(state))
    inner = state
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return state


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),
        (("drawn",), -1),
        (("drawn",), "3"),
        (("more",), 1),
        (("source",), "0" * 64),
        (("bit_generator",), None),
        (("bit_generator",), {}),
        (("bit_generator", "bit_generator"), "MT19937"),
        (("bit_generator", "state"), 1),
        (("bit_generator", "state", "state"), -1),
        (("bit_generator", "state", "state"), 2**128),
        (("bit_generator", "state", "inc"), "x"),
        (("bit_generator", "has_uint32"), None),
    ],
)
def test_a_broken_state_is_refused_and_the_stream_unharmed(path, value):
    stream = EpisodeStream(mixture(), 0)
    first = take(stream, 4)
    state = stream.state()
    with pytest.raises(ConfigError, match="cannot go on"):
        stream.restore(changed(state, path, value))
    assert first + take(stream, 4) == take(EpisodeStream(mixture(), 0), 8)
    assert stream.drawn == 8


def test_the_state_of_other_cohorts_is_refused():
    state = EpisodeStream(mixture(1.5), 0).state()
    with pytest.raises(ConfigError, match="other cohorts, weights or designs"):
        EpisodeStream(mixture(), 0).restore(state)
    with pytest.raises(ConfigError, match="and nothing else"):
        EpisodeStream(mixture(), 0).restore({})


def test_one_sampler_is_a_source_too():
    sampler = EpisodeSampler(cohort("s", 4, "xy"), 1, 1)
    rng = np.random.default_rng(9)
    assert take(EpisodeStream(sampler, 9), 5) == [sampler.sample(rng) for _ in range(5)]
