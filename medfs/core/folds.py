"""Which patients to leave out: folds for cross-fitting on a small support set.

Plain integers in and out, so that every stage can use them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

Members = Mapping[int, frozenset[int]]


def balanced_folds(
    labels: Sequence[int], patients: Sequence[int], seed: int, repeats: int = 1
) -> list[tuple[int, ...]]:
    """Folds that each leave out one patient per class, so that the balance of classes is kept.

    One repeat leaves every patient of the largest class out once; patients of smaller classes are
    cycled, each as often as the others give or take one. A patient with cases in several classes
    stands for all of them. A fold that would leave some class without a patient is dropped, so a
    patient may never be left out.

    Args:
        labels: class of each case.
        patients: patient of each case.
        seed: of the generator that pairs the patients.
        repeats: how often the patients are paired anew; folds may recur.

    Returns:
        For every fold the patients to leave out, sorted; empty if a class has a single patient.
    """
    members = _members(labels, patients)
    rng = np.random.default_rng(seed)
    return [fold for _ in range(repeats) for fold in _one_pass(members, rng)]


def leave_pair_out(
    labels: Sequence[int], patients: Sequence[int], a: int, b: int, limit: int, seed: int
) -> list[tuple[int, int]]:
    """Pairs of patients, one of class `a` and one of class `b`, to be left out together.

    Comparing the scores of such pairs gives a nearly unbiased AUROC (Airola et al. 2011). Pairs of
    one patient with itself, and pairs that would leave some class without a patient, do not occur.

    Returns:
        (patient of `a`, patient of `b`): all pairs, or a sample of `limit` of them, sorted.
    """
    members = _members(labels, patients)
    pairs = [
        (first, second)
        for first in sorted(members.get(a, ()))
        for second in sorted(members.get(b, ()))
        if first != second and _keeps_every_class(members, {first, second})
    ]
    if len(pairs) <= limit:
        return pairs
    chosen = np.random.default_rng(seed).choice(len(pairs), size=limit, replace=False)
    return [pairs[i] for i in sorted(chosen)]


def _members(labels: Sequence[int], patients: Sequence[int]) -> Members:
    found: dict[int, set[int]] = {}
    for label, patient in zip(labels, patients, strict=True):
        found.setdefault(int(label), set()).add(int(patient))
    return {label: frozenset(found[label]) for label in sorted(found)}


def _keeps_every_class(members: Members, left_out: set[int]) -> bool:
    return all(patients - left_out for patients in members.values())


def _one_pass(members: Members, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Folds led in turn by every patient not yet left out, the largest class first."""
    shuffled = {c: [int(p) for p in rng.permutation(sorted(m))] for c, m in members.items()}
    used: Counter[int] = Counter()
    folds = []
    for patients in sorted(shuffled.values(), key=len, reverse=True):
        for lead in patients:
            fold = None if used[lead] else _completed(lead, members, shuffled, used)
            if fold is not None:
                used.update(fold)
                folds.append(tuple(sorted(fold)))
    return folds


def _completed(
    lead: int, members: Members, shuffled: Mapping[int, list[int]], used: Counter[int]
) -> set[int] | None:
    """`lead` and one patient of every class it has no case in; None if a class would run empty."""
    fold = {lead}
    for label, patients in shuffled.items():
        if fold & members[label]:
            continue
        rarest_first = sorted(patients, key=lambda p: used[p])
        fitting = (p for p in rarest_first if _keeps_every_class(members, fold | {p}))
        chosen = next(fitting, None)
        if chosen is None:
            return None
        fold.add(chosen)
    return fold if _keeps_every_class(members, fold) else None
