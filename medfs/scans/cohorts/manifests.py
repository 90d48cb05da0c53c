"""CSV and TSV manifests to cases."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medfs.core.cases import Case, Cohort
from medfs.core.errors import CohortError
from medfs.scans.cohorts.columns import find_columns
from medfs.scans.cohorts.layout import NO_PATIENTS, some
from medfs.scans.names import stem


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the manifest: its line number in the file and its cells by meaning."""

    line: int
    cells: dict[str, str]

    def get(self, meaning: str) -> str | None:
        return self.cells.get(meaning) or None


def read_manifest(
    path: Path,
    *,
    label_column: str | None = None,
    image_column: str | None = None,
    labelled: bool = True,
) -> Cohort:
    """The cases of a manifest, in its order; `medfs.scans.cohorts.columns` lists its columns.

    Paths are relative to the manifest. Whether the scans exist is seen when they are read. Without
    a case column the case is the scan's name, or the patient where scans share a name.

    Raises:
        CohortError: not a table, columns missing, or an empty image or label cell.
    """
    lines = list(_lines(path))
    if not lines:
        raise CohortError(
            "the manifest is empty", case=path.name, todo="Write a header and one row per case"
        )
    header = [name.strip() for name in lines[0][1]]
    columns = find_columns(header, label_column=label_column, image_column=image_column)
    if labelled and "label" not in columns:
        raise CohortError(
            "the manifest has no label column",
            case=path.name,
            why=f"Its columns are: {', '.join(header)}",
            todo="Call the column with the classes 'label', or name it with the label "
            "column option",
        )
    rows = [_row(path, number, cells, header, columns) for number, cells in lines[1:]]
    ids = _case_ids(rows)
    cases = tuple(
        _case(path, row, case_id, labelled=labelled) for row, case_id in zip(rows, ids, strict=True)
    )
    return Cohort(cases, tuple(_notes(rows, header, columns)))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CohortError(
            "the manifest cannot be read", case=path.name, why=error.strerror or str(error)
        ) from error
    except UnicodeDecodeError as error:
        raise CohortError(
            "the manifest is not UTF-8 text",
            case=path.name,
            why=f"Byte {error.start} cannot be decoded",
            todo="Save it as 'CSV UTF-8'",
        ) from error
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=_delimiter(path, text), strict=True
    )
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise CohortError(
            "the manifest is not a well-formed table",
            case=path.name,
            why=f"Line {reader.line_num}: {error}",
            todo="Check the quotes of that line",
        ) from error


def _delimiter(path: Path, text: str) -> str:
    """Tab for .tsv; for .csv a comma, or the semicolon that some countries' Excel writes."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    first = next((line for line in text.splitlines() if line.strip()), "")
    return ";" if first.count(";") > first.count(",") else ","


def _row(
    path: Path, line: int, cells: list[str], header: list[str], columns: dict[str, int]
) -> _Row:
    if any(cell.strip() for cell in cells[len(header) :]):
        raise CohortError(
            f"line {line} of the manifest has more cells than the header",
            case=path.name,
            why=f"{len(cells)} cells, {len(header)} columns",
            todo="Put cells that contain the delimiter in double quotes",
        )
    return _Row(line, {m: cells[i].strip() for m, i in columns.items() if i < len(cells)})


def _case(path: Path, row: _Row, case_id: str, *, labelled: bool) -> Case:
    label = row.get("label") if labelled else None
    for meaning, value in (("image", row.get("image")), ("label", label)):
        if value is None and (meaning == "image" or labelled):
            raise CohortError(
                f"row {row.line} of the manifest has no {meaning}",
                case=path.name,
                todo=f"Fill in its {meaning}, or remove the row",
            )
    mask = row.get("mask")
    return Case(
        case_id=case_id,
        patient_id=row.get("patient") or case_id,
        image=path.parent / (row.get("image") or ""),
        mask=path.parent / mask if mask else None,
        label=label,
        site=row.get("site"),
    )


def _case_ids(rows: list[_Row]) -> list[str]:
    stems = [stem(Path(row.get("image") or "")) for row in rows]
    patients = [row.get("patient") or "" for row in rows]
    if len(set(stems)) < len(stems) and all(patients) and len(set(patients)) == len(patients):
        stems = patients
    return [row.get("case") or name for row, name in zip(rows, stems, strict=True)]


def _notes(rows: list[_Row], header: list[str], columns: dict[str, int]) -> Iterator[str]:
    without = [row.line for row in rows if not row.get("patient")]
    if "patient" not in columns:
        yield NO_PATIENTS
    elif without:
        yield (
            f"{len(without)} row(s) have no patient: each is taken as a patient of its own "
            f"(rows {some([str(n) for n in without])})"
        )
    repeated = [name for name, n in Counter(map(str.lower, header)).items() if n > 1 and name]
    if repeated:
        yield f"column name(s) occur twice, the first is used: {some(repeated)}"
    unused = [h for i, h in enumerate(header) if i not in columns.values() and h]
    if unused:
        yield f"column(s) not used: {', '.join(unused)}"
