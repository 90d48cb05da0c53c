"""The sections of a datalist, and which of them is meant."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medfs.core.errors import CohortError
from medfs.scans.cohorts.layout import some

_SECTIONS = ("training", "train", "validation", "val", "test", "testing")
_WITH_LABELS, _WITHOUT = ("training", "train"), ("test", "testing")
DATALIST = (
    'Write it as {"training": [{"image": "a.nii.gz", "label": "benign"}, …]}, with paths relative '
    "to the file"
)


def sections_of(content: Any, path: Path, named: str | None) -> dict[str, list[Any]]:
    """The lists of cases, by name; a bare list is called `cases`.

    Raises:
        CohortError: there are none.
    """
    if isinstance(content, list):
        content = {"cases": content}
        known: Sequence[str] = ("cases",)
    else:
        known = (*_SECTIONS, *([named] if named else []))
    found = content if isinstance(content, dict) else {}
    sections = {k: v for k, v in found.items() if k in known and isinstance(v, list)}
    if not sections:
        keys = some([str(k)[:40] for k in found], 8) or f"none: it is a {type(content).__name__}"
        raise CohortError(
            "the file is no datalist: it lists no cases",
            case=path.name,
            why=f"None of its keys is a list called {', '.join(known)}; its keys are {keys}",
            todo=DATALIST,
        )
    return sections


def choose_section(
    sections: dict[str, list[Any]], named: str | None, path: Path, labelled: bool
) -> str:
    """The section that is meant; see `datalists.read_datalist`.

    Raises:
        CohortError: it is not there, or more than one may be meant.
    """
    listed = ", ".join(f"{name} ({len(cases)} cases)" for name, cases in sections.items())
    if named is not None:
        if named in sections:
            return named
        raise CohortError(
            f"the datalist has no section {named!r}",
            case=path.name,
            why=f"It has {listed}",
            todo="Name one of these",
        )
    filled = [name for name, cases in sections.items() if cases] or list(sections)
    usual = [n for n in filled if n in (_WITH_LABELS if labelled else _WITHOUT)]
    for names in (usual, filled):
        if len(names) == 1:
            return names[0]
    raise CohortError(
        "which section of the datalist is meant is not clear",
        case=path.name,
        why=f"It has {listed}",
        todo="Name one of these with the section option",
    )
