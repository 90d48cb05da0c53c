"""What the entries of a folder are: cases, masks of cases, or neither.

Names decide; of the content only the mark of DICOM is read.

Masks lie beside their case: `<case>_mask.nii[.gz]`, `<case>.seg.dcm`, `<case>_seg.dcm`,
`<case>_mask.dcm`, `<case>_rtstruct.dcm`, or a folder `<case>_mask/`.
"""

from dataclasses import dataclass
from pathlib import Path

from medfs.core.errors import CohortError
from medfs.scans.cohorts.layout import case_name, some
from medfs.scans.names import is_archive, is_dicom, is_mask, is_nifti, masked_case, visible

_FILE_ENDINGS = (".seg.dcm", "_seg.dcm", "_mask.dcm", "_rtstruct.dcm")
_FOLDER_ENDING = "_mask"


@dataclass(frozen=True, slots=True)
class Entries:
    """What lies in one folder.

    Attributes:
        cases: (name, path) of every scan.
        masks: name of the case to its mask.
        lone_masks: file names of masks whose case is not there.
        others: names of what is no scan.
    """

    cases: tuple[tuple[str, Path], ...]
    masks: dict[str, Path]
    lone_masks: tuple[str, ...]
    others: tuple[str, ...]


def entries_of(folder: Path) -> Entries:
    """Sort the entries of a folder into cases, masks and others.

    Raises:
        CohortError: a case with more than one mask.
    """
    entries = visible(folder)
    masks = _masks(entries)
    marking = {mask for found in masks.values() for mask in found}
    rest = [e for e in entries if e not in marking]
    cases = tuple((case_name(e) if e.is_file() else e.name, e) for e in rest if _is_case(e))
    taken = {path for _, path in cases}
    others = tuple(e.name for e in rest if e not in taken and not _belongs_to_header(e))
    names = {name for name, _ in cases}
    used = {name: _only(name, found) for name, found in masks.items() if name in names}
    lone = tuple(m.name for name, found in masks.items() if name not in names for m in found)
    return Entries(cases, used, lone, others)


def mask_beside(scan: Path) -> Path | None:
    """The mask that lies beside a scan and bears its name.

    Raises:
        CohortError: more than one.
    """
    place = scan.absolute()
    masks = _masks(visible(place.parent))
    if any(place in found for found in masks.values()):
        return None
    name = case_name(place) if place.is_file() else place.name
    return _only(name, masks[name]) if name in masks else None


def _only(case: str, masks: list[Path]) -> Path:
    if len(masks) > 1:
        raise CohortError(
            "the case has more than one mask",
            case=case,
            why=some([m.name for m in masks]),
            todo="Keep the one that marks the region, or name it in a manifest",
        )
    return masks[0]


def _masks(entries: list[Path]) -> dict[str, list[Path]]:
    names = {case_name(e) for e in entries}
    masks: dict[str, list[Path]] = {}
    for entry in entries:
        case = _masked(entry)
        # A folder may bear that name by chance: it is a mask only where its case is there too.
        if case and (entry.is_file() or (case in names and entry.is_dir())):
            masks.setdefault(case, []).append(entry)
    return masks


def _masked(entry: Path) -> str | None:
    """The case that this is a mask of, by its name; None if it is none."""
    if is_mask(entry):
        return masked_case(entry)
    for ending in _FILE_ENDINGS:
        if entry.name.lower().endswith(ending):
            return entry.name[: -len(ending)]
    if not entry.suffix and entry.name.lower().endswith(_FOLDER_ENDING):
        return entry.name[: -len(_FOLDER_ENDING)]
    return None


def _is_case(entry: Path) -> bool:
    if entry.is_file():
        return is_nifti(entry) or is_archive(entry)
    return entry.is_dir() and has_dicom_below(entry)


def _belongs_to_header(entry: Path) -> bool:
    return entry.suffix.lower() == ".img" and entry.with_suffix(".hdr").exists()


def holds_scan_dicom(folder: Path) -> bool:
    """Whether a DICOM file that is no mask by its name lies directly in the folder."""
    return any(is_dicom(e) for e in visible(folder) if e.is_file() and _masked(e) is None)


def has_dicom_below(folder: Path) -> bool:
    """Whether a DICOM file lies anywhere in the tree; folders that are links are not followed."""
    waiting = [folder]
    while waiting:
        entries = visible(waiting.pop())
        if any(e.is_file() and is_dicom(e) for e in entries):
            return True
        waiting += [e for e in entries if e.is_dir() and not e.is_symlink()]
    return False
