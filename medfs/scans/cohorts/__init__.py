"""Folders, manifests and datalists to `Cohort`. No scan is read here."""

from dataclasses import replace
from pathlib import Path

from medfs.core.cases import Cohort
from medfs.core.errors import CohortError
from medfs.scans.cohorts.bids import TABLE, is_bids, read_bids
from medfs.scans.cohorts.datalists import read_datalist
from medfs.scans.cohorts.entries import holds_scan_dicom
from medfs.scans.cohorts.folders import class_folders, plain_folder, single_scan
from medfs.scans.cohorts.layout import LAYOUT
from medfs.scans.cohorts.manifests import read_manifest
from medfs.scans.names import is_manifest

_DATALIST = "dataset.json"


def load_cohort(
    path: Path,
    *,
    label_column: str | None = None,
    image_column: str | None = None,
    labelled: bool = True,
    mask_label: str | None = None,
    section: str | None = None,
    bids_suffix: str | None = None,
) -> Cohort:
    """The cases of a place, in the order of its list, or sorted by class and name.

    Labelled: a folder per class (`CASES/<class>/<case>.nii.gz`, `CASES/<class>/<case>.zip` or
    `CASES/<class>/<case>/` holding one DICOM series, masks beside them), a manifest (`.csv`,
    `.tsv`), a datalist (`.json`, or a folder with `dataset.json`), or a BIDS data set (its folder
    or `participants.tsv`).

    Not labelled: one scan file, one DICOM series folder, a folder of cases, or any of the lists,
    whose labels are not read.

    Args:
        path: the folder, list or scan.
        label_column: column or key of a list that holds the class, if not found by its name.
        image_column: column or key of a list that holds the scan, if not found by its name.
        labelled: whether every case must have a class.
        mask_label: region to use of masks that hold several, where a list names none itself.
        section: section of a datalist, if not `training` (labelled) or `test`.
        bids_suffix: kind of scan of a BIDS data set (`T1w`), if it holds several.

    Raises:
        CohortError: the layout or the list cannot be understood, or holds no cases.
    """
    if not path.exists():
        raise CohortError(
            "there is no such folder or manifest",
            case=str(path),
            todo="Check the path, and that the disk or share is connected",
        )
    kind, source = _kind(path)
    options = {
        "label_column": label_column,
        "image_column": image_column,
        "section": section,
        "bids_suffix": bids_suffix,
    }
    given = {name: value for name, value in options.items() if value is not None}
    _refuse_idle_options(source, given, kind)
    cohort = _LOADERS[kind](source, labelled=labelled, **given)
    if mask_label is None:
        return cohort
    cases = (
        replace(c, mask_label=mask_label) if c.mask is not None and c.mask_label is None else c
        for c in cohort.cases
    )
    return replace(cohort, cases=tuple(cases))


def _kind(path: Path) -> tuple[str, Path]:
    """Which loader reads `path`, and what it is given."""
    if path.is_file():
        if path.suffix.lower() == ".json":
            return "datalist", path
        if is_manifest(path):
            return ("BIDS data set" if is_bids(path) else "manifest"), path
        return "folder", path
    lists = [name for name in (_DATALIST, TABLE) if (path / name).is_file()]
    if len(lists) > 1:
        raise CohortError(
            "the folder describes its cases twice",
            case=str(path),
            why=f"It holds {' and '.join(lists)}",
            todo="Give one of these files",
        )
    if lists == [_DATALIST]:
        return "datalist", path / _DATALIST
    return ("BIDS data set" if lists else "folder"), path


def _refuse_idle_options(path: Path, given: dict[str, str], kind: str) -> None:
    """An option that would change nothing is a misunderstanding."""
    idle = [name.replace("_", " ") for name in given if name not in _OPTIONS[kind]]
    if not idle:
        return
    columns = {"label column", "image column"} & set(idle)
    raise CohortError(
        "columns can only be named for a manifest or datalist"
        if columns and kind == "folder"
        else f"the option {' and '.join(idle)} does not apply to a {kind}",
        case=str(path),
        why=f"This is read as a {kind}",
        todo="Give a .csv, .tsv or .json file, or leave the option out",
    )


def _read_folder(path: Path, *, labelled: bool) -> Cohort:
    if labelled:
        if path.is_file():
            raise CohortError("a single file has no classes", case=path.name, todo=LAYOUT)
        return class_folders(path)
    return single_scan(path) if path.is_file() or holds_scan_dicom(path) else plain_folder(path)


_LOADERS = {
    "folder": _read_folder,
    "manifest": read_manifest,
    "datalist": read_datalist,
    "BIDS data set": read_bids,
}
_OPTIONS = {
    "folder": set[str](),
    "manifest": {"label_column", "image_column"},
    "datalist": {"label_column", "image_column", "section"},
    "BIDS data set": {"label_column", "bids_suffix"},
}
