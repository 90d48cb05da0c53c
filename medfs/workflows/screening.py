"""What a cohort must meet before anything is learned from it."""

from collections import defaultdict
from collections.abc import Sequence

from medfs.core.cases import Cohort
from medfs.core.errors import CohortError
from medfs.workflows.embed import Embedded, Failed


def need_two_classes(cohort: Cohort) -> Cohort:
    """The cohort itself; CohortError if it has a single class."""
    if len(cohort.class_names) < 2:
        raise CohortError(
            f"all cases ({len(cohort.cases)}) are of one class, {', '.join(cohort.class_names)!r}",
            why="A classifier tells at least two classes apart",
            todo="Add labelled cases of another class",
        )
    return cohort


def masks_of_all_or_none(cohort: Cohort) -> bool:
    """Whether the cases have masks; CohortError if only some have.

    A region that is marked in one class and found in the other would give the label away.
    """
    without = [c.case_id for c in cohort.cases if c.mask is None]
    if 0 < len(without) < len(cohort.cases):
        raise CohortError(
            f"{len(without)} of {len(cohort.cases)} cases have no mask",
            why=f"Without a mask: {', '.join(without[:3])}" + (", …" if without[3:] else ""),
            todo="Add the missing masks, or use none with --no-masks",
        )
    return not without


def keep_usable(cohort: Cohort, done: Sequence[Embedded], failed: Sequence[Failed]) -> Cohort:
    """The cases that could be read, in the order of `done`.

    Raises:
        CohortError: a class lost all its cases, or the same image lies in two classes.
    """
    if not done:
        raise CohortError("no case could be used", why=f"The first one: {failed[0].error}")
    kept = cohort.without({f.case.case_id for f in failed})
    for lost in set(cohort.class_names) - set(kept.class_names):
        first = next(f for f in failed if f.case.label == lost)
        raise CohortError(
            f"no case of class {lost!r} could be used", why=f"The first one: {first.error}"
        )
    refuse_copies_in_two_classes(done)
    return kept


def refuse_copies_in_two_classes(done: Sequence[Embedded]) -> None:
    """CohortError if the same image, byte for byte, lies in two classes, whatever its masks."""
    same: dict[str, list[Embedded]] = defaultdict(list)
    for case in done:
        same[case.digest.image].append(case)
    for copies in same.values():
        one = copies[0]
        other = next((c for c in copies if c.case.label != one.case.label), None)
        if other is not None:
            raise CohortError(
                f"the same image is in class {one.case.label!r} and in class {other.case.label!r}",
                case=one.case.case_id,
                why=f"Its bytes equal those of case {other.case.case_id}",
                todo="Keep it in the class it belongs to and remove the other one",
            )
