"""Is this the support that a model was made from? Case by case, by the hashes of image and mask."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from medfs.core.cases import Case
from medfs.core.errors import CohortError, IntegrityError, UserError
from medfs.workflows.predict import Predictor
from medfs.workflows.reporting.matched import Matched
from medfs.workflows.reporting.reading import patch_of
from medfs.workflows.sources import FileSource

_TODO = "Give the very cases that `medfs adapt` read, or adapt again to these"


def match(
    predictor: Predictor, report: Mapping[str, Any], cases: Sequence[Case], names: Mapping[str, str]
) -> tuple[Matched, ...]:
    """The support cases in the order of the model.

    Args:
        predictor: the model; it says how cases are read.
        report: its report.json.
        cases: what the user says that it was made from.
        names: case id by ordinal, where the model folder still knows them.

    Raises:
        CohortError: a case is not of this support, is in another class, or is missing.
        IntegrityError: the model does not say what its cases were.
    """
    waiting = _by_digest(report)
    found: dict[str, Matched] = {}
    unusable: dict[str, str] = {}
    for case in sorted(cases, key=lambda c: c.case_id):
        source = FileSource(case, predictor.use_masks, predictor.asked.reading)
        entries = waiting.get(_digest(source) or "", [])
        if not entries:
            unusable[case.case_id] = _why_unusable(predictor, source, names)
            continue
        entry = _of_class(entries, case)
        entries.remove(entry)
        found[entry["case"]] = Matched(entry["case"], source, tuple(entry["notes"]))
    for entry in report["cases"]:
        if entry["case"] not in found:
            _refuse_missing(entry, names.get(entry["case"]), unusable)
    return tuple(found[entry["case"]] for entry in report["cases"])


def _by_digest(report: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in report["cases"]:
        if not isinstance(entry.get("digest"), str):
            raise IntegrityError(
                "the model does not say what its cases were",
                why="It was made by an earlier version of medfs",
                todo="Adapt again",
            )
        found[entry["digest"]].append(entry)
    return found


def _digest(source: FileSource) -> str | None:
    try:
        return source.digest().short
    except UserError:
        return None


def _of_class(entries: Sequence[dict[str, Any]], case: Case) -> dict[str, Any]:
    entry = next((e for e in entries if e["class"] == case.label), None)
    if entry is not None:
        return entry
    raise CohortError(
        f"the case is in class {case.label!r} here, but was in class {entries[0]['class']!r} "
        "when the model was made",
        case=case.case_id,
        todo=_TODO,
    )


def _why_unusable(predictor: Predictor, source: FileSource, names: Mapping[str, str]) -> str:
    """A case that cannot be used was left out of the model too; any other is foreign to it."""
    try:
        patch_of(predictor, source)
    except UserError as error:
        return str(error)
    ordinal = next((o for o, name in names.items() if name == source.case.case_id), None)
    why = (
        "No case of the model has the bytes of its image and mask"
        if ordinal is None
        else f"It was {ordinal}, but its image, its mask or its region has changed since"
    )
    raise CohortError(
        "this is not one of the cases that the model was made from",
        case=source.case.case_id,
        why=why,
        todo=_TODO,
    )


def _refuse_missing(
    entry: Mapping[str, Any], called: str | None, unusable: Mapping[str, str]
) -> None:
    of = f"It is of class {entry['class']!r}"
    why = f"It cannot be used any more: {unusable[called]}" if called and called in unusable else of
    raise CohortError(
        f"{entry['case']}, from which the model was made, is not among these cases",
        case=called,
        why=why,
        todo=_TODO,
    )
