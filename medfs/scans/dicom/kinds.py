"""Which images can be planes of a volume at all."""

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans.dicom.frames import check_ct_rescale
from medfs.scans.dicom.headers import Header

# PS3.4 B.5: the storage classes whose images stack to volumes, with their modality.
SINGLE_FRAME = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
}
ENHANCED = {
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",  # legacy converted
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",  # legacy converted
    "1.2.840.10008.5.1.4.1.1.130": "PT",
    "1.2.840.10008.5.1.4.1.1.128.1": "PT",  # legacy converted
}
MODALITIES = SINGLE_FRAME | ENHANCED
_SERIES = "Give the series of original slices"


def kind_name(header: Header) -> str:
    """Name of the kind of object, e.g. `CT Image Storage`."""
    from pydicom.uid import UID

    return str(UID(header.sop_class).name) if header.sop_class else "class not stated"


def is_mosaic(header: Header) -> bool:
    """A Siemens mosaic: the slices of a volume as tiles of one image."""
    return "MOSAIC" in header.image_type


def holds_no_image(header: Header) -> bool:
    """Reports, directories, plans and the like."""
    return header.sop_class not in MODALITIES and "Rows" not in header.values


def not_a_plane(header: Header) -> GeometryError | None:
    """Why the image can be no plane of a volume, or None."""
    kind = f"{kind_name(header)}, ImageType {header.text('ImageType') or 'none'}"
    photometric = header.text("PhotometricInterpretation")
    if photometric and (
        header.values.get("SamplesPerPixel", 1) != 1 or not photometric.startswith("MONOCHROME")
    ):
        return GeometryError(
            "colour images are not a scan",
            why=f"{header.name}: {kind}, {photometric}",
            todo="Remove screenshots and reports from the folder",
        )
    if "LOCALIZER" in header.image_type:
        return GeometryError(
            "the series is a localizer (scout), not a volume",
            why=f"{header.name}: {kind}",
            todo=_SERIES,
        )
    if header.sop_class not in MODALITIES:
        return GeometryError(
            "only CT, MR and PET images are read", why=f"{header.name}: {kind}", todo=_SERIES
        )
    return None


def check_plane(header: Header) -> None:
    """Refuse an image of the right kind that cannot be used.

    Raises:
        GeometryError: several frames in a class that has one, or no say how pixels are stored.
        ScanReadError: no pixels or no frames, or a lookup table of intensities.
    """
    again = "Export the series again, with its pixels"
    described = ("PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored")
    lacking = [k for k in described if not header.values.get(k)]
    if lacking:
        raise GeometryError(
            "an image does not say how its pixels are stored",
            why=f"{header.name} lacks {', '.join(lacking)}",
            todo=again,
        )
    if not header.has_pixels:
        raise ScanReadError("an image has no pixels", why=f"{header.name} ends before", todo=again)
    if header.frames < 1:
        raise ScanReadError(
            "an image has no frames",
            why=f"{header.name} declares {header.frames} frames",
            todo=again,
        )
    if header.sop_class in SINGLE_FRAME and header.frames != 1:
        raise GeometryError(
            "an image of a single-frame class declares several frames",
            why=f"{header.name}: {kind_name(header)}, {header.frames} frames",
            todo=again,
        )
    if header.sop_class in SINGLE_FRAME and header.text("Modality") == "CT":
        check_ct_rescale(header.name, stated="RescaleIntercept" in header.values)
    if "ModalityLUTSequence" in header.values:
        raise ScanReadError(
            "the intensities need a lookup table, which is not read",
            why=f"{header.name} has a ModalityLUTSequence",
            todo="Export the series with a linear rescale",
        )
