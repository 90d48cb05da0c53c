"""One plane of one image: the unit that stacks to volumes, whatever file it lies in."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Float

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans.dicom.headers import Header

# What may tell apart several images at one position, the plainest first (instance numbers place
# nothing, but when nothing else differs they tell in which order an archive got the images).
TIMES = (
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "TriggerTime",
    "AcquisitionTime",
    "ContentTime",
    "InstanceNumber",
)
_COMPONENTS = {
    "M": "magnitude",
    "P": "phase",
    "R": "real",
    "I": "imaginary",
    "MAGNITUDE": "magnitude",
    "PHASE": "phase",
    "REAL": "real",
    "IMAGINARY": "imaginary",
    "PHASE MAP": "phase",
}
_GE_COMPONENTS = ("magnitude", "phase", "real", "imaginary")
# GE adds this to the b-value of some directions.
_GE_B_OFFSET = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What placing one plane needs; None where the file does not say.

    Attributes:
        index: frame within its file, from 0.
        tile: which square of a mosaic, counted along rows; None where the image is one plane.
        position: first voxel's centre (x, y, z) in mm, LPS (PS3.3 C.7.6.2.1.1).
        orientation: direction cosines of a row, then of a column, LPS.
        pixel_spacing: distance between rows, then between columns, in mm.
        slope, intercept: of this plane (PS3.3 C.11.1, C.7.6.16.2.9).
        unit: `HU` where the file guarantees it.
        keys: what two planes of one volume have in common: echo time, b-value, component.
        times: attributes that may tell apart planes at the same position.
        thickness: in mm, as stated; it places nothing.
    """

    header: Header
    index: int
    rows: int
    columns: int
    position: Float[np.ndarray, "3"] | None
    orientation: Float[np.ndarray, "6"] | None
    pixel_spacing: Float[np.ndarray, "2"] | None
    slope: float
    intercept: float
    unit: str = "arbitrary"
    keys: dict[str, Any] = field(default_factory=dict)
    times: dict[str, Any] = field(default_factory=dict)
    tile: int | None = None
    thickness: float | None = None

    @property
    def name(self) -> str:
        """The file, and the plane within it where it holds several."""
        if self.tile is not None:
            return f"{self.header.name} (tile {self.tile + 1})"
        if self.header.frames > 1:
            return f"{self.header.name} (frame {self.index + 1})"
        return self.header.name


def single_frame(header: Header) -> Frame:
    """The plane of a file that holds one.

    Raises:
        GeometryError: an attribute that places the image has the wrong number of values.
        ScanReadError: a rescale that is none.
    """
    slope, intercept = rescale(
        header.name, header.values.get("RescaleSlope"), header.values.get("RescaleIntercept")
    )
    return Frame(
        header=header,
        index=0,
        rows=int(header.values.get("Rows", 0)),
        columns=int(header.values.get("Columns", 0)),
        position=numbers(header, "ImagePositionPatient", 3),
        orientation=numbers(header, "ImageOrientationPatient", 6),
        pixel_spacing=numbers(header, "PixelSpacing", 2),
        slope=slope,
        intercept=intercept,
        unit=unit_of(
            header, header.text("RescaleType"), stated="RescaleIntercept" in header.values
        ),
        keys=_keys(header),
        times={t: header.values[t] for t in TIMES if t in header.values},
        thickness=header.number("SliceThickness"),
    )


def numbers(header: Header, keyword: str, count: int) -> Float[np.ndarray, "n"] | None:
    """The values of a numeric attribute, or None where it is absent or empty."""
    values = header.values.get(keyword)
    if values is None:
        return None
    if len(values) == count and all(map(isfinite, values)):
        return np.array(values)
    return checked(header.name, keyword, values, count)


def checked(name: str, keyword: str, values: Any, count: int) -> Float[np.ndarray, "n"]:
    """`count` finite numbers.

    Raises:
        GeometryError: another number of values, or one that is not finite.
    """
    found = np.array([float(v) for v in np.atleast_1d(np.asarray(values, dtype=object))])
    if found.shape != (count,) or not np.isfinite(found).all():
        raise GeometryError(
            f"{keyword} of an image is damaged",
            why=f"{name} gives {found.tolist()} where {count} numbers belong",
            todo="Export the series again",
        )
    return found


def rescale(name: str, slope: Any, intercept: Any) -> tuple[float, float]:
    """Slope and intercept; 1 and 0 where there are none.

    Raises:
        ScanReadError: zero, or not a number.
    """
    pair = tuple(
        default if value is None else float(value[0] if isinstance(value, tuple) else value)
        for value, default in ((slope, 1.0), (intercept, 0.0))
    )
    if not np.isfinite(pair).all() or pair[0] == 0:
        raise ScanReadError(
            "the rescale of an image is not usable",
            why=f"{name} has slope {pair[0]} and intercept {pair[1]}",
            todo="Export the series again",
        )
    return pair[0], pair[1]


def check_ct_rescale(name: str, *, stated: bool) -> None:
    """Refuse CT without the rescale that both of its classes must have (C.8.2.1, A.38.1.4).

    Raises:
        ScanReadError: nothing says what the stored values mean.
    """
    if not stated:
        raise ScanReadError(
            "a CT image does not say what its values mean",
            why=f"{name} has no RescaleIntercept, so that its values are in no known unit",
            todo="Export the series again from the archive, with its rescale",
        )


def unit_of(header: Header, rescale_type: str, *, stated: bool) -> str:
    """`HU` for CT with a rescale whose type is HU, or left open, which means HU (C.8.2.1)."""
    is_ct = header.text("Modality") == "CT"
    return "HU" if is_ct and stated and (rescale_type or "HU").upper() == "HU" else "arbitrary"


def _keys(header: Header) -> dict[str, Any]:
    found: dict[str, Any] = {}
    echo, b_value = header.number("EchoTime"), _b_value(header)
    if echo is not None:
        found["EchoTime"] = round(echo, 3)
    if b_value is not None:
        found["b-value"] = round(b_value, 1)
    component = _component(header) if header.text("Modality") == "MR" else None
    if component is not None:
        found["component"] = component
    return found


def _component(header: Header) -> str | None:
    """Magnitude, phase, real or imaginary, as ImageType or GE's own attribute say."""
    if header.text("GeCreator") == "GEMS_PARM_01" and "GeComponent" in header.values:
        code = int(header.values["GeComponent"])
        return _GE_COMPONENTS[code] if 0 <= code < len(_GE_COMPONENTS) else None
    named = [_COMPONENTS[v] for v in header.image_type[2:] if v in _COMPONENTS]
    return named[0] if named else None


def _b_value(header: Header) -> float | None:
    stated = header.number("DiffusionBValue")
    if stated is not None:
        return stated
    if header.text("SiemensCreator") == "SIEMENS MR HEADER":
        return header.number("SiemensBValue")
    if header.text("GeCreator") == "GEMS_PARM_01":
        value = header.number("GeBValue")
        return None if value is None else value % _GE_B_OFFSET
    return None
