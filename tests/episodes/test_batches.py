from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.cases import Case, Cohort
from medfs.core.episodes import Episode, SupportSet
from medfs.core.errors import EpisodeError, UsageError
from medfs.core.features import Features
from medfs.episodes.batches import CohortTasks, TaskSource, to_task_batch
from medfs.episodes.design_sampler import DesignSampler
from medfs.episodes.designs import EpisodeDesign
from medfs.episodes.mixture import EpisodeStream, Mixture
from medfs.mappers.standardize import balanced_weights


def cohort_of(*rows):
    """Rows of (patient, label)."""
    return Cohort(
        tuple(Case(f"case{i}", p, Path(str(i)), label=c) for i, (p, c) in enumerate(rows))
    )


def disjoint_cohort(n=9, classes="abcde"):
    return cohort_of(*[(f"{c}{p}", c) for c in classes for p in range(n) for _ in range(2)])


def shared_cohort():
    return cohort_of(*[(f"p{p}", c) for c in "abc" for p in range(20)])


def features_of(cohort, dtype=torch.float64):
    """Every case is told by its features: its number, its class and a one."""
    return {
        c.case_id: torch.tensor([i, ord(c.label), 1], dtype=dtype)
        for i, c in enumerate(cohort.cases)
    }


def patient_of(cohort):
    return {c.case_id: c.patient_id for c in cohort.cases}


def batch_of(episodes, cohort, class_names=None):
    names = class_names or cohort.class_names
    return to_task_batch(episodes, features_of(cohort), patient_of(cohort), names)


def sides(batch):
    return (
        (batch.support, batch.support_labels, batch.support_weights),
        (batch.query, batch.query_labels, batch.query_weights),
    )


def drawn(cohort, design, n, seed=0):
    sampler = DesignSampler(cohort, design)
    rng = np.random.default_rng(seed)
    return [sampler.sample(rng) for _ in range(n)]


def check_weights(batch):
    for items, labels, weights in sides(batch):
        torch.testing.assert_close(weights.sum(1), torch.ones(len(batch), dtype=weights.dtype))
        for task in range(len(batch)):
            per_class = torch.bincount(labels[task], weights[task], minlength=batch.n_way)
            even = torch.full_like(per_class, 1 / batch.n_way)
            torch.testing.assert_close(per_class, even)
        assert bool((items[weights == 0] == 0).all())


designs = st.builds(
    EpisodeDesign,
    st.sampled_from([None, 2, 3]),
    st.sampled_from([(1, 4), (2, 9)]),
    st.integers(1, 3),
    st.booleans(),
)
cohorts = st.sampled_from([disjoint_cohort(), shared_cohort()])


@given(cohorts, designs, st.integers(1, 6), st.integers(0, 99))
def test_a_batch_holds_the_cases_of_its_episodes(cohort, design, n, seed):
    episodes = drawn(cohort, design, n, seed)
    features = features_of(cohort)
    batch = batch_of(episodes, cohort)
    check_weights(batch)
    for task, episode in enumerate(episodes):
        pairs = zip(sides(batch), (episode.support, episode.query), strict=True)
        for (items, labels, weights), listed in pairs:
            real = weights[task] > 0
            expected = [features[c] for cases in listed.values() for c in cases]
            torch.testing.assert_close(items[task][real], torch.stack(expected), rtol=0, atol=0)
            counts = [len(cases) for cases in listed.values()]
            assert torch.bincount(labels[task][real]).tolist() == counts
    longest = max(sum(map(len, e.support.values())) for e in episodes)
    assert batch.support.shape == (n, longest, 3)


@given(cohorts, designs, st.integers(1, 6), st.integers(0, 99))
def test_drawn_batches_are_tasks_of_the_cohort(cohort, design, n, seed):
    tasks = CohortTasks(cohort, design, features_of(cohort))
    batch = tasks.sample(n, np.random.default_rng(seed))
    check_weights(batch)
    assert len(batch) == n
    patients = [c.patient_id for c in cohort.cases]
    for task in range(n):
        used, names = [], defaultdict(set)
        for items, labels, weights in sides(batch):
            for item, label in zip(items[task], labels[task], strict=True):
                if item[2] == 1:
                    used.append(patients[int(item[0])])
                    names[int(label)].add(int(item[1]))
            assert int((weights[task] > 0).sum()) == int(items[task][:, 2].sum())
        assert len(set(used)) == len(used)
        # One class per label, in the order of their names.
        found = [names[label] for label in range(batch.n_way)]
        assert all(len(f) == 1 for f in found)
        assert found == sorted(found, key=min)


@given(cohorts, st.booleans(), st.integers(0, 99))
def test_drawing_into_a_batch_equals_stacking_the_listed_episodes(cohort, unequal, seed):
    design = EpisodeDesign(3, (1, 5), 2, unequal)
    direct = CohortTasks(cohort, design, features_of(cohort)).sample(4, np.random.default_rng(seed))
    listed = batch_of(drawn(cohort, design, 4, seed), cohort)
    for ours, theirs in zip(sides(direct), sides(listed), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-15)


support_rows = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=12)


@given(support_rows)
def test_weights_are_those_of_the_mappers(rows):
    rows = [(label, 10 * label + patient) for label, patient in rows]
    rows += [(label, 99 + label) for label in range(3)]
    names = {(i, row): f"case{i}" for i, row in enumerate(rows)}
    support = {
        str(k): tuple(case for (_, (label, _)), case in names.items() if label == k)
        for k in range(3)
    }
    query = {str(k): (f"query{k}",) for k in range(3)}
    patients = {case: str(patient) for (_, (_, patient)), case in names.items()}
    patients |= {f"query{k}": f"query{k}" for k in range(3)}
    features = {case: torch.zeros(1, dtype=torch.float64) for case in patients}
    batch = to_task_batch([Episode(support, query)], features, patients, "012")
    ordered = sorted(rows, key=lambda row: row[0])
    expected = balanced_weights(
        SupportSet(
            Features({"x": torch.zeros(len(rows), 1)}),
            torch.tensor([label for label, _ in ordered]),
            torch.tensor([patient for _, patient in ordered]),
            ("0", "1", "2"),
        )
    )
    torch.testing.assert_close(batch.support_weights[0], expected)


