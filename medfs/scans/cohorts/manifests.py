"""CSV and TSV manifests to cases."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from medfs.core.cases import Cohort
from medfs.core.errors import CohortError
from medfs.scans.cohorts.columns import find_columns
from medfs.scans.cohorts.rows import Row, Table, cohort_of, label_is_mask
from medfs.scans.cohorts.text import check_text, read_source

Lines = list[tuple[int, list[str]]]


def read_manifest(
    path: Path,
    *,
    label_column: str | None = None,
    image_column: str | None = None,
    labelled: bool = True,
) -> Cohort:
    """The cases of a manifest, in its order; `medfs.scans.cohorts.columns` lists its columns.

    Paths are relative to the manifest. Whether the scans exist is seen when they are read.

    Raises:
        CohortError: not a table, columns missing, or an empty image or label cell.
    """
    header, lines = read_lines(path)
    columns = find_columns(
        header,
        label_column=label_column,
        image_column=image_column,
        label_is_mask=label_is_mask(
            header, lambda at: [c[at].strip() for _, c in lines if at < len(c)], labelled=labelled
        ),
    )
    rows = tuple(_row(path, number, cells, header, columns) for number, cells in lines)
    return cohort_of(Table(path, tuple(header), columns, rows), labelled=labelled)


def read_lines(path: Path) -> tuple[list[str], Lines]:
    """The header, and (line number, cells) of every further line that is not blank.

    Raises:
        CohortError: not a table, or nothing in it.
    """
    lines = list(_lines(path))
    if not lines:
        raise CohortError(
            "the manifest is empty", case=path.name, todo="Write a header and one row per case"
        )
    return [name.strip() for name in lines[0][1]], lines[1:]


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank."""
    try:
        text = read_source(path).decode("utf-8-sig")
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
) -> Row:
    if any(cell.strip() for cell in cells[len(header) :]):
        raise CohortError(
            f"line {line} of the manifest has more cells than the header",
            case=path.name,
            why=f"{len(cells)} cells, {len(header)} columns",
            todo="Put cells that contain the delimiter in double quotes",
        )
    where = f"row {line} of the manifest"
    return Row(
        line, {m: check_text(cells[i], where, path) for m, i in columns.items() if i < len(cells)}
    )
