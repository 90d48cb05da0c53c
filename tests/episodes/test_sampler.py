from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfs.core.cases import Case, Cohort
from medfs.core.errors import EpisodeError, UsageError
from medfs.episodes.sampler import EpisodeSampler, sample_episode, sample_episodes


def cohort_of(*rows):
    """Rows of (patient, label)."""
    return Cohort(
        tuple(
            Case(f"case{i}", patient, Path(f"{i}.nii.gz"), label=label)
            for i, (patient, label) in enumerate(rows)
        )
    )


def disjoint_cohort(n_patients=8, per_patient=2, classes="ab"):
    return cohort_of(
        *[(f"{c}{p}", c) for c in classes for p in range(n_patients) for _ in range(per_patient)]
    )


def patients_of(episode, cohort):
    """Patients of every case drawn, with repetitions."""
    sides = (episode.support, episode.query)
    return [cohort.by_id[c].patient_id for s in sides for cases in s.values() for c in cases]


# Up to 12 patients, each with cases of any of three classes: sharing is the rule.
shared_rows = st.lists(
    st.tuples(st.integers(0, 11).map(lambda i: f"p{i}"), st.sampled_from("abc")),
    min_size=6,
    max_size=40,
)


def feasible(cohort, need):
    """Hall's condition, class subset by class subset: exact, and unlike the sampler's search."""
    names = cohort.class_names
    by_class = {n: {c.patient_id for c in cohort.of_class(n)} for n in names}
    for bits in range(1, 2 ** len(names)):
        subset = [n for i, n in enumerate(names) if bits >> i & 1]
        if len(set().union(*(by_class[n] for n in subset))) < sum(need[n] for n in subset):
            return False
    return True


@given(shared_rows, st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=300)
def test_drawn_whenever_one_exists_and_always_patient_disjoint(rows, n_shot, n_query, seed):
    cohort = cohort_of(*rows)
    if len(cohort.class_names) < 2:
        return
    rng = np.random.default_rng(seed)
    if not feasible(cohort, dict.fromkeys(cohort.class_names, n_shot + n_query)):
        with pytest.raises(EpisodeError, match="too few patients"):
            sample_episode(cohort, n_shot, n_query, rng)
        return
    episode = sample_episode(cohort, n_shot, n_query, rng)
    drawn = patients_of(episode, cohort)
    assert len(set(drawn)) == len(drawn)
    for name in cohort.class_names:
        assert len(episode.support[name]) == n_shot
        assert len(episode.query[name]) == n_query
        cases = (*episode.support[name], *episode.query[name])
        assert all(cohort.by_id[c].label == name for c in cases)


@given(st.integers(0, 99), st.randoms(use_true_random=False))
def test_order_of_the_cohort_does_not_matter(seed, random):
    cohort = disjoint_cohort()
    shuffled = Cohort(tuple(random.sample(cohort.cases, len(cohort.cases))))
    assert sample_episodes(cohort, 2, 3, 4, seed) == sample_episodes(shuffled, 2, 3, 4, seed)


def test_an_episode_does_not_depend_on_how_many_are_drawn():
    cohort = disjoint_cohort()
    assert sample_episodes(cohort, 2, 3, 9, 0)[:4] == sample_episodes(cohort, 2, 3, 4, 0)
    assert len(set(map(str, sample_episodes(cohort, 2, 3, 9, 0)))) == 9
    assert sample_episodes(cohort, 2, 3, 1, 0) != sample_episodes(cohort, 2, 3, 1, 1)


def test_the_generator_is_the_only_randomness():
    sampler = EpisodeSampler(disjoint_cohort(), 2, 3)
    first, second = (sampler.sample(np.random.default_rng(5)) for _ in range(2))
    assert first == second


def test_shots_may_differ_between_classes():
    episode = sample_episode(disjoint_cohort(), {"a": 1, "b": 4}, 2, np.random.default_rng(0))
    assert {n: len(c) for n, c in episode.support.items()} == {"a": 1, "b": 4}
    assert {n: len(c) for n, c in episode.query.items()} == {"a": 2, "b": 2}


