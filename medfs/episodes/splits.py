"""Cohorts split into sides, such as meta-training, validation and test, that share nothing."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np

from medfs.core.cases import Cohort
from medfs.core.errors import EpisodeError, UsageError

# An episode needs two classes, hence so does a side that episodes are drawn from.
FEWEST_CLASSES = 2


def split_classes(
    cohort: Cohort, sides: Mapping[str, Sequence[str]], *, drop_shared: bool = False
) -> dict[str, Cohort]:
    """Sides that share neither a class nor a patient: novel classes are really novel.

    Classes that no side names are left out, and so are cases without a label.

    Args:
        cohort: labelled cases.
        sides: names of the classes of each side, at least two a side.
        drop_shared: a patient with cases in classes of several sides is left out of all of them,
            and a note says how many; otherwise such patients are refused.

    Raises:
        EpisodeError: a class without a case, a class on two sides, a side with fewer than two
            classes, patients on several sides, or a class that loses all its patients.
    """
    _refuse_names(cohort, sides)
    side_of = {name: side for side, names in sides.items() for name in names}
    found: dict[str, set[str]] = defaultdict(set)
    for case in cohort.cases:
        if case.label in side_of:
            found[case.patient_id].add(side_of[case.label])
    shared = {patient for patient, where in found.items() if len(where) > 1}
    if shared and not drop_shared:
        raise _shared_patients(shared, len(found))
    chosen = {
        c.case_id: side_of[c.label]
        for c in cohort.cases
        if c.label in side_of and c.patient_id not in shared
    }
    note = f"{len(shared)} patient(s) with cases in classes of several sides were left out"
    _refuse_empty(cohort, sides, chosen, note)
    return _cohorts(cohort, sides, chosen, (note,) if shared else ())


def split_classes_by_share(
    cohort: Cohort, shares: Mapping[str, float], seed: int, *, drop_shared: bool = False
) -> dict[str, Cohort]:
    """`split_classes` with classes dealt to the sides at random.

    Args:
        cohort: labelled cases.
        shares: of the classes on each side; they sum to one. Counts are rounded by largest
            remainder.
        seed: of the generator that shuffles the sorted names.
        drop_shared: as in `split_classes`.

    Raises:
        UsageError: shares that are not positive or do not sum to one.
        EpisodeError: as `split_classes`.
    """
    _check_shares(shares)
    names = cohort.class_names
    shuffled = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    ends = np.cumsum([0, *_rounded(len(names), list(shares.values()))]).tolist()
    dealt = {
        side: sorted(shuffled[a:b]) for side, a, b in zip(shares, ends, ends[1:], strict=False)
    }
    return split_classes(cohort, dealt, drop_shared=drop_shared)


def split_patients(
    cohort: Cohort, shares: Mapping[str, float], salt: str = ""
) -> dict[str, Cohort]:
    """Sides that share no patient; each has all classes.

    The side of a patient depends on a hash of its id alone: it stays when patients are added, and
    on average the sides get their shares. Cases without a label go where their patient goes.

    Args:
        cohort: cases.
        shares: of the patients on each side; they sum to one. Their order matters.
        salt: another text gives another split.

    Raises:
        UsageError: shares that are not positive or do not sum to one.
        EpisodeError: fewer than two classes, or a class without a patient on some side.
    """
    _check_shares(shares)
    sides = dict.fromkeys(shares, cohort.class_names)
    if len(cohort.class_names) < FEWEST_CLASSES:
        raise _too_few_classes("the cohort", cohort.class_names)
    ends, names = np.cumsum(list(shares.values())), list(shares)
    # Rounding may leave the last end just below one.
    ends[-1] = 1.0
    side_of = {
        p: names[int(np.searchsorted(ends, _place(p, salt), side="right"))] for p in cohort.patients
    }
    chosen = {c.case_id: side_of[c.patient_id] for c in cohort.cases}
    why = "The side of a patient is a hash of its id, so small classes may miss a side"
    _refuse_empty(cohort, sides, chosen, why)
    return _cohorts(cohort, sides, chosen, ())


def _place(patient_id: str, salt: str) -> float:
    """Uniform in [0, 1), from 52 bits, which a float holds exactly."""
    # JSON in ASCII: the same text on every machine, whatever the id holds.
    digest = hashlib.sha256(json.dumps([salt, patient_id]).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 12) / 2**52


def _check_shares(shares: Mapping[str, float]) -> None:
    values = list(shares.values())
    # What is not a number fails the comparison too.
    if not (values and all(v > 0 and isfinite(v) for v in values) and abs(sum(values) - 1) < 1e-6):
        raise UsageError(
            "the shares of the sides must be positive and sum to one",
            why=f"Given: {dict(shares)}, which sum to {sum(values):g}",
            todo="Give for example train 0.6, validation 0.2, test 0.2",
        )


def _rounded(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers near the shares of `total` that sum to it; ties go to the first."""
    exact = [total * share for share in shares]
    counts = [int(value) for value in exact]
    by_rest = sorted(range(len(shares)), key=lambda i: counts[i] - exact[i])
    for i in by_rest[: total - sum(counts)]:
        counts[i] += 1
    return counts


