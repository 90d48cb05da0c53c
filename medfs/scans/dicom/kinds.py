"""Which images make a volume at all: one series of plain slices, and nothing else."""

from medfs.core.errors import GeometryError
from medfs.scans.dicom.headers import SLICE_CLASSES, SliceHeader

# With two slices nothing shows whether one is missing between them.
MIN_SLICES = 3
_ONE_SERIES = "Put the images of one series in a folder of its own"


def check_kinds(headers: list[SliceHeader]) -> None:
    """Refuse what is not one series of CT, MR or PET slices.

    Raises:
        GeometryError: several series, or images of a kind that do not stack to a volume.
    """
    _refuse_several_series(headers)
    for header in headers:
        problem = _unlike_a_slice(header)
        if problem:
            what, why, todo = problem
            raise GeometryError(what, why=f"{header.name}: {why}", todo=todo)
    if len(headers) < MIN_SLICES:
        raise GeometryError(
            "the series is not a volume",
            why=f"It has {len(headers)} image(s), and at least {MIN_SLICES} are needed to know "
            "the spacing of the slices",
            todo="Give the folder of a complete series",
        )


def _refuse_several_series(headers: list[SliceHeader]) -> None:
    series: dict[str, list[SliceHeader]] = {}
    for header in headers:
        series.setdefault(header.series, []).append(header)
    if "" in series:
        raise GeometryError(
            "images do not say which series they belong to",
            why=f"SeriesInstanceUID is missing in {series[''][0].name}",
            todo="Export the series again, with its SeriesInstanceUID",
        )
    if len(series) > 1:
        listed = "; ".join(
            f"{members[0].description or 'no description'} "
            f"({members[0].modality or 'no modality'}, {len(members)} image(s))"
            for members in series.values()
        )
        raise GeometryError(
            f"the folder holds {len(series)} series", why=f"Found: {listed}", todo=_ONE_SERIES
        )


def _unlike_a_slice(header: SliceHeader) -> tuple[str, str, str] | None:
    """(what, why, todo) if the image is no plain slice."""
    kind = f"{header.kind or 'kind not stated'}, ImageType {'/'.join(header.image_type) or 'none'}"
    if header.frames > 1 or header.kind.startswith("Enhanced"):
        return (
            "enhanced multi-frame is not read yet",
            f"{kind}, {header.frames} frame(s)",
            "Convert it to NIfTI, or export the series as single-frame images",
        )
    if "MOSAIC" in header.image_type:
        return (
            "a Siemens mosaic is not read yet",
            f"{kind}: many slices tiled in one image",
            "Convert it to NIfTI (dcm2niix does), one volume per file",
        )
    if not header.photometric or not header.rows or not header.columns:
        return (
            "an image does not say how its pixels are stored",
            f"{kind}, {header.rows} × {header.columns} pixels",
            "Export the series again, with its pixels",
        )
    if header.samples != 1 or not header.photometric.startswith("MONOCHROME"):
        return (
            "colour images are not a scan",
            f"{kind}, {header.photometric}, {header.samples} value(s) per pixel",
            "Remove screenshots and reports from the folder",
        )
    if "LOCALIZER" in header.image_type:
        return ("the series is a localizer (scout), not a volume", kind, _ONE_SERIES)
    if header.sop_class not in SLICE_CLASSES:
        return ("only CT, MR and PET slices are read", kind, "Give the series of original slices")
    return None
