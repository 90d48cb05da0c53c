"""JSON datalists to cases: MONAI's, and the `dataset.json` of the Medical Segmentation Decathlon.

    {"training": [{"image": "a.nii.gz", "label": "benign"}], "test": ["b.nii.gz"]}

An entry is an object with the keys that `medfs.scans.cohorts.columns` lists, or the path of a scan.
A class is a text, or a number whose name is in `labels`, `label_names` or `class_names` at the top:
`{"0": "benign"}`, `{"benign": 0}` or `["benign", "malignant"]`.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from medfs.core.cases import Cohort
from medfs.core.errors import CohortError
from medfs.scans.cohorts.columns import Words, find_columns
from medfs.scans.cohorts.json_text import read_json
from medfs.scans.cohorts.label_names import label_names
from medfs.scans.cohorts.layout import some
from medfs.scans.cohorts.rows import Row, Table, cohort_of, label_is_mask
from medfs.scans.cohorts.sections import DATALIST, choose_section, sections_of
from medfs.scans.cohorts.text import check_text


def read_datalist(
    path: Path,
    *,
    label_column: str | None = None,
    image_column: str | None = None,
    labelled: bool = True,
    section: str | None = None,
) -> Cohort:
    """The cases of one section of a datalist, in its order.

    Without `section`: `training` for labelled cases, otherwise `test`; the only section where there
    is one. Notes say which were left out.

    Raises:
        CohortError: not a datalist, no clear section, entries without image or class, or labels
            that are masks.
    """
    content = read_json(path)
    sections = sections_of(content, path, section)
    name = choose_section(sections, section, path, labelled)
    others = [f"{n} ({len(s)})" for n, s in sections.items() if n != name and s]
    notes = [f"section(s) of {path.name} not used: {some(others, 8)}"] if others else []
    words = Words(f"section {name!r}", "key", "entry")
    entries = [_entry(value, path, name, i) for i, value in enumerate(sections[name], 1)]
    table, of_masks = _table(entries, words, path, label_column, image_column, labelled)
    names = label_names(content, path, of_masks=of_masks) if labelled else {}
    rows = tuple(
        Row(i, _cells(entry, table, names, f"entry {i} of {words.source}"))
        for i, entry in enumerate(entries, 1)
    )
    return cohort_of(replace(table, rows=rows), labelled=labelled, notes=notes)


def _table(
    entries: list[dict[str, Any]],
    words: Words,
    path: Path,
    label_column: str | None,
    image_column: str | None,
    labelled: bool,
) -> tuple[Table, bool]:
    """The keys of the entries and what they mean, without rows; whether `label` is the mask."""
    if not entries:
        raise CohortError(
            f"{words.source} lists no cases", case=path.name, why="It is empty", todo=DATALIST
        )
    header = tuple(dict.fromkeys(key for entry in entries for key in entry))
    is_mask = label_is_mask(
        header, lambda at: [_shown(e.get(header[at])) for e in entries], labelled=labelled
    )
    columns = find_columns(
        header,
        label_column=label_column,
        image_column=image_column,
        label_is_mask=is_mask,
        words=words,
    )
    return Table(path, header, columns, (), words), is_mask


def _entry(value: Any, path: Path, section: str, number: int) -> dict[str, Any]:
    if isinstance(value, str):
        return {"image": value}
    if isinstance(value, dict):
        return value
    raise CohortError(
        f"entry {number} of section {section!r} is no case",
        case=path.name,
        why=f"It is {_shown(value)[:80] or 'empty'}",
        todo=DATALIST,
    )


def _cells(
    entry: dict[str, Any], table: Table, names: dict[int, str], where: str
) -> dict[str, str]:
    cells, path = {}, table.path
    for meaning, index in table.columns.items():
        key = table.header[index]
        value = _alone(entry.get(key))
        if meaning == "label" and names and type(value) is int:
            value = _named(value, names, where, path)
        cells[meaning] = check_text(_text(value, meaning, key, where, path), where, path)
    return cells


def _alone(value: Any) -> Any:
    """The value, out of a list of one; whole numbers may be written as 1.0, and none as NaN."""
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() else value
    return value


def _named(value: int, names: dict[int, str], where: str, path: Path) -> str:
    if value in names:
        return names[value]
    raise CohortError(
        f"{where} has a class without a name",
        case=path.name,
        why=f"It is {value}, and named are {some([f'{i}: {n}' for i, n in names.items()], 8)}",
        todo="Add its name, or correct the entry",
    )


def _text(value: Any, meaning: str, key: str, where: str, path: Path) -> str:
    """A cell as a manifest would have it."""
    if value is None or isinstance(value, str):
        return value or ""
    if type(value) is int and meaning not in ("image", "mask"):
        return str(value)
    several = isinstance(value, list) and meaning == "image"
    raise CohortError(
        f"{where} lists several images, and one scan per case is read"
        if several
        else f"{where} has a {meaning} that cannot be understood",
        case=path.name,
        why=f"{key!r} is {_shown(value)[:80]}",
        todo="Write one path" if meaning in ("image", "mask") else "Write a text or a whole number",
    )


def _shown(value: Any) -> str:
    """The value for a comparison of texts, or for a message; lists are not written out."""
    if isinstance(value, (list, dict)):
        kind = "a list" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value)}"
    return "" if value is None else str(value)
