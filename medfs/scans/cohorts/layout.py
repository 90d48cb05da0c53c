"""Words that folders and manifests share."""

from collections.abc import Sequence
from pathlib import Path

from medfs.scans.files.names import printable
from medfs.scans.names import is_archive, stem

LAYOUT = (
    "Arrange the scans as CASES/<class>/<case>.nii.gz, CASES/<class>/<case>.zip, or "
    "CASES/<class>/<case>/ holding one DICOM series (masks beside them as <case>_mask.nii.gz or "
    "<case>.seg.dcm), or give a manifest (.csv) with the columns case, image, mask, patient, label"
)
READABLE = (
    "Readable are .nii, .nii.gz, .hdr/.img pairs, and folders, zips and DICOMDIRs of one DICOM "
    "series"
)
_LONGEST = 80
NO_PATIENTS = "no patient column: every case is taken as a patient of its own"


def case_name(path: Path) -> str:
    """The name of the case that a scan is: without the suffix of NIfTI files and zips."""
    return path.stem if is_archive(path) else stem(path)


def some(names: Sequence[str], count: int = 3) -> str:
    """The first few names, shortened and without control characters, and that there are more."""
    shown = [printable(n if len(n) <= _LONGEST else f"{n[:_LONGEST]}…") for n in names[:count]]
    return ", ".join(shown) + (", …" if len(names) > count else "")
