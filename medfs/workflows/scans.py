"""What lies in a folder tree, a zip or a DICOMDIR: series by study, and which would be read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medfs.core.errors import UserError
from medfs.scans.dicom.choice import choose, facts, label
from medfs.scans.dicom.index import Index, index_files
from medfs.scans.dicom.stacks import Candidate, NoVolume, Stack
from medfs.scans.files import find_files
from medfs.scans.names import is_nifti
from medfs.scans.options import DEFAULT, ReadOptions


@dataclass(frozen=True)
class ScanListing:
    """What was found.

    Attributes:
        entries: a row for every volume, and for everything that makes none.
        chosen: position of the entry that would be read, or None.
        why: why that one, or why none.
        n_files: all files that were looked at.
        nifti: names of NIfTI files, which hold one scan each.
        skipped: (file, reason) of what is neither.
    """

    entries: tuple[dict[str, Any], ...]
    chosen: int | None
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
    nifti = tuple(f.name for f in files if is_nifti(Path(f.name)))
    index = index_files([f for f in files if not is_nifti(Path(f.name))], progress)
    chosen, why = _choice(index, options)
    studies: dict[str, int] = {}
    entries = [_entry(c, options, studies) for c in index.candidates]
    position = index.candidates.index(chosen) if chosen is not None else None
    damaged = ((file.name, str(error)) for file, error in index.damaged)
    return ScanListing(
        tuple(entries), position, why, len(files), nifti, (*index.skipped, *damaged)
    )


def _choice(index: Index, options: ReadOptions) -> tuple[Stack | None, str]:
    try:
        choice = choose(index, options)
    except UserError as error:
        return None, str(error)
    if len(choice.stack.volumes) > 1 and options.volume is None:
        return choice.stack, f"{choice.reason}; it is 4D: rules must say which of its volumes"
    return choice.stack, choice.reason


def _entry(candidate: Candidate, options: ReadOptions, studies: dict[str, int]) -> dict[str, Any]:
    header = candidate.header
    study = studies.setdefault(header.text("StudyInstanceUID"), len(studies) + 1)
    entry: dict[str, Any] = {
        "study": study,
        "study_date": header.text("StudyDate") or None,
        "series_uid": header.text("SeriesInstanceUID") or None,
        **facts(candidate),
        "image_type": list(header.image_type),
        "label": label(candidate),
        "excluded": options.excludes(facts(candidate)),
    }
    if isinstance(candidate, NoVolume):
        told = {"problem": candidate.error.what, "advice": str(candidate.error)}
        return entry | {"usable": False} | told
    return entry | {"usable": True, "problem": None, "advice": None} | _geometry(candidate)


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
