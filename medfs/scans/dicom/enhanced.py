"""Enhanced multi-frame CT, MR and PET (PS3.3 C.7.6.16): every frame says where it lies itself."""

from functools import partial
from typing import Any

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans.dicom.frames import Frame, check_ct_rescale, checked, rescale, unit_of
from medfs.scans.dicom.headers import Header, read_dataset
from medfs.scans.guards import reading

_EXPORT = "Export the series again, if possible as single-frame images"


def enhanced_frames(header: Header) -> list[Frame]:
    """The planes of a multi-frame image, in the order of the file.

    Raises:
        ScanReadError: the functional groups are missing, damaged, or not as many as there are
            frames.
        GeometryError: a plane position, orientation or pixel spacing that is none.
    """
    dataset = read_dataset(header.file, stop_before_pixels=True)
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if len(groups) != header.frames:
        raise ScanReadError(
            "a multi-frame image does not say where its frames lie",
            why=f"{header.name} declares {header.frames} frame(s) and describes {len(groups)}",
            todo=_EXPORT,
        )
    # pydicom converts values when they are asked for, and raises what it likes.
    with reading(header.name):
        shared = dataset.get("SharedFunctionalGroupsSequence") or [{}]
        return [_frame(header, index, own, shared[0]) for index, own in enumerate(groups)]


def functional(own: Any, shared: Any, sequence: str, keyword: str) -> Any:
    """A value of the frame's functional group, or else of the one that all frames share."""
    for groups in (own, shared):
        items = groups.get(sequence)
        found = items[0].get(keyword) if items else None
        if found is not None and found != "":
            return found
    return None


def _frame(header: Header, index: int, own: Any, shared: Any) -> Frame:
    value = partial(functional, own, shared)
    name = f"{header.name} (frame {index + 1})"

    def placed(sequence: str, keyword: str, count: int) -> Any:
        found = value(sequence, keyword)
        return None if found is None else checked(name, keyword, found, count)

    if value("PixelValueTransformationSequence", "ModalityLUTSequence") is not None:
        raise GeometryError("the intensities need a lookup table", why=name, todo=_EXPORT)
    slope, intercept = rescale(
        name,
        value("PixelValueTransformationSequence", "RescaleSlope"),
        value("PixelValueTransformationSequence", "RescaleIntercept"),
    )
    intercept_stated = value("PixelValueTransformationSequence", "RescaleIntercept") is not None
    if header.text("Modality") == "CT":
        check_ct_rescale(name, stated=intercept_stated)
    thickness = value("PixelMeasuresSequence", "SliceThickness")
    return Frame(
        header=header,
        index=index,
        rows=int(header.values.get("Rows", 0)),
        columns=int(header.values.get("Columns", 0)),
        position=placed("PlanePositionSequence", "ImagePositionPatient", 3),
        orientation=placed("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        pixel_spacing=placed("PixelMeasuresSequence", "PixelSpacing", 2),
        slope=slope,
        intercept=intercept,
        unit=unit_of(
            header,
            str(value("PixelValueTransformationSequence", "RescaleType") or ""),
            stated=intercept_stated,
        ),
        keys=_keys(value),
        times=_times(value),
        thickness=None if thickness is None else float(thickness),
    )


def _keys(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    echo = value("MREchoSequence", "EffectiveEchoTime")
    if echo is not None:
        found["EchoTime"] = round(float(echo), 3)
    b_value = value("MRDiffusionSequence", "DiffusionBValue")
    if b_value is not None:
        found["b-value"] = round(float(b_value), 1)
    for kind in ("MR", "CT", "PET"):
        sequence = f"{kind}ImageFrameTypeSequence"
        frame_type = value(sequence, "FrameType")
        if frame_type is not None:
            parts = [frame_type] if isinstance(frame_type, str) else frame_type
            found["frame type"] = "\\".join(parts)
        component = value(sequence, "ComplexImageComponent")
        if component is not None:
            found["component"] = str(component).lower()
    return found


def _times(value: Any) -> dict[str, Any]:
    """Named like the attributes of single-frame images that mean the same."""
    pairs = (
        ("TemporalPositionIdentifier", "TemporalPositionIndex"),
        ("AcquisitionNumber", "FrameAcquisitionNumber"),
        ("AcquisitionTime", "FrameAcquisitionDateTime"),
        ("ContentTime", "FrameReferenceDateTime"),
    )
    found = {ours: value("FrameContentSequence", theirs) for ours, theirs in pairs}
    found["TriggerTime"] = value("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")
    return {name: what for name, what in found.items() if what is not None}
