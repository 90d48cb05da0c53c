"""CT series as DICOM files with stable bytes, written whole or not at all."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int16, Shaped

from medfs.core.errors import UsageError
from medfs.scans.grids import Affine, spacing_of
from medfs.scans.write_planes import Planes, check_axes
from medfs.storage.files import new_folder

if TYPE_CHECKING:
    from pydicom import Dataset

# Type 2 of the CT Image IOD (PS3.3 A.3): they have to be there, and may say nothing.
_MAY_BE_EMPTY = (
    *("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"),
    *("ReferringPhysicianName", "PositionReferenceIndicator", "KVP", "Laterality"),
)


def write_ct_series(
    folder: Path,
    voxels: Int16[np.ndarray, "x y z"],
    affine_ras: Affine,
    *,
    patient: str,
    description: str,
    seed: str = "",
) -> None:
    """Write one CT Image Storage file (PS3.3 A.3) per slice: `I0001.dcm`, `I0002.dcm`, …

    Explicit VR little endian, 16 bits and a rescale that keeps every value exactly. Slices are
    those of the last axis; rows and columns are turned as screens expect them, nothing is
    interpolated. The same input gives the same bytes with the same version of pydicom.

    Args:
        folder: appears when all slices are written; its parents are made if missing.
        voxels: (x, y, z), HU.
        affine_ras: voxel index to RAS+ mm, in any direction; x and y at right angles, z may lean.
        patient: PatientID and PatientName; series of one patient and seed share a study.
        description: SeriesDescription.
        seed: makes UIDs differ where patient, description and content are the same.

    Raises:
        UsageError: not three axes of int16, or a text that DICOM cannot hold.
        GeometryError: an affine that DICOM slices cannot express.
        OutputError: `folder` exists already or cannot be written.
    """
    _check_voxels(voxels, folder.name)
    check_axes(affine_ras)
    check_text("patient", patient)
    check_text("description", description)
    planes = Planes.of(voxels.shape, affine_ras)
    content = voxels.astype("<i2").tobytes() + affine_ras.astype("<f8").tobytes()
    digest = hashlib.sha256(content).hexdigest()
    shared = _shared(patient, description, planes, (seed, patient, description, digest))
    with new_folder(folder) as staging:
        for k, file in enumerate(_files(shared, planes, voxels)):
            (staging / slice_name(k)).write_bytes(file)


def check_text(name: str, value: str) -> None:
    """UsageError unless `value` fits a DICOM long string and person name (PS3.5 6.2)."""
    if 0 < len(value) <= 64 and value.isprintable() and not set(value) & set("\\^="):
        return
    raise UsageError(
        f"the {name} cannot be written to DICOM",
        why=f"It is {value!r}",
        todo="Use 1 to 64 printable characters other than \\, ^ and =",
    )


def uid(*sources: str) -> str:
    """A UID that depends on `sources` alone (PS3.5 9); below pydicom's registered root."""
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=["\x00".join(("medfs", *sources))]))


def slice_name(k: int) -> str:
    """File name of slice `k`, counted from 0."""
    return f"I{k + 1:04d}.dcm"


def _check_voxels(voxels: Shaped[np.ndarray, "..."], name: str) -> None:
    fits = voxels.ndim == 3 and voxels.size and max(voxels.shape[:2]) <= 0xFFFF
    if fits and voxels.dtype == np.int16:
        return
    raise UsageError(
        "a CT series is written from three axes of int16, with at most 65535 rows and columns",
        case=name,
        why=f"The shape is {voxels.shape} and the type {voxels.dtype}",
        todo="Take one channel, and round it to whole HU",
    )


def _shared(patient: str, description: str, planes: Planes, sources: tuple[str, ...]) -> "Dataset":
    """What the slices have in common, of types 1 and 2 in the modules of the CT Image IOD."""
    from pydicom import Dataset
    from pydicom.valuerep import format_number_as_ds as number

    ds = Dataset()
    ds.SpecificCharacterSet, ds.Modality, ds.Manufacturer = "ISO_IR 192", "CT", "medfs"
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.ImageType, ds.PatientPosition = ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS"
    ds.PatientID = ds.PatientName = patient
    ds.StudyInstanceUID = uid("study", *sources[:2])
    ds.SeriesInstanceUID, ds.FrameOfReferenceUID = uid("series", *sources), uid("frame", *sources)
    ds.SeriesDescription, ds.SeriesNumber, ds.AcquisitionNumber = description, 1, 1
    for name in _MAY_BE_EMPTY:
        setattr(ds, name, None)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Columns, ds.Rows = planes.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.RescaleSlope, ds.RescaleType = 1, "HU"
    column, row, _ = (float(s) for s in spacing_of(planes.affine))
    # Between planes, not along the stack: that leans where a gantry was tilted.
    thickness = abs(float(np.linalg.det(planes.affine[:3, :3]))) / (column * row)
    ds.PixelSpacing, ds.SliceThickness = [number(row), number(column)], number(thickness)
    cosines = (planes.affine[:3, :2] / (column, row)).T.ravel() + 0.0
    ds.ImageOrientationPatient = [number(float(c)) for c in cosines]
    return ds


def _files(ds: "Dataset", planes: Planes, voxels: Int16[np.ndarray, "x y z"]) -> Iterator[bytes]:
    from pydicom import Dataset
    from pydicom.valuerep import format_number_as_ds as number

    # CT scanners store from -1024; lower values are rare, and all of int16 fits above -32768.
    lowest = -1024 if voxels.min() >= -1024 else -32768
    ds.RescaleIntercept = lowest
    # Most of the header is the same in every slice: encoding it once halves the time.
    same, series = _encoded(ds), str(ds.SeriesInstanceUID)
    for k, image in enumerate(planes.images(voxels)):
        own = Dataset()
        own.SOPInstanceUID = uid("image", series, str(k))
        own.InstanceNumber = k + 1
        own.ImagePositionPatient = [number(float(p)) for p in planes.position(k)]
        own.add_new("PixelData", "OW", (image.astype(np.int32) - lowest).astype("<u2").tobytes())
        elements = same | _encoded(own)
        head = _file_head(ds.SOPClassUID, own.SOPInstanceUID)
        yield head + b"".join(elements[tag] for tag in sorted(elements))


def _encoded(ds: "Dataset") -> dict[int, bytes]:
    """The bytes of each element by its tag, explicit VR little endian."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_data_element

    elements = {}
    for element in ds:
        file = DicomBytesIO()
        file.is_little_endian, file.is_implicit_VR = True, False
        write_data_element(file, element, "utf-8")
        elements[int(element.tag)] = file.getvalue()
    return elements


def _file_head(sop_class: str, sop_instance: str) -> bytes:
    """Preamble and file meta information (PS3.10 7.1)."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_file_meta_info
    from pydicom.uid import UID, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance)
    file = DicomBytesIO()
    write_file_meta_info(file, meta, enforce_standard=True)
    return bytes(128) + b"DICM" + file.getvalue()
