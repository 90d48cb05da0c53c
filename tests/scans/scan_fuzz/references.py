"""The same mutant as pydicom and nibabel read it, to hold the volume against."""

import gzip
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pydicom

from medfs.core.volumes import Volume
from scan_fuzz.mutants import Mutant

_LPS = np.diag([-1.0, -1, 1, 1])
# Of a voxel: what decimal strings and float32 may cost.
_NEAR = 0.01


def disagreement(mutant: Mutant, folder: Path, volume: Volume) -> tuple[bool, str]:
    """Whether a reference could read it too, and what differs then."""
    compare = _nifti if volume.provenance.reader == "nifti" else _dicom
    try:
        return compare(mutant, folder, volume)
    except Exception:  # what the reference cannot read, it cannot judge
        return False, ""


def _nifti(mutant: Mutant, folder: Path, volume: Volume) -> tuple[bool, str]:
    image = nibabel.load(folder / mutant.seed.target)
    if _repaired(mutant.files[mutant.seed.target]):
        return False, ""
    expected = np.asarray(image.dataobj, dtype=np.float64)
    expected = expected.reshape((*expected.shape[:3], -1))
    if expected.shape[3] != 1:
        return True, f"one volume was read of shape {image.shape}"
    found = [_differs(image, form, expected[..., 0], volume) for form in _forms(image)]
    return True, "" if "" in found else found[0]


def _repaired(content: bytes) -> bool:
    """Whether a form has a code that the standard has not: nibabel then takes it as 0."""
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    second = 540 in (int.from_bytes(content[:4], order) for order in ("little", "big"))
    start, size = (344, 4) if second else (252, 2)
    codes = [content[start : start + size], content[start + size : start + 2 * size]]
    return any(min(int.from_bytes(c, o) for o in ("little", "big")) > 5 for c in codes)


def _forms(image: nibabel.Nifti1Image) -> list[np.ndarray | None]:
    """The affines that the file states; None if it states none: then the axes are a convention."""
    coded = [image.get_sform(coded=True), image.get_qform(coded=True)]
    return [form for form, code in coded if form is not None and code > 0] or [None]


def _differs(
    image: nibabel.Nifti1Image, form: np.ndarray | None, expected: np.ndarray, volume: Volume
) -> str:
    place = np.diag([*np.abs(image.header.get_zooms()[:3]), 1.0]) if form is None else form
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(expected, place))
    if not np.allclose(canonical.get_fdata(), volume.voxels[0], rtol=1e-5):
        return "other voxels than nibabel has"
    unit = {"meter": 1e3, "micron": 1e-3}.get(image.header.get_xyzt_units()[0], 1.0)
    scaled = np.diag([unit, unit, unit, 1]) @ canonical.affine
    off = np.abs(np.linalg.solve(volume.affine, scaled) - np.eye(4)).max()
    return "" if off < _NEAR else f"another affine than nibabel has: {scaled.tolist()}"


def _dicom(mutant: Mutant, folder: Path, volume: Volume) -> tuple[bool, str]:
    files = _by_name(mutant, volume.provenance.files)
    found = np.full(volume.voxels.shape[1:], np.nan)
    for name in volume.provenance.files:
        ds = pydicom.dcmread(io.BytesIO(files[name]), force=True)
        for hu, affine in _images(ds):
            column, row = np.meshgrid(np.arange(hu.shape[1]), np.arange(hu.shape[0]))
            pixels = np.stack([column, row, 0 * row, 0 * row + 1]).reshape(4, -1)
            at = np.linalg.solve(volume.affine, _LPS @ affine @ pixels)[:3]
            if np.abs(at - np.rint(at)).max() > _NEAR:
                return True, f"{name} does not lie on the volume's grid"
            i, j, k = np.rint(at).astype(int)
            if min(i.min(), j.min(), k.min()) < 0 or (at.max(axis=1) > np.array(found.shape)).any():
                return True, f"{name} lies outside the volume"
            found[i, j, k] = hu.ravel()
    if np.isnan(found).any():
        return True, f"{int(np.isnan(found).sum())} voxels come from no file"
    if np.allclose(found, volume.voxels[0], rtol=1e-5):
        return True, ""
    return True, "other voxels than pydicom has"


def _by_name(mutant: Mutant, wanted: tuple[str, ...]) -> dict[str, bytes]:
    files = {Path(name).name: content for name, content in mutant.files.items()}
    if mutant.seed.kind == "zip":
        with zipfile.ZipFile(io.BytesIO(mutant.files[mutant.seed.target])) as archive:
            # Only what the volume was made of: a bomb beside it is not to be inflated.
            names = [n for n in archive.namelist() if Path(n).name in wanted]
            files = {Path(name).name: archive.read(name) for name in names}
    return files


def _images(ds: pydicom.Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """HU and the affine (column, row, 0, 1) to LPS mm of each frame."""
    frames = ds.pixel_array
    frames = frames[None] if frames.ndim == 2 else frames
    # pydicom counts what is longer than declared as further frames.
    frames = frames[: int(ds.get("NumberOfFrames") or 1)]
    for k, frame in enumerate(frames):
        position = np.array(_find(ds, k, "ImagePositionPatient"), float)
        axes = np.reshape(_find(ds, k, "ImageOrientationPatient"), (2, 3)).astype(float)
        row, column = (float(v) for v in _find(ds, k, "PixelSpacing"))
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1], affine[:3, 3] = axes[0] * column, axes[1] * row, position
        slope = float(_find(ds, k, "RescaleSlope", 1))
        yield frame * slope + float(_find(ds, k, "RescaleIntercept", 0)), affine


def _find(ds: pydicom.Dataset, k: int, name: str, default: object = None) -> object:
    """Of the frame, of all frames, or of the image; an empty value counts as none."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        items = ds.get(groups) or []
        for item in items[k : k + 1] if groups.startswith("Per") else items[:1]:
            for sequence in item:
                if sequence.VR == "SQ" and sequence.value and name in sequence.value[0]:
                    return sequence.value[0][name].value
    value = ds.get(name)
    return default if value in (None, "") else value
