from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfs.core.cases import Case, Cohort
from medfs.core.errors import EpisodeError
from medfs.episodes.design_sampler import DesignSampler
from medfs.episodes.designs import EpisodeDesign


def cohort_of(*rows):
    """Rows of (patient, label)."""
    return Cohort(
        tuple(Case(f"case{i}", p, Path(f"{i}.nii.gz"), label=c) for i, (p, c) in enumerate(rows))
    )


def sized_cohort(**patients):
    """As many patients per class as named, two cases each."""
    return cohort_of(*[(f"{c}{p}", c) for c, n in patients.items() for p in range(n)] * 2)


def draw(cohort, design, seed=0, class_names=None):
    return DesignSampler(cohort, design, class_names).sample(np.random.default_rng(seed))


def patients_of(episode, cohort):
    sides = (episode.support, episode.query)
    return [cohort.by_id[c].patient_id for s in sides for cases in s.values() for c in cases]


def feasible(cohort, names, need):
    """Hall's condition, subset by subset: exact, and unlike the sampler's search."""
    by_class = {n: {c.patient_id for c in cohort.of_class(n)} for n in names}
    subsets = [s for size in range(1, len(names) + 1) for s in combinations(names, size)]
    return all(len(set().union(*(by_class[n] for n in s))) >= need * len(s) for s in subsets)


# Few patients and many classes: sharing is the rule. Patients of "x" lie in their class alone.
rows = st.lists(
    st.tuples(st.integers(0, 14).map(lambda i: f"p{i}"), st.sampled_from("abcd"))
    | st.tuples(st.integers(0, 9).map(lambda i: f"x{i}"), st.just("d")),
    min_size=8,
    max_size=60,
)
designs = st.builds(
    lambda way, low, more, query, unequal: EpisodeDesign(way, (low, low + more), query, unequal),
    st.sampled_from([None, 2, 3, (2, 3), (2, 9)]),
    st.integers(1, 2),
    st.integers(0, 4),
    st.integers(1, 2),
    st.booleans(),
)


@given(rows, designs, st.integers(0, 99))
@settings(max_examples=300)
def test_what_is_drawn_keeps_the_design_and_shares_no_patient(rows, design, seed):
    cohort = cohort_of(*rows)
    names = cohort.class_names
    low, high = design.shots
    try:
        episode = draw(cohort, design, seed)
    except EpisodeError:
        # Refused only where some choice of classes that the design may take has no episode.
        if len(names) > 2:
            fewest, most = design.ways(len(names))
            subsets = [s for n in range(fewest, most + 1) for s in combinations(names, n)]
            singles = [(name,) for name in names]
            assert not all(feasible(cohort, s, low + design.n_query) for s in subsets + singles)
        return
    fewest, most = design.ways(len(names))
    assert fewest <= len(episode.support) <= most
    assert list(episode.support) == list(episode.query) == sorted(episode.support)
    shots = [len(cases) for cases in episode.support.values()]
    assert all(low <= n <= high for n in shots)
    assert design.unequal or len(set(shots)) == 1
    assert all(len(cases) == design.n_query for cases in episode.query.values())
    drawn = patients_of(episode, cohort)
    assert len(set(drawn)) == len(drawn)
    for side in (episode.support, episode.query):
        assert all(cohort.by_id[c].label == name for name, cases in side.items() for c in cases)


@given(st.integers(0, 99), st.randoms(use_true_random=False))
def test_only_the_generator_decides(seed, random):
    cohort = sized_cohort(a=7, b=8, c=9)
    shuffled = Cohort(tuple(random.sample(cohort.cases, len(cohort.cases))))
    design = EpisodeDesign((2, 3), (1, 4), 2, unequal=True)
    assert draw(cohort, design, seed) == draw(shuffled, design, seed)


def many(sampler, n=600):
    rng = np.random.default_rng(3)
    return [sampler.sample(rng) for _ in range(n)]


def test_ways_classes_shots_and_cases_are_drawn_evenly():
    cohort = sized_cohort(a=6, b=6, c=6, d=6)
    episodes = many(DesignSampler(cohort, EpisodeDesign((2, 3), (1, 4), 2)), 1200)
    ways = Counter(len(e.support) for e in episodes)
    assert set(ways) == {2, 3}
    assert 500 < ways[2] < 700
    shots = Counter(len(next(iter(e.support.values()))) for e in episodes)
    assert set(shots) == {1, 2, 3, 4}
    assert min(shots.values()) > 230
    pairs = Counter(tuple(e.support) for e in episodes if len(e.support) == 2)
    assert len(pairs) == 6
    assert min(pairs.values()) > 60
    cases = Counter(c for e in episodes for s in e.query.values() for c in s)
    # 1200 episodes of 2.5 ways and 2 queries over 48 cases: 125 each.
    assert set(cases) == set(cohort.by_id)
    assert min(cases.values()) > 80
    assert max(cases.values()) < 170


