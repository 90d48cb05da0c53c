"""Folders of scans to cases: one folder per class, or one folder of unlabelled scans."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from medfs.core.cases import Case, Cohort
from medfs.core.errors import CohortError
from medfs.scans.cohorts.entries import Entries, entries_of, holds_scan_dicom, mask_beside
from medfs.scans.cohorts.layout import LAYOUT, NO_PATIENTS, READABLE, case_name, some
from medfs.scans.names import is_archive, is_dicom, is_nifti, visible


def class_folders(root: Path) -> Cohort:
    """Cases of `root/<class>/…`; the class is the folder's name.

    Raises:
        CohortError: no class folders, an empty one, or scans outside them.
    """
    entries = visible(root)
    folders = [e for e in entries if e.is_dir()]
    _refuse_scans_beside_classes(root, entries)
    if not folders:
        raise CohortError(
            "no class folders were found", case=str(root), why="It holds no folders", todo=LAYOUT
        )
    _refuse_series_as_class(root, folders)
    found = {folder.name: entries_of(folder) for folder in folders}
    for name, content in found.items():
        if not content.cases:
            raise CohortError(
                f"the class folder {name!r} holds no case (empty class)",
                case=str(root),
                why=f"It holds {len(content.others)} file(s) or folder(s) that are no scan",
                todo=LAYOUT,
            )
    loose = [e.name for e in entries if not e.is_dir()]
    cases, notes = _tell_apart([c for name, f in found.items() for c in _cases(f, name)])
    return Cohort(tuple(cases), (*notes, *_notes(found, loose)))


def plain_folder(root: Path) -> Cohort:
    """Unlabelled cases that lie directly in `root`.

    Raises:
        CohortError: no case, or folders of NIfTI files where scans were expected.
    """
    nested = [
        e.name
        for e in visible(root)
        if e.is_dir() and not holds_scan_dicom(e) and any(map(_is_scan_file, visible(e)))
    ]
    if nested:
        raise CohortError(
            "the scans lie in folders of their own",
            case=str(root),
            why=f"NIfTI files or zips were found in {some(nested)}",
            todo=f"Give one of these folders ({root / nested[0]}), or a manifest",
        )
    found = entries_of(root)
    if not found.cases:
        raise CohortError(
            "no scans were found",
            case=str(root),
            why=f"It holds {len(found.others)} file(s) or folder(s) that are no scan",
            todo="Give a folder of .nii.gz files, zips or DICOM folders, one scan, or a manifest",
        )
    return Cohort(tuple(_cases(found, None)), (NO_PATIENTS, *_notes({"": found}, [])))


def single_scan(path: Path) -> Cohort:
    """One unlabelled scan, file or DICOM folder, with the mask beside it if there is one.

    Raises:
        CohortError: a file that is no scan, or one with several masks.
    """
    readable = _is_scan_file(path) or path.suffix.lower() == ".img" or is_dicom(path)
    if path.is_file() and not readable:
        raise CohortError(
            f"{path.name} is not a scan that can be read",
            why=READABLE,
            todo="Give a scan, a folder of scans, or a manifest (.csv, .tsv, .json)",
        )
    name = case_name(path.absolute()) if path.is_file() else path.absolute().name
    return Cohort((Case(name, name, path, mask_beside(path)),))


def _is_scan_file(path: Path) -> bool:
    return path.is_file() and (is_nifti(path) or is_archive(path))


def _refuse_scans_beside_classes(root: Path, entries: list[Path]) -> None:
    loose = [e.name for e in entries if e.is_file() and is_nifti(e)]
    if loose or holds_scan_dicom(root):
        raise CohortError(
            "scans lie outside the class folders",
            case=str(root),
            why=f"Directly in the folder: {some(loose) or 'DICOM files'}",
            todo=LAYOUT,
        )


def _refuse_series_as_class(root: Path, folders: list[Path]) -> None:
    series = [f.name for f in folders if holds_scan_dicom(f)]
    if series:
        raise CohortError(
            "DICOM files lie where case folders were expected",
            case=str(root),
            why=f"Directly in {some(series)}",
            todo="Give every series a folder of its own: CASES/<class>/<case>/",
        )


def _cases(found: Entries, label: str | None) -> list[Case]:
    return [Case(name, name, path, found.masks.get(name), label) for name, path in found.cases]


def _tell_apart(cases: list[Case]) -> tuple[list[Case], list[str]]:
    """Name cases `class/stem` where a stem is in two classes; the patient id stays the stem."""
    classes: dict[str, set[str | None]] = {}
    for case in cases:
        classes.setdefault(case.case_id, set()).add(case.label)
    twice = {name for name, labels in classes.items() if len(labels) > 1}
    named = [
        replace(c, case_id=f"{c.label}/{c.case_id}") if c.case_id in twice else c for c in cases
    ]
    notes = [NO_PATIENTS]
    if twice:
        notes.append(
            f"{len(twice)} name(s) occur in more than one class ({some(sorted(twice))}): they are "
            "taken as the same patient"
        )
    return named, notes


def _notes(found: dict[str, Entries], loose: list[str]) -> list[str]:
    inside = {n: f"{n}/" if n else "" for n in found}
    lone = [f"{inside[n]}{m}" for n, f in found.items() for m in f.lone_masks]
    others = [*loose, *(f"{inside[n]}{o}" for n, f in found.items() for o in f.others)]
    notes = []
    if lone:
        notes.append(f"{len(lone)} mask(s) without a scan were left out: {some(lone)}")
    if others:
        kinds = Counter(Path(o).suffix or "no suffix" for o in others)
        listed = ", ".join(f"{n} × {k}" for k, n in sorted(kinds.items()))
        notes.append(f"{len(others)} file(s) or folder(s) are no scan ({listed}): {some(others)}")
    return notes
