"""NIfTI-1 and NIfTI-2 files to `Volume`.

Layout and meaning of every field: nifti1.h and nifti2.h of the NIfTI Data Format Working Group
(https://nifti.nimh.nih.gov). nibabel reads the fields; sizes are checked here before any memory is
taken, since a header of 352 bytes can claim 32767³ voxels.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from jaxtyping import Shaped

from medfs.core.errors import GeometryError, ScanReadError
from medfs.core.shear import is_sheared, shear_degrees
from medfs.core.volumes import Provenance, Volume
from medfs.scans.grids import Affine, check_affine, to_ras
from medfs.scans.guards import read_buffer, reading
from medfs.scans.names import files_of
from medfs.scans.nifti_affine import file_affine
from medfs.scans.nifti_bytes import Buffer, peek, unpack
from medfs.scans.nifti_values import native, refuse_non_finite, rescale

_REAL_KINDS = "iuf"
_HEADERS: dict[int, tuple[Any, bytes, bytes]] = {
    348: (nibabel.Nifti1Header, b"n+1", b"ni1"),
    540: (nibabel.Nifti2Header, b"n+2", b"ni2"),
}
Notes = tuple[tuple[str, str], ...]
_ONE_VOLUME = "Give one 3D volume per case"


def read_nifti(path: Path) -> Volume:
    """Read one volume from `.nii`, `.nii.gz` or a `.hdr`/`.img` pair.

    The file's scaling is applied; without one, its number type is kept. Modality is None and the
    unit `arbitrary`, since NIfTI states neither.

    Returns:
        Volume with one channel, in RAS order.

    Raises:
        ScanReadError: missing, truncated, not NIfTI, not real numbers, or NaN among the voxels.
        GeometryError: not one 3D volume, or a position that is missing, singular or contradictory.
    """
    parts = files_of(path)
    digest = hashlib.sha256()
    with ThreadPoolExecutor(1) as hashing:  # on the other core, while this one reads and inflates
        raw = [read_buffer(p, lambda piece: hashing.submit(digest.update, piece)) for p in parts]
        with reading(path.name):
            stored, affine, notes = _stored(raw, parts)
            hashing.submit(bool).result()  # all bytes are hashed: now they may be changed
            voxels, affine = to_ras(stored, affine)
        refuse_non_finite(voxels, path.name)
    names = tuple(part.name for part in parts)
    provenance = Provenance("nifti", names, digest.hexdigest(), notes=notes)
    return Volume(voxels[np.newaxis], affine, None, "arbitrary", provenance)


def _stored(
    raw: list[Buffer], parts: tuple[Path, ...]
) -> tuple[Shaped[np.ndarray, "i j k"], Affine, Notes]:
    """Intensities in the order of the file, where they lie, and what there is to know of that."""
    paired = len(parts) == 2
    header, start = _header(peek(raw[0], 540, parts[0].name), parts[0].name, paired=paired)
    shape, dtype = _shape(header), _dtype(header)
    affine, notes = file_affine(header)
    check_affine(affine)
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    content = unpack(raw[-1], start + size, parts[-1].name)
    stored = np.frombuffer(content, dtype, count=size // dtype.itemsize, offset=start)
    values = rescale(native(stored).reshape(shape, order="F"), header)
    return values, affine, (*notes, *_shear(affine))


def _shear(affine: Affine) -> Notes:
    if not is_sheared(affine):
        return ()
    why = f"sheared by {shear_degrees(affine):.2f}°: slices lean as with a tilted gantry, kept so"
    return (("grid", why),)


def _header(block: bytes, name: str, *, paired: bool) -> tuple[Any, int]:
    """Header and the offset of the first voxel in the file that holds the voxels."""
    sizes = {int.from_bytes(block[:4], "little"), int.from_bytes(block[:4], "big")}
    length = next((n for n in _HEADERS if n in sizes), None)
    if length is None or len(block) < length:
        raise _not_nifti(name, "It does not begin with a NIfTI header")
    kind, single, pair = _HEADERS[length]
    header = kind(block[:length], check=False)
    if header["magic"].item() != (pair if paired else single):
        raise _not_nifti(name, f"Its magic field is {header['magic'].item()!r}")
    offset = float(header["vox_offset"])
    if not np.isfinite(offset) or offset < (0 if paired else length + 4) or offset > 1 << 30:
        raise _not_nifti(name, f"Its voxels would begin at byte {offset:g}")
    return header, int(offset)


def _not_nifti(name: str, why: str) -> ScanReadError:
    return ScanReadError(
        f"{name} is not a NIfTI file",
        why=why,
        todo="Give .nii, .nii.gz, a .hdr/.img pair, or a folder holding one DICOM series",
    )


def _shape(header: Any) -> tuple[int, int, int]:
    """The three axes; trailing axes of length 1 are dropped."""
    rank = int(header["dim"][0])
    declared = tuple(int(n) for n in header["dim"][1 : rank + 1]) if 1 <= rank <= 7 else ()
    if not declared or min(declared) < 1:
        raise ScanReadError(
            "the header is damaged",
            why=f"It declares the axes {tuple(int(n) for n in header['dim'])}",
            todo="Copy or export the file again",
        )
    trimmed = declared
    while len(trimmed) > 3 and trimmed[-1] == 1:
        trimmed = trimmed[:-1]
    if len(trimmed) > 3:
        raise GeometryError(
            "the file holds several volumes", why=f"Its shape is {declared}", todo=_ONE_VOLUME
        )
    if len(trimmed) < 3 or min(trimmed) < 2:
        raise GeometryError(
            "the file holds a single slice", why=f"Its shape is {declared}", todo=_ONE_VOLUME
        )
    return trimmed[0], trimmed[1], trimmed[2]


def _dtype(header: Any) -> np.dtype[Any]:
    code = int(header["datatype"])
    try:
        dtype = np.dtype(header.get_data_dtype())
    except Exception as error:  # nibabel raises its own class for unknown codes
        raise ScanReadError(
            "the number type is unknown",
            why=f"NIfTI datatype {code} is not one medfs reads",
            todo="Convert the scan to 16-bit integers or 32-bit floats",
        ) from error
    if dtype.kind not in _REAL_KINDS or dtype.itemsize > 8:
        raise ScanReadError(
            "the voxels are not plain real numbers",
            why=f"NIfTI datatype {code} holds {dtype} (colour, complex or packed)",
            todo="Convert the scan to one real number per voxel",
        )
    return dtype
