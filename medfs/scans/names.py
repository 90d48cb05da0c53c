"""What the names of files and folders say: scan, mask, case. Only `is_dicom` opens files."""

from pathlib import Path

_SUFFIXES = (".nii.gz", ".nii", ".hdr")
_MASK_ENDING = "_mask"
_MANIFESTS = (".csv", ".tsv")


def is_nifti(path: Path) -> bool:
    """Whether the name is that of a NIfTI file (the `.hdr` stands for a pair)."""
    return path.name.lower().endswith(_SUFFIXES)


def is_manifest(path: Path) -> bool:
    """Whether the name is that of a table of cases."""
    return path.suffix.lower() in _MANIFESTS


def stem(path: Path) -> str:
    """The name without the suffix of a scan: `a b.nii.gz` is `a b`. Folders keep their name."""
    for suffix in (*_SUFFIXES, ".img"):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def files_of(path: Path) -> tuple[Path, ...]:
    """The files of one scan: all in a folder, header and voxels of a pair, or the one file."""
    if path.is_dir():
        return tuple(sorted(p for p in path.iterdir() if p.is_file()))
    if path.suffix.lower() not in (".hdr", ".img"):
        return (path,)
    upper = path.suffix.isupper()
    return tuple(path.with_suffix(s.upper() if upper else s) for s in (".hdr", ".img"))


def is_mask(path: Path) -> bool:
    """Whether the name is `<case>_mask.nii[.gz]`."""
    return is_nifti(path) and stem(path).lower().endswith(_MASK_ENDING)


def masked_case(mask: Path) -> str:
    """The case that a mask file belongs to."""
    return stem(mask)[: -len(_MASK_ENDING)]


def exists(path: Path) -> bool:
    """Whether there is anything; a name that no file can have stands for nothing."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, no permission, or a zero byte in the name
        return False


def is_archive(path: Path) -> bool:
    """Whether the name is that of a zip."""
    return path.suffix.lower() == ".zip"


def first_element(block: bytes) -> int | None:
    """Offset of the first element of what may be a DICOM file; None if it cannot be one.

    It lies behind preamble and prefix (PS3.10 7.1), or at 0: old archives leave out preamble,
    prefix and file meta information, and their files begin with group 8.
    """
    if block[128:132] == b"DICM":
        return 132
    bare = len(block) >= 8 and block[:2] in (b"\x02\0", b"\x08\0") and block[3] == 0
    return 0 if bare else None


def is_dicom(path: Path) -> bool:
    """Whether the file begins as DICOM does: with its prefix (PS3.10 7.1), or without as of old."""
    try:
        with path.open("rb") as file:
            return first_element(file.read(140)) is not None
    except OSError:
        return False


def visible(folder: Path) -> list[Path]:
    """Entries that are not hidden, sorted by name; empty if the folder cannot be listed."""
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError:
        return []
