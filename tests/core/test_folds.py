from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.folds import balanced_folds, leave_pair_out

# (label, patient) of up to 20 cases: patients often have several cases and classes.
mixed = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=20)


def split(cases):
    labels, patients = zip(*cases, strict=True)
    return list(labels), list(patients)


def remaining(cases, fold):
    return {label for label, patient in cases if patient not in fold}


@given(mixed, st.integers(0, 5))
def test_no_fold_empties_a_class_and_every_class_is_left_out(cases, seed):
    labels, patients = split(cases)
    for fold in balanced_folds(labels, patients, seed, repeats=2):
        assert remaining(cases, fold) == set(labels)
        assert {label for label, patient in cases if patient in fold} == set(labels)
        assert fold == tuple(sorted(set(fold)))


@given(st.lists(st.integers(2, 7), min_size=2, max_size=4), st.integers(0, 5), st.integers(1, 3))
def test_disjoint_classes_are_cycled_evenly(sizes, seed, repeats):
    labels = [c for c, size in enumerate(sizes) for _ in range(size)]
    patients = [100 * c + i for c, size in enumerate(sizes) for i in range(size)]
    folds = balanced_folds(labels, patients, seed, repeats)
    assert len(folds) == repeats * max(sizes)
    assert all(len(fold) == len(sizes) for fold in folds)
    used = Counter(p for fold in folds for p in fold)
    for c, size in enumerate(sizes):
        times = [used[100 * c + i] for i in range(size)]
        assert max(times) - min(times) <= repeats
        assert min(times) >= 1


@given(mixed, st.integers(0, 5), st.randoms(use_true_random=False))
def test_order_of_cases_does_not_matter(cases, seed, random):
    shuffled = random.sample(cases, len(cases))
    assert balanced_folds(*split(cases), seed) == balanced_folds(*split(shuffled), seed)


def test_a_class_of_one_patient_has_no_folds():
    assert balanced_folds([0, 0, 1, 1], [1, 2, 3, 3], seed=0) == []
    assert leave_pair_out([0, 0, 1, 1], [1, 2, 3, 3], 0, 1, limit=9, seed=0) == []


def test_a_patient_in_both_classes_stands_for_both():
    # 2 is in both classes: left out with 1 it empties class 0, with 3 class 1.
    folds = balanced_folds([0, 0, 1, 1], [1, 2, 2, 3], seed=0)
    assert sorted(folds) == [(1, 3), (2,)]


def test_all_pairs_or_a_seeded_sample_of_them():
    labels, patients = [0] * 4 + [1] * 5, list(range(9))
    every = leave_pair_out(labels, patients, 0, 1, limit=100, seed=0)
    assert every == [(a, b) for a in range(4) for b in range(4, 9)]
    some = leave_pair_out(labels, patients, 0, 1, limit=7, seed=0)
    assert len(set(some)) == 7
    assert set(some) <= set(every)
    assert some == leave_pair_out(labels, patients, 0, 1, limit=7, seed=0)
    assert some != leave_pair_out(labels, patients, 0, 1, limit=7, seed=1)


@given(mixed, st.integers(0, 5))
def test_pairs_keep_every_class(cases, limit):
    labels, patients = split(cases)
    pairs = leave_pair_out(labels, patients, 0, 1, limit, seed=0)
    assert len(pairs) <= limit
    for a, b in pairs:
        assert (0, a) in cases
        assert (1, b) in cases
        assert a != b
        assert remaining(cases, (a, b)) == set(labels)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="argument 2"):
        balanced_folds([0, 1], [1], seed=0)