def test_every_patient_and_every_case_is_drawn_about_equally_often():
    cohort = disjoint_cohort(n_patients=6, per_patient=2)
    counts = dict.fromkeys(cohort.by_id, 0)
    for episode in sample_episodes(cohort, 1, 1, 1200, 0):
        for case in (*episode.support["a"], *episode.query["b"]):
            counts[case] += 1
    # Each of 12 cases of a class is expected 100 times.
    assert min(counts.values()) > 60
    assert max(counts.values()) < 140


def test_cases_without_a_label_are_never_drawn():
    cohort = cohort_of(*[(f"{c}{i}", c) for c in "ab" for i in range(2)], ("x", None))
    episode = sample_episode(cohort, 1, 1, np.random.default_rng(0))
    assert "x" not in patients_of(episode, cohort)


def test_too_few_patients_are_counted():
    cohort = cohort_of(*[(f"a{i}", "a") for i in range(5)], ("b0", "b"), ("b0", "b"), ("b1", "b"))
    with pytest.raises(EpisodeError) as caught:
        sample_episode(cohort, 2, 1, np.random.default_rng(0))
    text = str(caught.value)
    assert "class 'b'" in text
    assert "It has 2, 3 are needed: 2 support and 1 query" in text


def test_patients_shared_between_classes_are_named_as_the_reason():
    cohort = cohort_of(*[(f"p{i}", c) for i in range(3) for c in "ab"])
    with pytest.raises(EpisodeError, match="of whom 3 also have cases in other classes"):
        EpisodeSampler(cohort, 1, 1)


def test_scarce_class_gets_the_patients_it_shares():
    # All of b's patients also have cases in a; a has just enough others.
    rows = [(f"s{i}", c) for i in range(4) for c in "ab"] + [(f"a{i}", "a") for i in range(4)]
    cohort = cohort_of(*rows)
    for seed in range(20):
        episode = sample_episode(cohort, 2, 2, np.random.default_rng(seed))
        taken = {cohort.by_id[c].patient_id for c in (*episode.support["b"], *episode.query["b"])}
        assert taken == {f"s{i}" for i in range(4)}


@pytest.mark.parametrize("n_shot", [{"a": 1}, {"a": 1, "b": 1, "c": 1}])
def test_shots_for_other_classes_are_usage_errors(n_shot):
    with pytest.raises(UsageError):
        EpisodeSampler(disjoint_cohort(), n_shot, 1)


@pytest.mark.parametrize(
    ("n_shot", "n_query", "counts"),
    [
        (0, 1, "0 of 'a', 0 of 'b' in the support, and 1 queries"),
        (1, 0, "1 of 'a', 1 of 'b' in the support, and 0 queries"),
        ({"a": 2, "b": 0}, 3, "2 of 'a', 0 of 'b' in the support, and 3 queries"),
    ],
)
def test_no_shot_or_no_query_is_an_episode_error_with_counts(n_shot, n_query, counts):
    with pytest.raises(EpisodeError) as caught:
        EpisodeSampler(disjoint_cohort(), n_shot, n_query)
    assert counts in str(caught.value)


def test_seeded_episodes_stay_the_same_from_version_to_version():
    # Published figures name a seed: this golden was drawn with the first release of the sampler.
    shared = [(f"p{i}", c) for i in range(9) for c in "abc" if (i * 7 + ord(c)) % 3]
    own = [(f"{c}{i}", c) for c in "abc" for i in range(3) for _ in range(2)]
    first = sample_episodes(cohort_of(*shared, *own), {"a": 1, "b": 3, "c": 2}, 2, 20, 7)[0]
    assert first.support == {
        "a": ("case12",),
        "b": ("case4", "case27", "case24"),
        "c": ("case32", "case9"),
    }
    assert first.query == {
        "a": ("case20", "case6"),
        "b": ("case16", "case29"),
        "c": ("case31", "case11"),
    }


def test_one_class_is_no_task():
    with pytest.raises(EpisodeError, match="at least two classes"):
        EpisodeSampler(disjoint_cohort(classes="a"), 1, 1)