def _refuse_names(cohort: Cohort, sides: Mapping[str, Sequence[str]]) -> None:
    named = [name for names in sides.values() for name in names]
    unseen = sorted(set(named) - set(cohort.class_names))
    if unseen:
        raise EpisodeError(
            f"{len(unseen)} of {len(set(named))} classes have no case: {', '.join(unseen)}",
            why=f"The {len(cohort.class_names)} labels are {', '.join(cohort.class_names)}",
            todo="Correct the names, or add labelled cases of these classes",
        )
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise EpisodeError(
            f"{len(twice)} class(es) are named twice: {', '.join(twice)}",
            why="The sides of a class-disjoint split share no class",
            todo="Name each class once, on one side",
        )
    for side, names in sides.items():
        if len(names) < FEWEST_CLASSES:
            raise _too_few_classes(f"side {side!r}", names)


def _too_few_classes(where: str, names: Sequence[str]) -> EpisodeError:
    return EpisodeError(
        f"{where} has {len(names)} class(es), and an episode needs at least two",
        why=f"Its classes: {', '.join(names) or 'none'}",
        todo="Give it more classes, or split by patients instead of classes",
    )


def _shared_patients(shared: set[str], n_patients: int) -> EpisodeError:
    some = ", ".join(sorted(shared)[:3]) + (" and others" if len(shared) > 3 else "")
    return EpisodeError(
        f"{len(shared)} of {n_patients} patients have cases in classes of several sides",
        why=f"They would be seen in training and in test: {some}",
        todo="Put these classes on one side, or leave the patients out with drop_shared",
    )


def _refuse_empty(
    cohort: Cohort, sides: Mapping[str, Sequence[str]], chosen: Mapping[str, str], why: str
) -> None:
    patients: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for case in cohort.cases:
        if case.case_id in chosen:
            patients[chosen[case.case_id], case.label].add(case.patient_id)
    for side, names in sides.items():
        counts = {name: len(patients[side, name]) for name in names}
        if min(counts.values()) == 0:
            table = ", ".join(f"{count} of {name!r}" for name, count in counts.items())
            raise EpisodeError(
                f"side {side!r} has a class without a patient",
                why=f"It would have {table}. {why}",
                todo="Add patients, or choose other sides, shares or another salt",
            )


def _cohorts(
    cohort: Cohort, sides: Mapping[str, object], chosen: Mapping[str, str], notes: tuple[str, ...]
) -> dict[str, Cohort]:
    return {
        side: Cohort(
            tuple(c for c in cohort.cases if chosen.get(c.case_id) == side), cohort.notes + notes
        )
        for side in sides
    }
