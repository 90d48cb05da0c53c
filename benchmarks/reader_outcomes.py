"""What a reader made of a series, in a few words; read by `dicom_readers.py`."""

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from reader_tools import Image, RefusedError, Tool

VERDICTS = ("equal", "voxels equal", "wrong", "refused", "several volumes", "read")
_AFFINE = 1e-4
_LONGEST = 90
_COLOUR = "read: colour, not compared"


@dataclass(frozen=True)
class References:
    """Conversions that may belong to a series; none where `label` is a dash."""

    label: str
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path, top: Path, first: Path) -> "References":
        """`<folder>_ground_truth.nii.gz` beside it, or those with its number in reference/."""
        beside = folder.with_name(f"{folder.name}_ground_truth.nii.gz")
        if beside.is_file():
            return cls("dicom2nifti", (beside,))
        number = str(pydicom.dcmread(first, stop_before_pixels=True).get("SeriesNumber", ""))
        for parent in (folder, *folder.parents):
            for name in ("reference", "Ref"):
                found = sorted((parent / name).glob("*.nii*"))
                named = [p for p in found if number in p.name.split(".")[0].split("_")]
                # Some scanners number what they derive 201 where the series is 2.
                named = named or (
                    found if (folder.name, parent) == ("series", folder.parent) else []
                )
                if named:
                    return cls("dcm2niix", tuple(named))
            if parent == top:
                break
        return cls("–", ())

    def images(self) -> list[Image]:
        loaded = [nibabel.load(path) for path in self.paths]
        return [(np.asarray(image.dataobj), np.asarray(image.affine)) for image in loaded]


def outcome(tool: Tool, folder: Path, references: References) -> str:
    """One cell of the table."""
    try:
        images = tool(folder)
    except RefusedError as error:
        return _cell(f"refused: {error}")
    except Exception as error:
        where = str(error).replace(str(folder), "…")
        return _cell(f"refused: {type(error).__name__}: {where}")
    expected = references.images()
    said = [_best(image, expected) for image in images]
    several = len(images) if len(images) > 1 else int(np.prod(images[0][0].shape[3:]))
    if several == 1 or said[0] == _COLOUR:
        return _cell(said[0])
    same = "equal" if set(said) == {"equal"} else "; ".join(dict.fromkeys(said))
    return _cell(f"several volumes: {several}" + (f", {same}" if expected else ""))


def verdict(cell: str) -> str:
    """The first words of a cell, as in `VERDICTS`."""
    return next(v for v in VERDICTS if cell.startswith(v))


def _cell(text: str) -> str:
    flat = " ".join(text.replace("|", "/").split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"


def _best(image: Image, expected: list[Image]) -> str:
    if not np.isfinite(image[1]).all() or np.linalg.matrix_rank(image[1][:3, :3]) < 3:
        return "wrong: an affine that is singular or no number"
    if image[0].dtype.fields or any(voxels.dtype.fields for voxels, _ in expected):
        return _COLOUR
    if not expected:
        voxels, affine = _canonical(image)
        size = " × ".join(map(str, voxels.shape))
        spacing = " × ".join(f"{s:.3g}" for s in np.linalg.norm(affine[:3, :3], axis=0))
        return f"read: {size}, {spacing} mm"
    said = [_compared(image, one) for one in expected]
    return min(said, key=lambda s: next(k for k, v in enumerate(VERDICTS) if s.startswith(v)))


def _compared(image: Image, expected: Image) -> str:
    (voxels, affine), (wanted, place) = _canonical(image), _canonical(expected)
    if voxels.shape != wanted.shape:
        shapes = [" × ".join(map(str, v.shape)) for v in (voxels, wanted)]
        return f"wrong: {shapes[0]} voxels instead of {shapes[1]}"
    moved = _displacement(voxels.shape, affine, place)
    off = f"affine off by {moved:.3g} mm"
    factor = float(
        wanted.ravel() @ voxels.ravel() / max(float(wanted.ravel() @ wanted.ravel()), 1e-30)
    )
    if not 0.999 < factor < 1.001 and np.allclose(
        voxels, factor * wanted, atol=1e-5 * voxels.max()
    ):
        return f"voxels equal but for a factor of {factor:.3g}, {off}"
    close = np.isclose(voxels, wanted, rtol=1e-5, atol=1e-3)
    if not close.all():
        share = f"wrong: {100 * (1 - close.mean()):.3g} % of the voxels differ"
        return share if moved < 0.01 else f"{share}, {off}"
    return "equal" if np.abs(affine - place).max() <= _AFFINE else f"voxels equal, {off}"


def _canonical(image: Image) -> Image:
    voxels = image[0].squeeze()
    voxels = voxels[..., None] if voxels.ndim == 2 else voxels
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels.astype(np.float64), image[1]))
    return turned.get_fdata(), turned.affine


def _displacement(shape: tuple[int, ...], one: np.ndarray, other: np.ndarray) -> float:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape[:3]], [1])).reshape(4, -1)
    return float(np.linalg.norm(((one - other) @ corners)[:3], axis=0).max())
