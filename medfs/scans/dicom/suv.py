"""PET as standardised uptake values by body weight.

SUVbw = activity concentration (Bq/ml) × body weight (g) / injected dose (Bq), decayed to the time
the images are corrected to (PS3.3 C.8.9.1, and the pseudo-code of the QIBA FDG-PET profile).
Nothing is assumed: what the headers do not say is refused.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from medfs.core.errors import GeometryError, ScanReadError
from medfs.core.volumes import Volume
from medfs.scans.dicom.headers import read_dataset
from medfs.scans.dicom.stacks import Stack

UNIT = "SUVbw"
_TODO = "Read the series without suv, or export it again with its dose and weight"


def to_suv(volume: Volume, stack: Stack) -> Volume:
    """The volume in g/ml, float32.

    Raises:
        GeometryError: not PET.
        ScanReadError: an attribute that the conversion needs is missing or contradictory.
    """
    if stack.modality != "PT":
        raise GeometryError(
            "standardised uptake values exist for PET alone",
            why=f"The series is {stack.modality}",
            todo="Read it without suv, or choose the PET series by a rule",
        )
    dataset = read_dataset(stack.header.file, stop_before_pixels=True)
    if _text(dataset, "Units") == "GML" and _text(dataset, "SUVType") in ("", "BW"):
        return replace(volume, unit=UNIT)
    starts = [f.header.text("AcquisitionTime") for f in stack.volumes[0]]
    factor = np.float64(suv_factor(dataset, min((s for s in starts if s), default="")))
    voxels = (volume.voxels * factor).astype(np.float32)
    note = ("suv", f"multiplied by {factor:.6g} g/Bq (body weight / decayed dose)")
    provenance = replace(volume.provenance, notes=(*volume.provenance.notes, note))
    return replace(volume, voxels=voxels, unit=UNIT, provenance=provenance)


def suv_factor(dataset: Any, first_acquisition: str) -> float:
    """SUVbw per Bq/ml, from the header of one image.

    Args:
        dataset: of a PET image in Bq/ml, corrected for attenuation and decay.
        first_acquisition: the earliest AcquisitionTime of the series.

    Raises:
        ScanReadError: an attribute is missing or contradictory.
    """
    if _text(dataset, "Units") != "BQML":
        raise _refused(f"Units is {_text(dataset, 'Units') or 'not stated'}, not BQML")
    corrected = {str(v) for v in dataset.get("CorrectedImage") or ()}
    if not corrected.issuperset({"ATTN", "DECY"}):
        raise _refused(f"CorrectedImage is {sorted(corrected)}, without ATTN and DECY")
    items: Any = dataset.get("RadiopharmaceuticalInformationSequence") or ()
    if len(items) != 1:
        raise _refused(f"RadiopharmaceuticalInformationSequence has {len(items)} items, not one")
    weight = _positive(dataset, "PatientWeight")
    dose = _positive(items[0], "RadionuclideTotalDose")
    correction = _text(dataset, "DecayCorrection")
    if correction == "ADMIN":
        return weight * 1000 / dose
    if correction != "START":
        raise _refused(f"DecayCorrection is {correction or 'not stated'}, not START or ADMIN")
    half_life = _positive(items[0], "RadionuclideHalfLife")
    seconds = (
        _scan_start(dataset, first_acquisition) - _injection(dataset, items[0])
    ).total_seconds()
    if not 0 <= seconds < 7 * 86400:
        raise _refused(f"the scan would begin {seconds:.0f} s after the injection")
    return weight * 1000 / (dose * 0.5 ** (seconds / half_life))


def _scan_start(dataset: Any, first_acquisition: str) -> datetime:
    """Series time, unless it lies after the first acquisition: then it is that of a copy."""
    series = _moment(_text(dataset, "SeriesDate"), _text(dataset, "SeriesTime"), "SeriesTime")
    if not first_acquisition:
        return series
    acquired = _moment(_text(dataset, "AcquisitionDate"), first_acquisition, "AcquisitionTime")
    return min(series, acquired)


def _injection(dataset: Any, item: Any) -> datetime:
    stated = _text(item, "RadiopharmaceuticalStartDateTime")
    if stated:
        return _moment(stated[:8], stated[8:].split("+")[0].split("-")[0], "the injection")
    time = _text(item, "RadiopharmaceuticalStartTime")
    return _moment(_text(dataset, "SeriesDate"), time, "RadiopharmaceuticalStartTime")


def _moment(date: str, time: str, what: str) -> datetime:
    digits = (date.replace(".", "") + time.split(".")[0].replace(":", "")).strip()
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S")
    except ValueError as error:
        raise _refused(f"{what} is not a time: {date!r} {time!r}") from error


def _positive(source: Any, keyword: str) -> float:
    try:
        value = float(source.get(keyword) or 0)
    except (TypeError, ValueError) as error:
        raise _refused(f"{keyword} is not a number") from error
    if not 0 < value < float("inf"):
        raise _refused(f"{keyword} is missing or not positive")
    return value


def _text(source: Any, keyword: str) -> str:
    value = source.get(keyword)
    return "" if value is None else str(value).strip()


def _refused(why: str) -> ScanReadError:
    return ScanReadError("standardised uptake values cannot be computed", why=why, todo=_TODO)
