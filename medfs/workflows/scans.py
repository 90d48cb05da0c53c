"""What lies in a folder tree, a zip or a DICOMDIR: series by study, and which would be read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medfs.core.errors import UserError
from medfs.core.shear import MAX_SHEAR_DEGREES
from medfs.scans.dicom.choice import choose, facts, label
from medfs.scans.dicom.index import Index, index_files
from medfs.scans.dicom.stacks import Candidate, NoVolume, Stack
from medfs.scans.files import find_files
from medfs.scans.files.names import printable
from medfs.scans.names import is_nifti
from medfs.scans.options import DEFAULT, ReadOptions

_PACKED = "a NIfTI file in a zip, which is not read: unpack the zip"


@dataclass(frozen=True)
class ScanListing:
    """What was found.

    Attributes:
        entries: a row for every volume, and for everything that makes none.
        chosen: position of the entry that the rules lead to, or None.
        readable: whether it would be read; True where there are NIfTI files alone.
        why: why that one, or why none.
        n_files: all files that were looked at.
        nifti: names of NIfTI files outside of zips, which hold one scan each.
        skipped: (file, reason) of what is neither.
    """

    entries: tuple[dict[str, Any], ...]
    chosen: int | None
    readable: bool
    why: str
    n_files: int
    nifti: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "schema_version": 1,
            "n_files": self.n_files,
            "chosen": self.chosen,
            "readable": self.readable,
            "why": self.why,
            "series": list(self.entries),
            "nifti": list(self.nifti),
            "skipped": [{"file": name, "reason": why} for name, why in self.skipped],
        }


def list_scans(
    path: Path,
    options: ReadOptions = DEFAULT,
    progress: Callable[[int, int], None] | None = None,
) -> ScanListing:
    """Read the headers of every file, and say what they make.

    Args:
        path: a folder, zip, DICOMDIR or file.
        options: rules by which one volume would be chosen.
        progress: called with (files done, all files).

    Raises:
        ScanReadError: the place itself cannot be read.
    """
    files = find_files(path)
    others = [f for f in files if not is_nifti(Path(f.name))]
    nifti = [f for f in files if is_nifti(Path(f.name))]
    index = index_files(others, progress)
    skipped = [*index.skipped, *((file.name, str(error)) for file, error in index.damaged)]
    skipped += [(f.name, _PACKED) for f in nifti if f.member is not None]
    loose = tuple(f.name for f in nifti if f.member is None)
    found = [_meant(c, options) for c in index.candidates]
    chosen, readable, why = None, True, "every NIfTI file is a scan"
    if found or index.damaged or not loose:
        chosen, readable, why = _choice(index, options)
    position = next((i for i, c in enumerate(found) if c is chosen), None)
    studies: dict[str, int] = {}
    entries = tuple(_entry(c, options, studies) for c in found)
    return ScanListing(entries, position, readable, why, len(files), loose, tuple(skipped))


def _meant(candidate: Candidate, options: ReadOptions) -> Candidate:
    """One or two slices are a volume where that is asked for."""
    few = candidate.few if isinstance(candidate, NoVolume) else None
    return few if few is not None and options.few_slices == "keep" else candidate


def _choice(index: Index, options: ReadOptions) -> tuple[Stack | None, bool, str]:
    """The stack, whether it would be read, and why."""
    try:
        choice = choose(index, options)
    except UserError as error:
        return None, False, str(error)
    stack = choice.stack
    reason = f"{printable(label(stack))}, {choice.reason}"
    obstacle = _obstacle(stack, options)
    return stack, not obstacle, f"{reason}{obstacle}"


def _obstacle(stack: Stack, options: ReadOptions) -> str:
    """What keeps a series that was chosen from being read; empty if nothing does."""
    count = len(stack.volumes)
    if count > 1 and options.volume is None:
        return "; it is 4D, and the rules do not say which volume is meant"
    if isinstance(options.volume, int) and options.volume >= count:
        return f"; the rules ask for volume {options.volume}, counted from 0, of {count}"
    if stack.tilt > MAX_SHEAR_DEGREES and options.tilt == "refuse":
        return f"; it leans by {stack.tilt:.1f}°, which the rules refuse"
    if options.suv and stack.modality != "PT":
        return "; the rules ask for uptake values, which exist for PET alone"
    return ""


def _entry(candidate: Candidate, options: ReadOptions, studies: dict[str, int]) -> dict[str, Any]:
    header = candidate.header
    study = studies.setdefault(header.text("StudyInstanceUID"), len(studies) + 1)
    entry: dict[str, Any] = {
        "study": study,
        "study_date": header.text("StudyDate") or None,
        "series_uid": header.text("SeriesInstanceUID") or None,
        **{name: _plain(value) for name, value in facts(candidate).items()},
        "image_type": [printable(value) for value in header.image_type],
        "label": printable(label(candidate)),
        "excluded": options.excludes(facts(candidate)),
    }
    if isinstance(candidate, NoVolume):
        told = {"problem": candidate.error.what, "advice": str(candidate.error)}
        return entry | {"usable": False} | told
    return entry | {"usable": True, "problem": None, "advice": None} | _geometry(candidate)


def _plain(value: object) -> object:
    """Headers may say NaN, which JSON cannot, and what a terminal would obey."""
    if isinstance(value, str):
        return printable(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _geometry(stack: Stack) -> dict[str, Any]:
    spacing = np.linalg.norm(stack.affine[:3, :3], axis=0)
    return {
        "shape": list(stack.shape),
        "spacing_mm": [round(float(v), 6) for v in spacing],
        "tilt_degrees": round(stack.tilt, 3),
        "affine": [[round(float(v), 6) for v in row] for row in stack.affine],
        "volumes": len(stack.volumes),
        "volume_labels": list(stack.labels) if len(stack.volumes) > 1 else [],
    }
