"""Rows of a table, of whatever source, to cases."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medfs.core.cases import Case, Cohort
from medfs.core.errors import CohortError
from medfs.scans.cohorts.columns import CLASS_NAMES, Words, plain_name
from medfs.scans.cohorts.layout import NO_PATIENTS, case_name, some

# What pandas, R, Excel and BIDS write where there is no value. NA may be a site or a patient, yet
# as a class it is far more often R's missing value.
_MISSING = {"nan", "n/a", "#n/a", "<na>", "null"}
_NO_CLASS = _MISSING | {"na"}
_SCAN = re.compile(r"\.(nii|nii\.gz|hdr|img|nrrd|mha|mhd|dcm|zip)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a manifest or entry of a datalist: its number and its cells by meaning."""

    number: int
    cells: dict[str, str]

    def get(self, meaning: str) -> str | None:
        """The cell, or None where it is empty or says that there is no value."""
        value = self.cells.get(meaning)
        missing = _NO_CLASS if meaning == "label" else _MISSING
        return None if not value or value.lower() in missing else value


@dataclass(frozen=True, slots=True)
class Table:
    """What a source holds.

    Attributes:
        path: its file; paths of scans are relative to its folder.
        header: names of all columns.
        columns: meaning to index of its column.
        rows: in the order of the source.
        words: what to call its parts in messages.
    """

    path: Path
    header: tuple[str, ...]
    columns: dict[str, int]
    rows: tuple[Row, ...]
    words: Words = Words()  # noqa: RUF009 - immutable


def label_is_mask(
    header: Sequence[str], column: Callable[[int], list[str]], *, labelled: bool
) -> bool:
    """Whether the column called `label` holds masks.

    Where classes are asked for and nothing else could be the class, it is left to be the label, so
    that the complaint is about it.

    Args:
        header: names of the columns.
        column: gives the values of the column of an index.
        labelled: whether every case must have a class.
    """
    plain = [plain_name(name) for name in header]
    if "label" not in plain or (labelled and not CLASS_NAMES.intersection(plain)):
        return False
    return _are_scans(column(plain.index("label")))


def _are_scans(values: Sequence[str]) -> bool:
    given = [v for v in values if v]
    return bool(given) and all(_SCAN.search(v) for v in given)


def cohort_of(table: Table, *, labelled: bool, notes: Sequence[str] = ()) -> Cohort:
    """The cases of a table, in its order.

    Without a case column the case is the scan's name, or the patient where scans share a name.

    Raises:
        CohortError: no label column, an empty image or label cell, or masks in place of classes.
    """
    if labelled:
        _check_labels(table)
    ids = _case_ids(table.rows)
    cases = tuple(
        _case(table, row, case_id, labelled=labelled)
        for row, case_id in zip(table.rows, ids, strict=True)
    )
    return Cohort(cases, (*_notes(table), *notes))


def _check_labels(table: Table) -> None:
    words = table.words
    if "label" not in table.columns:
        masks = "mask" in table.columns
        raise CohortError(
            f"{words.source} has no label {words.column}",
            case=table.path.name,
            why=f"Its {words.column}s are: {some(table.header, 50)}"
            + ("; it lists masks, as for segmentation" if masks else ""),
            todo=f"Call the {words.column} with the classes "
            + ("'class'" if masks else "'label'")
            + ", or name it with the label column option",
        )
    labels = [label for row in table.rows if (label := row.get("label"))]
    if _are_scans(labels):
        name = table.header[table.columns["label"]]
        raise CohortError(
            f"{name!r} holds paths of masks and not classes: {words.source} is for segmentation",
            case=table.path.name,
            why=f"Its values are like {some(labels[:1])}",
            todo=f"Add a {words.column} 'class', or name the one with the classes with the label "
            "column option",
        )


def _case(table: Table, row: Row, case_id: str, *, labelled: bool) -> Case:
    label = row.get("label") if labelled else None
    for meaning, value in (("image", row.get("image")), ("label", label)):
        if value is None and (meaning == "image" or labelled):
            stated = row.cells.get(meaning)
            raise CohortError(
                f"{table.words.row} {row.number} of {table.words.source} has no {meaning}",
                case=table.path.name,
                why=f"It says {stated[:80]!r}" if stated else None,
                todo=f"Fill in its {meaning}, or remove the {table.words.row}",
            )
    folder, mask = table.path.parent, row.get("mask")
    return Case(
        case_id=case_id,
        patient_id=row.get("patient") or case_id,
        image=folder / (row.get("image") or ""),
        mask=folder / mask if mask else None,
        label=label,
        site=row.get("site"),
        mask_label=row.get("mask_label") if mask else None,
    )


def _case_ids(rows: Sequence[Row]) -> list[str]:
    stems = [case_name(Path(row.get("image") or "")) for row in rows]
    patients = [row.get("patient") or "" for row in rows]
    if len(set(stems)) < len(stems) and all(patients) and len(set(patients)) == len(patients):
        stems = patients
    return [row.get("case") or name for row, name in zip(rows, stems, strict=True)]


def _notes(table: Table) -> Iterator[str]:
    word, header = table.words.row, table.header
    without = [row.number for row in table.rows if not row.get("patient")]
    if "patient" not in table.columns:
        yield NO_PATIENTS
    elif without:
        yield (
            f"{len(without)} {word}(s) have no patient: each is taken as a patient of its own "
            f"({word}s {some([str(n) for n in without])})"
        )
    unmarked = [str(r.number) for r in table.rows if r.get("mask_label") and not r.get("mask")]
    if unmarked:
        yield f"{word}s {some(unmarked)} name a region but no mask: the name is not used"
    repeated = [name for name, n in Counter(map(str.lower, header)).items() if n > 1 and name]
    if repeated:
        yield f"{table.words.column} name(s) occur twice, the first is used: {some(repeated)}"
    unused = [h for i, h in enumerate(header) if i not in table.columns.values() and h]
    if unused:
        yield f"{table.words.column}(s) not used: {some(unused, 20)}"