@pytest.mark.parametrize(("small", "large"), ["ab", "ba"])
def test_a_range_ends_where_the_smallest_class_runs_out(small, large):
    cohort = sized_cohort(**{small: 5, large: 30})
    equal = many(DesignSampler(cohort, EpisodeDesign(2, (1, 20), 2)), 200)
    assert {len(c) for e in equal for c in e.support.values()} == {1, 2, 3}
    unequal = many(DesignSampler(cohort, EpisodeDesign(2, (1, 20), 2, unequal=True)))
    assert {len(e.support[small]) for e in unequal} == {1, 2, 3}
    assert {len(e.support[large]) for e in unequal} == set(range(1, 21))


def test_fixed_shots_are_never_fewer():
    cohort = sized_cohort(a=5, b=30)
    with pytest.raises(EpisodeError) as caught:
        DesignSampler(cohort, EpisodeDesign(2, 4, 2))
    assert "class 'a'" in str(caught.value)
    assert "It has 5, 6 are needed: 4 support and 2 query" in str(caught.value)
    assert len(draw(cohort, EpisodeDesign(2, 3, 2)).support["a"]) == 3


def shot_counts(cohort, unequal):
    episodes = many(DesignSampler(cohort, EpisodeDesign(None, (1, 5), 1, unequal)), 300)
    return {tuple(map(len, e.support.values())) for e in episodes}


def test_equal_shots_stay_equal_where_an_odd_patient_is_left_over():
    cohort = cohort_of(*[(f"p{i}", c) for i in range(4) for c in "ab"], ("q", "b"))
    assert shot_counts(cohort, unequal=False) == {(1, 1)}
    assert {(1, 2), (2, 1)} <= shot_counts(cohort, unequal=True)


def test_a_range_uses_shared_patients_as_far_as_they_go():
    # Six patients in both classes: at most three each, of whom one is a query.
    cohort = cohort_of(*[(f"p{i}", c) for i in range(6) for c in "ab"])
    assert shot_counts(cohort, unequal=False) == {(1, 1), (2, 2)}
    assert shot_counts(cohort, unequal=True) == {(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)}
    with pytest.raises(EpisodeError, match="It has 6, of whom 6 also have cases in other classes"):
        DesignSampler(cohort, EpisodeDesign(None, 3, 1))


def test_classes_that_share_too_many_patients_are_refused_when_drawn():
    twins = [(f"p{i}", c) for i in range(3) for c in "ab"]
    cohort = cohort_of(*twins, *[(f"c{i}", "c") for i in range(3)])
    sampler = DesignSampler(cohort, EpisodeDesign(2, 1, 1))
    with pytest.raises(EpisodeError, match="of whom 3 also have cases in other classes"):
        many(sampler, 50)
    assert set(draw(cohort, EpisodeDesign(2, 1, 1), class_names=["c", "b"]).support) == {"b", "c"}


def test_only_the_classes_named_are_drawn():
    sampler = DesignSampler(sized_cohort(a=4, b=4, c=4, d=1), EpisodeDesign(2, 1, 1), "cba")
    assert {name for e in many(sampler, 100) for name in e.support} == set("abc")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "z"], "1 of 2 classes have no case: z. The 3 labels are a, b, c"),
        (["a"], "at least two classes, found 1"),
        (["a", "b"], "at least 3 classes, found 2"),
    ],
)
def test_unseen_or_too_few_classes_are_counted(names, message):
    with pytest.raises(EpisodeError) as caught:
        DesignSampler(sized_cohort(a=4, b=4, c=4), EpisodeDesign(3, 1, 1), names)
    assert message in str(caught.value)


def test_identity_tells_designs_and_cohorts_apart():
    cohort, design = sized_cohort(a=4, b=4), EpisodeDesign(2, 1, 1)
    same = Cohort(tuple(reversed(cohort.cases)))
    others = [
        DesignSampler(cohort, EpisodeDesign(2, 1, 2)),
        DesignSampler(sized_cohort(a=4, b=5), design),
        DesignSampler(cohort_of(*[(c.patient_id + "'", c.label) for c in cohort.cases]), design),
    ]
    identity = DesignSampler(cohort, design).identity
    assert DesignSampler(same, design).identity == identity
    assert identity not in {o.identity for o in others}
