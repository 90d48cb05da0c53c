"""The headers of a folder's DICOM images, read without their pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from jaxtyping import Float
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans.guards import files_in, reading

# PS3.4 B.5: CT, MR and PET Image Storage, the single-frame images that stack to a volume.
SLICE_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
}
# What usually tells apart several images at one position.
_REPEATING = (
    "ImageType",
    "EchoTime",
    "EchoNumbers",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "DiffusionBValue",
    "AcquisitionNumber",
    "AcquisitionTime",
    "ContentTime",
    "SOPInstanceUID",
)


@dataclass(frozen=True, slots=True, eq=False)
class SliceHeader:
    """What placing and decoding one image needs; None where the file does not say.

    Attributes:
        position: first voxel's centre (x, y, z) in mm, LPS (PS3.3 C.7.6.2.1.1).
        orientation: direction cosines of a row, then of a column, LPS.
        pixel_spacing: distance between rows, then between columns, in mm.
        repeating: values of tags that differ between the images of a 4D series.
    """

    path: Path
    series: str
    description: str
    modality: str
    sop_class: str
    kind: str
    image_type: tuple[str, ...]
    photometric: str
    samples: int
    frames: int
    rows: int
    columns: int
    frame_of_reference: str
    position: Float[np.ndarray, "3"] | None
    orientation: Float[np.ndarray, "6"] | None
    pixel_spacing: Float[np.ndarray, "2"] | None
    gantry_tilt: float | None
    repeating: dict[str, str]

    @property
    def name(self) -> str:
        return self.path.name


def read_headers(folder: Path) -> tuple[list[SliceHeader], tuple[tuple[str, str], ...]]:
    """Headers of all images that lie directly in `folder`, and (file, reason) of what is skipped.

    Raises:
        ScanReadError: no image at all, or a DICOM file whose header is damaged.
        GeometryError: an attribute that places the image does not have the right number of values.
    """
    headers: list[SliceHeader] = []
    skipped: list[tuple[str, str]] = []
    folders: list[str] = []
    for path in files_in(folder):
        if path.is_dir():
            folders.append(path.name)
            skipped.append((path.name, "a folder: only files directly in the series are read"))
            continue
        found = _read_header(path)
        if isinstance(found, str):
            skipped.append((path.name, found))
        else:
            headers.append(found)
    if not headers:
        inside = f"It holds {len(skipped) - len(folders)} other file(s)"
        if folders:
            inside += f" and the folder(s) {', '.join(folders[:5])}"
        raise ScanReadError(
            "the folder holds no DICOM image",
            why=inside,
            todo="Give the folder that directly holds the images of one series",
        )
    return headers, tuple(skipped)


def _read_header(path: Path) -> SliceHeader | str:
    """The header, or why the file is not an image of a series."""
    with reading(path.name):
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:
            return "not a DICOM file"
        sop_class = str(dataset.get("SOPClassUID", ""))
        if "Rows" not in dataset and sop_class not in SLICE_CLASSES:
            return f"holds no image ({_kind_name(dataset) or 'no class stated'})"
        return _extract(path, dataset, sop_class)


def _extract(path: Path, dataset: Dataset, sop_class: str) -> SliceHeader:
    tilt = dataset.get("GantryDetectorTilt")
    return SliceHeader(
        path=path,
        series=_text(dataset, "SeriesInstanceUID"),
        description=_text(dataset, "SeriesDescription"),
        modality=_text(dataset, "Modality"),
        sop_class=sop_class,
        kind=_kind_name(dataset),
        image_type=tuple(str(v).upper() for v in _values(dataset, "ImageType")),
        photometric=_text(dataset, "PhotometricInterpretation"),
        samples=int(dataset.get("SamplesPerPixel") or 1),
        frames=int(dataset.get("NumberOfFrames") or 1),
        rows=int(dataset.get("Rows") or 0),
        columns=int(dataset.get("Columns") or 0),
        frame_of_reference=_text(dataset, "FrameOfReferenceUID"),
        position=_numbers(dataset, "ImagePositionPatient", 3, path),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6, path),
        pixel_spacing=_numbers(dataset, "PixelSpacing", 2, path),
        gantry_tilt=float(tilt) if tilt not in (None, "") else None,
        repeating={tag: _text(dataset, tag) for tag in _REPEATING if tag in dataset},
    )


def _kind_name(dataset: Dataset) -> str:
    """Name of the kind of object, e.g. `CT Image Storage`."""
    uid = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    return str(getattr(uid, "name", uid or ""))


def _text(dataset: Dataset, tag: str) -> str:
    value = dataset.get(tag)
    return "" if value is None else str(value).strip()


def _values(dataset: Dataset, tag: str) -> list[Any]:
    value = dataset.get(tag)
    if value is None or value == "":
        return []
    return [value] if isinstance(value, (str, float, int)) else list(value)


def _numbers(dataset: Dataset, tag: str, count: int, path: Path) -> Float[np.ndarray, "n"] | None:
    """The values of a numeric attribute, or None where it is absent or empty."""
    values = _values(dataset, tag)
    if not values:
        return None
    numbers = np.array([float(v) for v in values])
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise GeometryError(
            f"{tag} of an image is damaged",
            why=f"{path.name} gives {values} where {count} numbers belong",
            todo="Export the series again",
        )
    return numbers
