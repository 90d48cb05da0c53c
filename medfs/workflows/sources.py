"""Where one scan and its mask come from: files, or arrays in memory."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Shaped

from medfs.core.cases import Case
from medfs.core.errors import ScanReadError
from medfs.core.volumes import Volume
from medfs.scans.files import find_files
from medfs.scans.masks import read_roi
from medfs.scans.names import files_of, is_archive, is_nifti, stem
from medfs.scans.options import DEFAULT, ReadOptions
from medfs.scans.read import read_volume

Mask = Bool[np.ndarray, "x y z"] | None


class Digest(NamedTuple):
    """Changes whenever the bytes of the scan, or of its mask, do."""

    image: str
    mask: str = ""

    @property
    def short(self) -> str:
        """One hash of both, the same wherever the files lie."""
        return hashlib.sha256("\0".join(self).encode()).hexdigest()


class ScanSource(Protocol):
    """One scan with an optional mask."""

    @property
    def case(self) -> Case: ...
    def digest(self) -> Digest: ...
    def load(self) -> tuple[Volume, Mask]: ...


@dataclass(frozen=True)
class FileSource:
    """A case on disk; `use_mask=False` leaves its mask alone."""

    case: Case
    use_mask: bool = True
    reading: ReadOptions = DEFAULT

    def digest(self) -> Digest:
        # The same bytes read by other rules are another volume.
        image = _digest(self.case.image) + (f" {self.reading}" if self.reading != DEFAULT else "")
        return Digest(image, self._mask_digest())

    def _mask_digest(self) -> str:
        mask, label = self.case.mask, self.case.mask_label
        if mask is None or not self.use_mask:
            return ""
        # Names of the regions of a label map lie in a file beside it.
        names = mask.with_name(f"{stem(mask)}.json")
        named = _digest(names) if label and is_nifti(mask) and names.is_file() else ""
        return f"{_digest(mask)} {named} {label or ''}"

    def load(self) -> tuple[Volume, Mask]:
        volume = read_volume(self.case.image, self.reading)
        if self.case.mask is None or not self.use_mask:
            return volume, None
        roi = read_roi(self.case.mask, volume, label=self.case.mask_label)
        notes = (*volume.provenance.notes, *roi.notes)
        return replace(volume, provenance=replace(volume.provenance, notes=notes)), roi.mask


@dataclass(frozen=True, eq=False)
class ArraySource:
    """A scan that is already in memory."""

    case: Case
    volume: Volume
    mask: Shaped[np.ndarray, "x y z"] | None = None

    def digest(self) -> Digest:
        content = hashlib.sha256(self.volume.voxels.tobytes())
        content.update(repr((self.volume.voxels.dtype.str, self.volume.voxels.shape)).encode())
        content.update(self.volume.affine.tobytes())
        if self.mask is None:
            return Digest(content.hexdigest())
        inside = np.packbits(self.mask > 0).tobytes()
        return Digest(content.hexdigest(), hashlib.sha256(inside).hexdigest())

    def load(self) -> tuple[Volume, Mask]:
        return self.volume, None if self.mask is None else self.mask > 0


def _digest(path: Path) -> str:
    content = hashlib.sha256()
    try:
        whole = is_nifti(path) or is_archive(path) or path.suffix.lower() == ".img"
        if path.is_dir() or not whole:
            # A DICOMDIR stays the same when the images that it refers to do not.
            for found in find_files(path):
                content.update(hashlib.sha256(found.read()).digest())
            return content.hexdigest()
        for file in files_of(path):
            with file.open("rb") as stream:
                content.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise ScanReadError(
            "the file cannot be opened",
            why=f"{path.name}: {error.strerror}",
            todo="Check the path and your permission to read it",
        ) from error
    return content.hexdigest()
