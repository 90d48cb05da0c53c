"""Scans without content, and DICOM masks: segmentations by highdicom, structure sets by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RTStructureSetStorage,
    generate_uid,
)

from medfs.core.volumes import Provenance, Volume

FLIP = np.diag([-1.0, -1.0, 1.0])  # LPS to RAS and back


@pytest.fixture(scope="session")
def scan_on() -> Callable[..., Volume]:
    """`scan_on(shape, affine)`: a scan of zeros."""

    def make(shape: tuple[int, ...], affine: np.ndarray) -> Volume:
        voxels = np.zeros((1, *shape), np.int16)
        return Volume(voxels, np.asarray(affine, float), None, "arbitrary", Provenance("t", (), ""))

    return make


def _source() -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.FrameOfReferenceUID, ds.Modality = generate_uid(), "CT"
    ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "1", "a^b", "", ""
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "", "", "", ""
    ds.ReferringPhysicianName = ""
    ds.Rows, ds.Columns = 2, 2
    ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    ds.PixelSpacing, ds.SliceThickness = [1, 1], 1
    return ds


def _segment(number: int, label: str) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )


@pytest.fixture(scope="session")
def make_seg() -> Callable[..., Dataset]:
    """`make_seg(masks, affine)`: a SEG of masks (segment, i, j, k), k being the slices."""
    import highdicom as hd

    def make(
        masks: np.ndarray,
        affine: np.ndarray,
        *,
        kind: str = "BINARY",
        labels: tuple[str, ...] = ("lesion",),
        omit: bool = True,
        **more: Any,
    ) -> Dataset:
        lps = FLIP @ affine[:3]
        sizes = np.linalg.norm(lps[:, :3], axis=0)
        row, column = (lps[:, :2] / sizes[:2]).T
        depth = abs(float(np.cross(row, column) @ lps[:, 2]))
        frames = masks.transpose(3, 2, 1, 0)
        if kind == "LABELMAP":
            frames = (frames * np.arange(1, len(masks) + 1)).max(axis=3).astype(np.uint8)
        elif kind == "BINARY":
            frames = frames.astype(np.uint8)
        return hd.seg.Segmentation(
            source_images=[_source()],
            pixel_array=np.ascontiguousarray(frames),
            segmentation_type=kind,
            segment_descriptions=[_segment(n, label) for n, label in enumerate(labels, 1)],
            series_instance_uid=generate_uid(),
            series_number=1,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="t",
            manufacturer_model_name="t",
            software_versions="1",
            device_serial_number="1",
            pixel_measures=hd.PixelMeasuresSequence(
                pixel_spacing=(sizes[1], sizes[0]),
                slice_thickness=depth,
                spacing_between_slices=depth,
            ),
            plane_orientation=hd.PlaneOrientationSequence("PATIENT", [*row, *column]),
            plane_positions=[
                hd.PlanePositionSequence("PATIENT", lps[:, 3] + k * lps[:, 2])
                for k in range(masks.shape[3])
            ],
            omit_empty_frames=omit,
            **more,
        )

    return make


@pytest.fixture(scope="session")
def write_structures() -> Callable[..., None]:
    """`write_structures(path, {name: [points]})`: closed contours, points (n, 3) in mm, RAS+."""

    def write(
        path: Path,
        structures: dict[str, list[np.ndarray]],
        *,
        kind: str = "CLOSED_PLANAR",
        edit: Callable[[Dataset], None] | None = None,
    ) -> None:
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        # Explicit VR has no room for contours of more than 64 kB; exports use the other one.
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = RTStructureSetStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.Modality, ds.StructureSetROISequence, ds.ROIContourSequence = "RTSTRUCT", [], []
        for number, (name, contours) in enumerate(structures.items(), 1):
            roi, drawn = Dataset(), Dataset()
            roi.ROINumber, roi.ROIName = number, name
            drawn.ReferencedROINumber, drawn.ContourSequence = number, []
            for points in contours:
                item = Dataset()
                item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
                item.ContourData = [f"{v:.6f}" for v in (points @ FLIP).ravel()]
                drawn.ContourSequence.append(item)
            ds.StructureSetROISequence.append(roi)
            ds.ROIContourSequence.append(drawn)
        if edit is not None:
            edit(ds)
        ds.save_as(path, enforce_file_format=True)

    return write
