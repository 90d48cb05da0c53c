"""DICOM Segmentations with stable bytes, written whole or not at all."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from medfs.core.errors import GeometryError, UsageError
from medfs.scans.grids import Affine, spacing_of
from medfs.scans.guards import files_in, reading
from medfs.scans.write_dicom import check_text, slice_name, uid
from medfs.scans.write_planes import Planes
from medfs.storage.files import write_bytes

if TYPE_CHECKING:
    from pydicom import Dataset

# Of whatever needs a date: the same mask gives the same bytes tomorrow.
_DATE, _TIME = "20000101", "000000"


def write_segmentation(
    path: Path,
    mask: Bool[np.ndarray, "x y z"],
    affine_ras: Affine,
    series: Path,
    *,
    label: str,
) -> None:
    """Write one region as a binary DICOM Segmentation (PS3.3 A.51) that refers to its series.

    Slices without the region are left out. The same input gives the same bytes with the same
    versions of pydicom and highdicom.

    Args:
        path: the file.
        mask: (x, y, z), on the grid that was given to `write_ct_series`.
        affine_ras: voxel index to RAS+ mm, of that grid.
        series: the folder that `write_ct_series` made.
        label: SegmentLabel.

    Raises:
        UsageError: an empty mask, or a label that DICOM cannot hold.
        GeometryError: the series lies on another grid.
        ScanReadError: the series cannot be read.
        OutputError: the folder cannot be written.
    """
    check_text("label", label)
    if not mask.any():
        raise UsageError(
            "an empty mask cannot be written",
            case=path.name,
            why="A Segmentation holds at least one slice with the region",
            todo="Leave the mask out",
        )
    planes = Planes.of(mask.shape, affine_ras)
    present = np.flatnonzero(mask.any(axis=(0, 1)))
    among = range(int(present[0]), int(present[-1]) + 1)
    sources = _sources(series, planes, among)
    with reading(series.name):
        segmentation = _segmentation(sources, planes.images(mask)[among.start : among.stop], label)
    write_bytes(path, _bytes(segmentation))


def _sources(series: Path, planes: Planes, among: range) -> Sequence["Dataset"]:
    """Headers of the slices that the region touches."""
    import pydicom

    with reading(series.name):
        found = len(files_in(series))
        sources = [pydicom.dcmread(series / slice_name(k), stop_before_pixels=True) for k in among]
        pairs = zip(sources, among, strict=True)
        same = found == planes.shape[2] and all(_at(ds, planes, k) for ds, k in pairs)
    if not same:
        raise GeometryError(
            "the mask does not lie on the grid of the series",
            case=series.name,
            why=f"The mask has {' x '.join(map(str, planes.shape))} voxels; "
            f"the series has {found} slices, or they lie elsewhere",
            todo="Give mask and affine of the volume that the series was written from",
        )
    return sources


def _at(ds: "Dataset", planes: Planes, k: int) -> bool:
    """Whether the image is slice `k`, to a micrometre or what decimal strings allow."""
    column, row, _ = spacing_of(planes.affine)
    cosines = (planes.affine[:3, :2] / (column, row)).T.ravel()
    return bool(
        (ds.Columns, ds.Rows) == planes.shape[:2]
        and np.allclose(ds.PixelSpacing, (row, column))
        and np.allclose(ds.ImageOrientationPatient, cosines, atol=1e-6)
        and np.allclose(ds.ImagePositionPatient, planes.position(k), atol=1e-3)
    )


def _segmentation(
    sources: Sequence["Dataset"], images: Bool[np.ndarray, "slice row column"], label: str
) -> "Dataset":
    from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    series = str(sources[0].SOPInstanceUID)
    content = f"{images.shape}{np.packbits(images).tobytes().hex()}"
    region = SegmentDescription(
        segment_number=1,
        segment_label=label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
    )
    ds = Segmentation(
        sources,
        images,
        "BINARY",
        [region],
        series_instance_uid=uid("segmentation series", series, label, content),
        series_number=2,
        sop_instance_uid=uid("segmentation", series, label, content),
        instance_number=1,
        manufacturer="medfs",
        manufacturer_model_name="medfs",
        software_versions="1",
        device_serial_number="1",
        content_date=_DATE,
        content_time=_TIME,
        series_description=label,
        # Names of regions and patients may hold any letter.
        specific_character_set="ISO_IR 192",
    )
    return _without_random(ds, series)


def _without_random(ds: "Dataset", series: str) -> "Dataset":
    """Replace what highdicom takes from the clock or draws."""
    ds.InstanceCreationDate, ds.InstanceCreationTime = _DATE, _TIME
    organization = uid("dimensions", series)
    for item in ds.DimensionOrganizationSequence:
        item.DimensionOrganizationUID = organization
    for item in ds.DimensionIndexSequence:
        item.DimensionOrganizationUID = organization
    for item in ds.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = _DATE + _TIME
    return ds


def _bytes(ds: "Dataset") -> bytes:
    """A DICOM file (PS3.10 7.1), explicit VR little endian."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()
