"""A BIDS data set (Brain Imaging Data Structure 1.10) to cases: one scan for each participant.

Classes are in `participants.tsv`, scans in `sub-*/[ses-*/]anat/*_<suffix>.nii[.gz]`.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from medfs.core.cases import Cohort
from medfs.core.errors import CohortError
from medfs.scans.cohorts.columns import CLASS_NAMES, find_columns, plain_name
from medfs.scans.cohorts.layout import some
from medfs.scans.cohorts.manifests import Lines, read_lines
from medfs.scans.cohorts.rows import Row, Table, cohort_of
from medfs.scans.cohorts.text import check_text
from medfs.scans.names import is_nifti, stem, visible

TABLE = "participants.tsv"
_GROUP = "group"


def is_bids(path: Path) -> bool:
    """Whether this is a `participants.tsv` that names no scans itself, or a folder that holds one.

    Raises:
        CohortError: the table cannot be read.
    """
    table = path / TABLE if path.is_dir() else path
    if table.name != TABLE or not table.is_file():
        return False
    if path.is_dir():
        return True
    plain = [plain_name(name) for name in read_lines(table)[0]]
    return "participantid" in plain and not {"image", "imagepath", "path", "file"} & set(plain)


def read_bids(
    path: Path,
    *,
    label_column: str | None = None,
    labelled: bool = True,
    bids_suffix: str | None = None,
) -> Cohort:
    """The participants of a data set, in the order of its table.

    The case and the patient are the participant. Which column of the table is the class is known by
    its name (also `group`), or said. Participants without a scan, and scans of participants that
    are not in the table, are left out and noted.

    Args:
        path: the data set's folder, or its `participants.tsv`.
        label_column: the column of the class.
        labelled: whether every case must have a class.
        bids_suffix: which scans are meant (`T1w`), where participants have several kinds.

    Raises:
        CohortError: no table, no scans, several scans of one participant, or no class.
    """
    table = path / TABLE if path.is_dir() else path
    header, lines = read_lines(table)
    # The table has no column of scans; the participant stands in for it until they are found.
    columns = find_columns(
        header, label_column=label_column or _label(header), image_column="participant_id"
    )
    at = columns.pop("image")
    images = _images(table.parent)
    chosen = _one_each(images, bids_suffix, table)
    found = _rows(table, lines, columns, at, chosen)
    if not found.rows:
        raise _no_scans(table, f"The first participants are {some(found.absent)}")
    columns |= {"image": at, "patient": at}
    notes = _left_out(found.absent, sorted(set(images) - found.listed))
    rows = Table(table, tuple(header), columns, tuple(found.rows))
    return cohort_of(rows, labelled=labelled, notes=notes)


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows with a scan, participants without one, and the names of all that the table lists."""

    rows: list[Row]
    absent: list[str]
    listed: set[str]


def _rows(
    table: Path, lines: Lines, columns: dict[str, int], at: int, chosen: dict[str, Path]
) -> _Found:
    rows, absent, listed = [], [], set()
    for number, cells in lines:
        where = f"row {number} of {TABLE}"
        row = {m: check_text(cells[i], where, table) for m, i in columns.items() if i < len(cells)}
        name = check_text(cells[at], where, table) if at < len(cells) else ""
        # Looked up among the folders that are there: a name never becomes a path.
        listed |= {name, f"sub-{name}"}
        found = next((n for n in (name, f"sub-{name}") if n in chosen), None)
        if found is None:
            absent.append(name or f"row {number}")
            continue
        image = chosen[found].relative_to(table.parent).as_posix()
        rows.append(Row(number, row | {"case": found, "patient": found, "image": image}))
    return _Found(rows, absent, listed)


def _label(header: list[str]) -> str | None:
    """`group`, where no other name of the class is there."""
    plain = [plain_name(name) for name in header]
    if plain.count(_GROUP) != 1 or (CLASS_NAMES | {"label"}).intersection(plain):
        return None
    return header[plain.index(_GROUP)]


def _images(root: Path) -> dict[str, list[Path]]:
    """Participant's folder → its anatomical scans; files need not be fetched yet."""
    found: dict[str, list[Path]] = {}
    for subject in visible(root):
        if not re.fullmatch(r"sub-[A-Za-z0-9+]+", subject.name) or not subject.is_dir():
            continue
        places = [subject, *(s for s in visible(subject) if s.name.startswith("ses-"))]
        scans = [f for place in places for f in visible(place / "anat") if is_nifti(f)]
        if scans:
            found[subject.name] = scans
    return found


def _suffix(scan: Path) -> str:
    return stem(scan).rsplit("_", 1)[-1]


def _one_each(images: dict[str, list[Path]], suffix: str | None, table: Path) -> dict[str, Path]:
    kinds = Counter(_suffix(scan) for scans in images.values() for scan in scans)
    listed = ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
    if not kinds:
        raise _no_scans(table, "There is no sub-*/anat/ or sub-*/ses-*/anat/ with NIfTI files")
    if suffix is None and len(kinds) > 1:
        raise CohortError(
            "the data set holds several kinds of scans, and which is meant is not clear",
            case=table.name,
            why=f"Found are {listed}",
            todo="Name one of them with the BIDS suffix option",
        )
    wanted = suffix or next(iter(kinds))
    if wanted not in kinds:
        raise CohortError(
            f"the data set holds no scans with the suffix {wanted!r}",
            case=table.name,
            why=f"Found are {listed}",
            todo="Name one of these",
        )
    fitting = {who: [s for s in scans if _suffix(s) == wanted] for who, scans in images.items()}
    several = {who: scans for who, scans in fitting.items() if len(scans) > 1}
    for who, scans in several.items():
        raise CohortError(
            f"{len(several)} participant(s) have several {wanted} scans (sessions or runs)",
            case=table.name,
            why=f"{who} has {some([s.name for s in scans])}",
            todo="List the scan of each case in a manifest with the columns image, patient, label",
        )
    return {who: scans[0] for who, scans in fitting.items() if scans}


def _no_scans(table: Path, why: str) -> CohortError:
    return CohortError(
        "no scans of the participants were found",
        case=table.name,
        why=why,
        todo="Give the folder of a BIDS data set, or add a column 'image' with the paths",
    )


def _left_out(absent: list[str], unlisted: list[str]) -> list[str]:
    notes = []
    if absent:
        notes.append(f"{len(absent)} participant(s) without a scan were left out: {some(absent)}")
    if unlisted:
        notes.append(
            f"{len(unlisted)} participant(s) with scans that are not used, as {TABLE} does not "
            f"list them: {some(unlisted)}"
        )
    return notes
