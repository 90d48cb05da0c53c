"""Which preset a scan asks for: by its modality tag, else by its intensities."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medfs.core.errors import CohortError, ScanReadError
from medfs.core.volumes import Volume
from medfs.preprocess.intensity import evenly_spaced
from medfs.preprocess.presets import Preset

Kind = Literal["ct", "mr", "pet", "shape"]
_IN_WORDS: dict[Kind, str] = {"ct": "CT", "mr": "MR", "pet": "PET", "shape": "a binary shape"}
_BY_MODALITY: dict[str, Kind] = {"CT": "ct", "MR": "mr", "PT": "pet", "NM": "pet"}
# Air is −1000 HU and lung parenchyma about −850 HU; noisy air must not count as lung.
_LUNG_HU = (-950.0, -600.0)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What one scan looks like, why, and which share of its voxels has the density of lung."""

    kind: Kind
    reason: str
    lung_share: float


def suggest(volume: Volume) -> Suggestion:
    """The kind of one scan: its DICOM modality if it has one, otherwise its range of values."""
    sample = evenly_spaced(volume.voxels[0], 500_000)
    low, high = float(sample.min()), float(sample.max())
    lung = float(np.mean((sample > _LUNG_HU[0]) & (sample < _LUNG_HU[1])))
    if kind := _BY_MODALITY.get(volume.modality or ""):
        return Suggestion(kind, f"DICOM modality {volume.modality}", lung)
    if np.all((sample == low) | (sample == high)) and low < high:
        return Suggestion("shape", "only two values occur", lung)
    if low < -200 and np.mean(sample < -200) > 0.01:
        return Suggestion("ct", f"values from {low:.0f} to {high:.0f} look like HU", lung)
    return Suggestion("mr", f"values from {low:.3g} to {high:.3g} have no known unit", lung)


def choose(suggestions: dict[str, Suggestion]) -> tuple[str, str]:
    """The preset for a cohort and the reason for it, from its cases' suggestions.

    Raises:
        CohortError: the cases are not of one kind.
    """
    cases_of: dict[Kind, list[str]] = defaultdict(list)
    for case, suggestion in suggestions.items():
        cases_of[suggestion.kind].append(case)
    if len(cases_of) > 1:
        found = "; ".join(
            f"{len(cases)} look like {kind} (e.g. {cases[0]})" for kind, cases in cases_of.items()
        )
        raise CohortError(
            "the scans are not of one kind",
            why=found,
            todo="Remove the foreign scans, or name a preset with --preset",
        )
    kind = next(iter(cases_of))
    reason = Counter(s.reason for s in suggestions.values()).most_common(1)[0][0]
    if kind != "ct":
        return kind, reason
    lung = float(np.median([s.lung_share for s in suggestions.values()]))
    part = f"{lung:.0%} of the voxels have the density of lung"
    return ("ct-lung" if lung > 0.2 else "ct-soft"), f"{reason}; {part}"


def check(volume: Volume, preset: Preset) -> None:
    """Refuse a scan that is certainly not of the preset's kind.

    Certain are a DICOM modality, HU-like values, and a volume of two values. A file that says
    nothing and has values of no known unit is accepted.

    Raises:
        ScanReadError: the scan is of another kind.
    """
    found = suggest(volume)
    unsure = found.kind == "mr" and volume.modality is None
    if unsure or found.kind in preset.kinds:
        return
    raise ScanReadError(
        f"this scan is not of the kind that preset {preset.name!r} is for",
        why=f"It looks like {_IN_WORDS[found.kind]}: {found.reason}",
        todo="Remove it, or adapt with a preset for this kind of scan",
    )
