"""PET as standardised uptake values by body weight.

SUVbw = activity concentration (Bq/ml) × body weight (g) / injected dose (Bq), decayed to the time
the images are corrected to (PS3.3 C.8.9.1, and the pseudo-code of the QIBA FDG-PET profile).
Nothing is assumed: what the headers do not say is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from medfs.core.errors import GeometryError, ScanReadError
from medfs.core.volumes import Volume
from medfs.scans.dicom.headers import read_dataset
from medfs.scans.dicom.stacks import Stack
from medfs.scans.guards import reading

UNIT = "SUVbw"
_TODO = "Read the series without suv, or export it again with its dose and weight"
# PS3.5 6.2: seconds, and minutes with them, may be left out of a time.
_TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(?:\.(\d{1,6}))?\Z")
_ZONE = re.compile(r"[+-]\d{4}\Z")
# Beyond these a number is in grams, in MBq, or in minutes; a mouse weighs 0.02 kg.
_HEAVIEST_KG, _LEAST_BQ, _MOST_HALF_LIVES = 1000.0, 1e4, 20.0
_LONGEST_WAIT = timedelta(days=7)
# Two statements of one injection, of which one leaves out the seconds.
_SAME_TIME = timedelta(minutes=1)


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
    with reading(stack.header.name):
        if _text(dataset, "Units") == "GML":
            return _stated(volume, dataset)
        headers = [f.header for planes in stack.volumes for f in planes]
        moments = {(h.text("AcquisitionDate"), h.text("AcquisitionTime")) for h in headers}
        factor = suv_factor(dataset, moments)
    voxels = (volume.voxels * np.float64(factor)).astype(np.float32)
    note = ("suv", f"multiplied by {factor:.6g} g/Bq (body weight / decayed dose)")
    provenance = replace(volume.provenance, notes=(*volume.provenance.notes, note))
    return replace(volume, voxels=voxels, unit=UNIT, provenance=provenance)


def _stated(volume: Volume, dataset: Any) -> Volume:
    """In g/ml the values are SUVs already, by body weight where nothing else is said (C.8.9.1)."""
    kind = _text(dataset, "SUVType") or "BW"
    if kind != "BW":
        raise _refused(f"The values are SUVs already, of the type {kind}, not BW (body weight)")
    return replace(volume, voxels=volume.voxels.astype(np.float32, copy=False), unit=UNIT)


def suv_factor(dataset: Any, acquisitions: Iterable[tuple[str, str]]) -> float:
    """SUVbw (g/ml) per Bq/ml, from the header of one image.

    Args:
        dataset: of a PET image in Bq/ml, corrected for attenuation and decay.
        acquisitions: AcquisitionDate and AcquisitionTime of all images of the series.

    Raises:
        ScanReadError: an attribute is missing, implausible or contradictory.
    """
    if _text(dataset, "Units") != "BQML":
        raise _refused(f"Units is {_text(dataset, 'Units') or 'not stated'}, not BQML")
    stated = dataset.get("CorrectedImage") or ()
    corrected = {stated} if isinstance(stated, str) else {str(v) for v in stated}
    if not corrected.issuperset({"ATTN", "DECY"}):
        raise _refused(f"CorrectedImage is {sorted(corrected)}, without ATTN and DECY")
    items: Any = dataset.get("RadiopharmaceuticalInformationSequence") or ()
    if len(items) != 1:
        raise _refused(f"RadiopharmaceuticalInformationSequence has {len(items)} items, not one")
    weight = _positive(dataset, "PatientWeight")
    if weight > _HEAVIEST_KG:
        raise _refused(f"PatientWeight is {weight:g} kg: it may be in grams")
    dose = _positive(items[0], "RadionuclideTotalDose")
    if dose < _LEAST_BQ:
        raise _refused(f"RadionuclideTotalDose is {dose:g} Bq: it may be in MBq")
    return weight * 1000 / (dose * _left(dataset, items[0], acquisitions))


def _left(dataset: Any, item: Any, acquisitions: Iterable[tuple[str, str]]) -> float:
    """The share of the dose that has not decayed at the time that the images are corrected to."""
    correction = _text(dataset, "DecayCorrection")
    if correction == "ADMIN":
        return 1.0
    if correction != "START":
        raise _refused(f"DecayCorrection is {correction or 'not stated'}, not START or ADMIN")
    half_life = _positive(item, "RadionuclideHalfLife")
    start = _scan_start(dataset, acquisitions)
    waited = start - _injection(dataset, item, start)
    if not timedelta(0) <= waited < _LONGEST_WAIT:
        raise _refused(f"The scan would begin {waited.total_seconds():.0f} s after the injection")
    passed = waited.total_seconds() / half_life
    if passed > _MOST_HALF_LIVES:
        raise _refused(
            f"{passed:.0f} half-lives of {half_life:g} s would lie between injection and scan"
        )
    return float(0.5**passed)


def _scan_start(dataset: Any, acquisitions: Iterable[tuple[str, str]]) -> datetime:
    """Series time, unless it lies after the first acquisition: then it is that of a copy."""
    series = _moment(_text(dataset, "SeriesDate"), _text(dataset, "SeriesTime"), "SeriesTime")
    acquired = [_moment(*one, "AcquisitionTime") for one in acquisitions if one[1]]
    return min([series, *acquired])


def _injection(dataset: Any, item: Any, start: datetime) -> datetime:
    """As stated with its date; else on the day of the scan.

    An injection before midnight whose date is not stated lies after the scan, and is refused.
    """
    stated = _text(item, "RadiopharmaceuticalStartDateTime")
    time = _text(item, "RadiopharmaceuticalStartTime")
    if not stated:
        return _moment(f"{start:%Y%m%d}", time, "RadiopharmaceuticalStartTime")
    zone, here = _ZONE.search(stated), _text(dataset, "TimezoneOffsetFromUTC")
    if zone and here and zone[0] != here:
        raise _refused(f"The injection is stated in time zone {zone[0]}, and the scan in {here}")
    plain = _ZONE.sub("", stated)
    moment = _moment(plain[:8], plain[8:], "RadiopharmaceuticalStartDateTime")
    if time:
        other = _moment(plain[:8], time, "RadiopharmaceuticalStartTime")
        if abs(moment - other) > _SAME_TIME:
            raise _refused(f"The injection is stated at {stated} and at {time}")
    return moment


def _moment(date: str, time: str, what: str) -> datetime:
    found = _TIME.match(time)
    try:
        if found is None or len(date) not in (8, 10):  # 10 with dots, of before 1993
            raise ValueError
        day = datetime.strptime(date.replace(".", ""), "%Y%m%d")
        hours, minutes, seconds, part = found.groups()
        clock = day.replace(hour=int(hours), minute=int(minutes or 0), second=int(seconds or 0))
    except ValueError as error:
        raise _refused(f"{what} is not a date and time: {date!r} {time!r}") from error
    return clock + timedelta(seconds=float(f"0.{part or 0}"))


def _positive(source: Any, keyword: str) -> float:
    try:
        value = float(source.get(keyword) or 0)
    except (TypeError, ValueError, OverflowError) as error:
        raise _refused(f"{keyword} is not a number") from error
    if not 0 < value < float("inf"):
        raise _refused(f"{keyword} is missing or not positive")
    return value


def _text(source: Any, keyword: str) -> str:
    value = source.get(keyword)
    return "" if value is None else str(value).strip()


def _refused(why: str) -> ScanReadError:
    return ScanReadError("standardised uptake values cannot be computed", why=why, todo=_TODO)
