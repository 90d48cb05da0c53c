"""What a guard says of a scan, in words and units that a reader of scans uses."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from medfs.core.guards import Beyond, ScanGuard, Verdict
from medfs.core.measured import MEASURES
from medfs.preprocess.measure import FLOOR, RIM_MM
from medfs.preprocess.presets import Preset
from medfs.workflows.embed import Embedded

_UNLIKE = "unlike the support"
# More reasons say no more.
_REASONS = 3
_PLACES = {"roi": "in the region", "near": "around the region"}
_QUANTILES = {"p10": "10th percentile", "median": "median", "p90": "90th percentile"}


@dataclass(frozen=True)
class _Wording:
    """How a measure is called, how its number is read, and its unit."""

    what: str
    number: Callable[[float], float]
    unit: str


def reasons(verdict: Verdict, preset: Preset) -> str:
    """Why a scan is unlike the support; empty for a familiar one."""
    parts = []
    if verdict.modality is not None:
        parts.append(f"its DICOM modality is {verdict.modality}, which no case of the support has")
    parts += [_said(beyond, preset) for beyond in verdict.beyond[:_REASONS]]
    if verdict.excess is not None and verdict.excess > 1:
        parts.append(
            f"its features lie {verdict.excess:.1f} times as far from those of the support as "
            "scans of the same kind do at most"
        )
    return f"{_UNLIKE}: {'; '.join(parts)}" if parts else ""


@dataclass(frozen=True)
class UsualRange:
    """Where a measure of the support lies, and from where on a scan is refused, as text."""

    what: str
    usual: str
    allowed: str
    unit: str


def usual_ranges(guard: ScanGuard, preset: Preset) -> tuple[UsualRange, ...]:
    """One per measure, in their order."""
    r = guard.ranges
    found = []
    for i, measure in enumerate(MEASURES):
        wording = _wording(measure, preset)
        usual, allowed = (
            f"{_plain(wording.number(float(low[i])))} to {_plain(wording.number(float(high[i])))}"
            for low, high in ((r.usual_low, r.usual_high), (r.low, r.high))
        )
        found.append(UsualRange(wording.what.removesuffix(":"), usual, allowed, wording.unit))
    return tuple(found)


def warn_of_guard(
    guard: ScanGuard, foreign: Mapping[int, Verdict], done: Sequence[Embedded], preset: Preset
) -> tuple[str, ...]:
    """What a user should know of the guard of a model; names cases, so it is not exported."""
    found = [f"{done[i].case.case_id} is {reasons(v, preset)}" for i, v in foreign.items()]
    warnings = [w.replace(_UNLIKE, "unlike the other labelled cases", 1) for w in found]
    if guard.near is None:
        warnings.append(
            "too few cases to say how far a scan may lie from them: only scans of which a single "
            "number is out of range can be told to be unlike the support"
        )
    return tuple(warnings)


def _said(beyond: Beyond, preset: Preset) -> str:
    wording = _wording(beyond.measure, preset)
    value, low, high = (wording.number(x) for x in (beyond.value, *beyond.usual))
    return (
        f"{wording.what} {_plain(value)} {wording.unit} "
        f"(support: about {_plain(low)} to {_plain(high)})"
    )


def _plain(number: float) -> str:
    """Three digits, and none of 1e+04."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _wording(measure: str, preset: Preset) -> _Wording:
    offset, scale, unit = _intensity(preset)

    def level(value: float) -> float:
        return offset + scale * value

    def change(value: float) -> float:
        return scale * max(math.exp(value) - FLOOR, 0.0)

    part, _, quantile = measure.partition("_")
    if part in _PLACES:
        return _Wording(f"the {_QUANTILES[quantile]} {_PLACES[part]} is", level, unit)
    return {
        "log_finest_mm": _Wording("voxels are at their narrowest", math.exp, "mm"),
        "log_coarsest_mm": _Wording("voxels are at their widest", math.exp, "mm"),
        "log_roi_mm3": _Wording("the region measures", math.exp, "mm³"),
        "padding": _Wording("share of the patch that lies beyond the scan:", _percent, "%"),
        "flat": _Wording("share of voxels that equal all their neighbours:", _percent, "%"),
        "log_noise": _Wording("voxels differ from their neighbours by", change, unit),
        "log_edge": _Wording(
            "at the edge of the region values change by", change, f"{unit} per mm"
        ),
        "brighter": _Wording(
            f"the region is brighter than what lies within {RIM_MM:g} mm around it in",
            _percent,
            "% of pairs of voxels",
        ),
    }[measure]


def _percent(share: float) -> float:
    return 100 * min(max(share, 0.0), 1.0)


def _intensity(preset: Preset) -> tuple[float, float, str]:
    """Offset, scale and unit by which intensities of a patch are those of the scan again."""
    window = preset.intensity
    if window.kind != "window":
        return 0.0, 1.0, "units"
    unit = "HU" if preset.kinds == ("ct",) else "units"
    return (window.low + window.high) / 2, (window.high - window.low) / 2, unit