def test_the_order_of_classes_decides_the_labels():
    cohort = disjoint_cohort(classes="abc")
    episode = Episode(
        {"a": ("case0",), "c": ("case36",)}, {"c": ("case40", "case38"), "a": ("case2",)}
    )
    forward, backward = (batch_of([episode], cohort, names) for names in ("abc", "cba"))
    assert forward.support[0, :, 0].tolist() == [0, 36]
    assert backward.support[0, :, 0].tolist() == [36, 0]
    assert forward.query_labels[0].tolist() == [0, 1, 1]
    assert backward.query_labels[0].tolist() == [0, 0, 1]


def test_items_may_be_images():
    cohort = disjoint_cohort()
    images = {c: torch.randn(2, 4, 5, 6) for c in cohort.by_id}
    batch = CohortTasks(cohort, EpisodeDesign(2, 3, 1), images).sample(7, np.random.default_rng(0))
    assert batch.support.shape == (7, 6, 2, 4, 5, 6)
    assert batch.query.dtype == batch.query_weights.dtype == torch.float32


def good():
    return Episode({"a": ("case0",), "b": ("case18",)}, {"a": ("case2",), "b": ("case20",)})


@pytest.mark.parametrize(
    ("episodes", "message"),
    [
        ([], "no episode was given"),
        ([Episode({"a": ("new",), "b": ("case18",)}, good().query)], "1 of 4 cases have no feat"),
        (
            [Episode({"a": ("case0",), "z": ("case18",)}, {"a": ("case2",), "z": ("case20",)})],
            "episode 0: 1 of its 2 classes are not known: z",
        ),
        ([good(), Episode({"a": ("case0",)}, good().query)], "episode 1: its support lacks"),
        ([Episode(good().support, {"a": ("case2",), "b": ()})], "It has 1 of 'a', 0 of 'b'"),
        ([Episode({}, {})], "It has no classes"),
        ([Episode(good().support, good().support)], "2 patient(s) are in support and query"),
        ([Episode(good().support, {"a": ("case1",), "b": ("case20",)})], "1 patient(s) are in"),
    ],
)
def test_bad_episodes_are_counted(episodes, message):
    with pytest.raises(EpisodeError) as caught:
        batch_of(episodes, disjoint_cohort())
    assert message in str(caught.value)


def test_different_ways_do_not_stack():
    cohort = disjoint_cohort()
    both = drawn(cohort, EpisodeDesign(2, 1, 1), 1) + drawn(cohort, EpisodeDesign(3, 1, 1), 1)
    with pytest.raises(EpisodeError, match="They have 2, 3"):
        batch_of(both, cohort)


def test_one_class_is_no_task():
    with pytest.raises(EpisodeError, match="at least two classes, found 1"):
        batch_of([Episode({"a": ("case0",)}, {"a": ("case2",)})], disjoint_cohort())


def test_unknown_patients_and_missing_features_are_counted():
    cohort = disjoint_cohort()
    with pytest.raises(EpisodeError, match="4 of 4 cases have no patient"):
        to_task_batch([good()], features_of(cohort), {}, cohort.class_names)
    features = features_of(cohort)
    del features["case3"], features["case7"]
    with pytest.raises(EpisodeError, match=r"2 of 90 cases have no features.*case3, case7"):
        CohortTasks(cohort, EpisodeDesign(2, 1, 1), features)


def test_features_of_several_shapes_are_refused():
    cohort = disjoint_cohort()
    features = features_of(cohort) | {"case3": torch.zeros(4, dtype=torch.float64)}
    with pytest.raises(UsageError, match=r"case3: .* It has \(4,\) torch\.float64"):
        CohortTasks(cohort, EpisodeDesign(2, 1, 1), features)


def test_ways_vary_from_batch_to_batch():
    cohort = disjoint_cohort()
    tasks = CohortTasks(cohort, EpisodeDesign((2, 4), 1, 1), features_of(cohort))
    rng = np.random.default_rng(0)
    assert {tasks.sample(2, rng).n_way for _ in range(40)} == {2, 3, 4}


def test_a_batch_has_tasks():
    cohort = disjoint_cohort()
    tasks = CohortTasks(cohort, EpisodeDesign(2, 1, 1), features_of(cohort))
    with pytest.raises(UsageError, match="asked were 0"):
        tasks.sample(0, np.random.default_rng(0))


def test_batches_of_several_cohorts_are_a_stream_that_can_be_resumed():
    def stream(n_tasks=3):
        return EpisodeStream(
            Mixture(
                {
                    name: (TaskSource(CohortTasks(c, design, features_of(c)), n_tasks), 1.0)
                    for name, c in (("one", disjoint_cohort()), ("two", shared_cohort()))
                }
            ),
            0,
        )

    design = EpisodeDesign((2, 3), (1, 4), 2, unequal=True)
    first = stream()
    next(first)
    state = first.state()
    resumed = stream()
    resumed.restore(state)
    for _ in range(5):
        ours, theirs = next(first), next(resumed)
        assert ours.source == theirs.source
        assert torch.equal(ours.item.support, theirs.item.support)
        assert torch.equal(ours.item.query_weights, theirs.item.query_weights)
    assert stream(4).state()["source"] != state["source"]
