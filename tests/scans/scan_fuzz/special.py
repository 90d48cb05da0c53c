"""Seeds that take more than a transfer syntax: enhanced CT and contours."""

import io

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

_COMMON = (
    *("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "Modality"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("SamplesPerPixel", "PhotometricInterpretation"),
)


def enhanced_ct(series: dict[str, bytes]) -> bytes:
    """The series as one Enhanced CT Image (PS3.3 A.38), uncompressed."""
    slices = [pydicom.dcmread(io.BytesIO(content)) for content in series.values()]
    ds = _new("1.2.840.10008.5.1.4.1.1.2.1", slices[0], _COMMON)
    ds.ImageType, ds.InstanceNumber = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], 1
    ds.NumberOfFrames = len(slices)
    shared = Dataset()
    shared.PixelMeasuresSequence = [_copy(slices[0], "PixelSpacing", "SliceThickness")]
    shared.PlaneOrientationSequence = [_copy(slices[0], "ImageOrientationPatient")]
    names = ("RescaleIntercept", "RescaleSlope", "RescaleType")
    shared.PixelValueTransformationSequence = [_copy(slices[0], *names)]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [_frame(k, image) for k, image in enumerate(slices)]
    ds.PixelData = b"".join(image.PixelData for image in slices)
    ds["PixelData"].VR = "OW"
    return _saved(ds)


def structure_set(series: dict[str, bytes]) -> bytes:
    """An RT Structure Set (PS3.3 A.19) with one box in two slices of the series."""
    slices = [pydicom.dcmread(io.BytesIO(content)) for content in series.values()]
    common = ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName")
    ds = _new("1.2.840.10008.5.1.4.1.1.481.3", slices[0], common)
    ds.Modality, ds.StructureSetLabel = "RTSTRUCT", "seed"
    region = Dataset()
    region.ROINumber, region.ROIName, region.ROIGenerationAlgorithm = 1, "nodule", "MANUAL"
    region.ReferencedFrameOfReferenceUID = ds.FrameOfReferenceUID
    ds.StructureSetROISequence = [region]
    contours = Dataset()
    contours.ReferencedROINumber = 1
    contours.ContourSequence = [_box(image) for image in slices[1:3]]
    ds.ROIContourSequence = [contours]
    return _saved(ds)


def _box(image: Dataset) -> Dataset:
    across, down = np.reshape(image.ImageOrientationPatient, (2, 3)).astype(float)
    row, column = map(float, image.PixelSpacing)
    corners = [(0.6, 0.6), (3.4, 0.6), (3.4, 3.4), (0.6, 3.4)]
    origin = np.array(image.ImagePositionPatient, float)
    points = [origin + across * column * i + down * row * j for i, j in corners]
    box = Dataset()
    box.ContourGeometricType, box.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
    box.ContourData = [f"{v:.5f}" for v in np.ravel(points)]
    reference = Dataset()
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    box.ContourImageSequence = [reference]
    return box


def _frame(k: int, image: Dataset) -> Dataset:
    frame, content = Dataset(), Dataset()
    content.StackID, content.InStackPositionNumber = "1", k + 1
    content.DimensionIndexValues = [1, k + 1]
    frame.FrameContentSequence = [content]
    frame.PlanePositionSequence = [_copy(image, "ImagePositionPatient")]
    return frame


def _new(sop_class: str, source: Dataset, names: tuple[str, ...]) -> Dataset:
    ds = _copy(source, *names)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid(entropy_srcs=["seed", sop_class])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["seed series", sop_class])
    ds.SeriesNumber = 7
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def _copy(source: Dataset, *names: str) -> Dataset:
    ds = Dataset()
    for name in names:
        setattr(ds, name, source[name].value)
    return ds


def _saved(ds: Dataset) -> bytes:
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()
