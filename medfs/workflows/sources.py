"""Where one scan and its mask come from: files, or arrays in memory."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Shaped

from medfs.core.cases import Case
from medfs.core.errors import ScanReadError
from medfs.core.volumes import Volume
from medfs.scans.names import files_of
from medfs.scans.read import read_mask, read_volume

Mask = Bool[np.ndarray, "x y z"] | None


class Digest(NamedTuple):
    """Changes whenever the bytes of the scan, or of its mask, do."""

    image: str
    mask: str = ""


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

    def digest(self) -> Digest:
        mask = self.case.mask if self.use_mask else None
        return Digest(_digest(self.case.image), _digest(mask) if mask else "")

    def load(self) -> tuple[Volume, Mask]:
        volume = read_volume(self.case.image)
        mask = self.case.mask if self.use_mask else None
        return volume, read_mask(mask, volume) if mask else None


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
