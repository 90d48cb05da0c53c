from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.cases import Case, Cohort
from medfs.core.errors import EpisodeError, UsageError
from medfs.episodes.splits import split_classes, split_classes_by_share, split_patients

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
# Those ids for which the SHA-256 of the ASCII text ["", "ID"] begins with 8 to f.
GOLDEN = ["p0", "p2", "p3", "p4", "p5", "p6", "p8", "\udcff"]


def cohort_of(*rows):
    """Rows of (patient, label)."""
    return Cohort(
        tuple(Case(f"case{i}", p, Path(str(i)), label=c) for i, (p, c) in enumerate(rows))
    )


def ten_classes(n_patients=3):
    return cohort_of(*[(f"{c}{p}", c) for c in "abcdefghij" for p in range(n_patients)])


def patients(cohort):
    return {c.patient_id for c in cohort.cases}


def all_different(sets):
    return len(set().union(*sets)) == sum(map(len, sets))


@given(st.integers(0, 10**6))
def test_class_shares_are_kept_and_nothing_is_shared(seed):
    cohort = ten_classes()
    sides = split_classes_by_share(cohort, SHARES, seed)
    assert [len(s.class_names) for s in sides.values()] == [6, 2, 2]
    assert list(sides) == list(SHARES)
    assert all_different([set(s.class_names) for s in sides.values()])
    assert all_different([patients(s) for s in sides.values()])
    assert sum(len(s.cases) for s in sides.values()) == len(cohort.cases)


def test_class_shares_depend_on_the_seed_alone():
    cohort = ten_classes()
    turned = Cohort(tuple(reversed(cohort.cases)))

    def names(cohort, seed):
        return [s.class_names for s in split_classes_by_share(cohort, SHARES, seed).values()]

    assert names(cohort, 5) == names(turned, 5)
    assert len({tuple(names(cohort, seed)) for seed in range(20)}) > 10


def test_named_classes_go_where_they_are_named():
    cohort = cohort_of(*[(f"{c}{i}", c) for c in "abcde" for i in range(2)], ("u", None))
    sides = split_classes(cohort, {"train": ["c", "a"], "test": ["b", "d"]})
    assert {n: s.class_names for n, s in sides.items()} == {"train": ("a", "c"), "test": ("b", "d")}
    # Neither e, which no side names, nor the case without a label.
    assert patients(sides["train"]) | patients(sides["test"]) == {
        f"{c}{i}" for c in "abcd" for i in range(2)
    }


def test_patients_of_two_sides_are_refused_with_counts_or_dropped_with_a_note():
    rows = [(f"{c}{i}", c) for c in "abcd" for i in range(2)]
    cohort = cohort_of(*rows, ("both", "a"), ("both", "c"), ("same", "a"), ("same", "b"))
    sides = {"train": ["a", "b"], "test": ["c", "d"]}
    with pytest.raises(EpisodeError, match=r"1 of 10 patients .* several sides"):
        split_classes(cohort, sides)
    found = split_classes(cohort, sides, drop_shared=True)
    assert "both" not in patients(found["train"]) | patients(found["test"])
    assert "same" in patients(found["train"])
    assert any(note.startswith("1 patient(s)") for note in found["test"].notes)


def test_a_class_that_loses_all_patients_is_refused():
    rows = [(f"{c}{i}", c) for c in "abc" for i in range(2)]
    cohort = cohort_of(*rows, ("a0", "d"), ("a1", "d"))
    with pytest.raises(EpisodeError) as caught:
        split_classes(cohort, {"train": ["a", "b"], "test": ["c", "d"]}, drop_shared=True)
    assert "0 of 'a', 2 of 'b'. 2 patient(s)" in str(caught.value)


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({"train": ["a", "b"], "test": ["c", "z"]}, "1 of 4 classes have no case: z"),
        ({"train": ["a", "b"], "test": ["c", "b"]}, "1 class(es) are named twice: b"),
        ({"train": ["a", "b"], "test": ["c"]}, "side 'test' has 1 class(es)"),
        ({"train": ["a", "b"], "test": []}, "side 'test' has 0 class(es)"),
    ],
)
def test_impossible_sides_are_counted(sides, message):
    with pytest.raises(EpisodeError) as caught:
        split_classes(ten_classes(), sides)
    assert message in str(caught.value)


def test_shares_that_leave_a_side_too_few_classes_are_refused():
    cohort = cohort_of(*[(f"{c}{i}", c) for c in "abcd" for i in range(2)])
    with pytest.raises(EpisodeError, match=r"has 1 class\(es\)"):
        split_classes_by_share(cohort, SHARES, 0)


@pytest.mark.parametrize(
    "shares", [{}, {"a": 0.5, "b": 0.6}, {"a": 1.0, "b": 0.0}, {"a": 1.5, "b": -0.5},
               {"a": float("nan"), "b": 0.5}]
)  # fmt: skip
def test_shares_are_positive_and_sum_to_one(shares):
    for split in (lambda: split_patients(ten_classes(), shares),
                  lambda: split_classes_by_share(ten_classes(), shares, 0)):  # fmt: skip
        with pytest.raises(UsageError, match="sum to one"):
            split()


def two_classes(n, extra=()):
    # Every third patient has cases of both classes, and one without a label.
    rows = [(f"p{i}", "ab"[i % 2]) for i in range(n)]
    rows += [(f"p{i}", c) for i in range(0, n, 3) for c in ("a", "b", None)]
    return cohort_of(*rows, *extra)


@given(st.integers(60, 200), st.text(max_size=3))
def test_patients_are_on_one_side_and_stay_there_when_others_join(n, salt):
    few, more = two_classes(n), two_classes(n + 40)
    try:
        sides = split_patients(few, SHARES, salt)
    except EpisodeError:
        return
    later = split_patients(more, SHARES, salt)
    assert all_different([patients(s) for s in sides.values()])
    assert sum(len(s.cases) for s in sides.values()) == len(few.cases)
    for name, side in sides.items():
        assert side.class_names == ("a", "b")
        assert patients(side) <= patients(later[name])


def test_patients_get_their_shares_and_salts_differ():
    cohort = cohort_of(*[(f"p{i}", "ab"[i % 2]) for i in range(3000)])
    sides = split_patients(cohort, SHARES)
    for name, share in SHARES.items():
        # Four standard errors.
        assert abs(len(sides[name].cases) / 3000 - share) < 0.036
    other = split_patients(cohort, SHARES, "second")
    assert patients(sides["test"]) != patients(other["test"])


def test_the_side_of_a_patient_is_the_same_on_every_machine():
    ids = [f"p{i}" for i in range(12)] + ["", "Müller", "\udcff", "患者", 'a", "b']
    cohort = cohort_of(*[(p, c) for p in ids for c in "ab"])
    sides = split_patients(cohort, {"train": 0.5, "test": 0.5})
    assert sorted(patients(sides["test"])) == GOLDEN


def test_a_class_missing_on_a_side_is_refused_with_counts():
    cohort = cohort_of(*[(f"a{i}", "a") for i in range(50)], ("b", "b"))
    with pytest.raises(EpisodeError, match=r"has a class without a patient.*\d+ of 'a', 0 of 'b'"):
        split_patients(cohort, SHARES)
    with pytest.raises(EpisodeError, match=r"the cohort has 1 class\(es\)"):
        split_patients(cohort_of(("p", "a")), SHARES)
