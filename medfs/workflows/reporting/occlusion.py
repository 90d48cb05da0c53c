"""What the probability rests on: parts of the patch are covered in turn (Zeiler & Fergus 2014).

Parts are cubes of a size in mm that fits the region, so that a small and a large finding are looked
at equally closely. A covered part takes the value of what lies around the region and no longer
belongs to the region: as if this part of the finding were not there.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from medfs.core.patches import Patch
from medfs.workflows.predict import Predictor
from medfs.workflows.reporting.reading import features_of

_MOST_CUBES = 27
# Of the length of the region, looked at beyond it on every side.
_AROUND = 0.25
# Smaller changes of a probability than this are shown as faint as they are.
_PLAIN = 0.02


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What covering did to the probability of one class.

    Attributes:
        drop: at every point of the patch, by how much the probability fell when it was covered.
        edge_mm: of the cubes.
        cubes: how many were covered.
    """

    drop: Float[np.ndarray, "x y z"]
    edge_mm: float
    cubes: int

    @property
    def weight(self) -> Float[np.ndarray, "x y z"]:
        """The drop relative to the largest, −1 to 1; faint all over where hardly anything fell."""
        return self.drop / max(float(np.abs(self.drop).max()), _PLAIN)


def occlude(predictor: Predictor, patch: Patch, label: int, case_id: str) -> Occlusion:
    """Cover the region and its surroundings cube by cube; everything else is as in `predict`.

    Args:
        predictor: the model, from patch to probability.
        patch: of the case.
        label: class whose probability is watched.
        case_id: for errors.
    """

    def probability(seen: Patch) -> float:
        features = features_of(predictor.embedder, seen, case_id)
        return float(predictor.calibrated.predict_proba(features)[0, label])

    low, high = _around(patch.roi[0].numpy() > 0)
    edge, steps = _cubes((high - low) * patch.spacing.numpy(), patch.spacing.numpy())
    cover = _surroundings(patch)
    drop, before, count = np.zeros(patch.roi.shape[1:], dtype=np.float64), probability(patch), 0
    for box in _boxes(low, high, steps):
        image, roi = patch.image.clone(), patch.roi.clone()
        image[0][box], roi[0][box] = cover, 0
        drop[box] = before - probability(replace(patch, image=image, roi=roi))
        count += 1
    return Occlusion(drop, edge, count)


def _boxes(
    low: Int[np.ndarray, "3"], high: Int[np.ndarray, "3"], steps: Int[np.ndarray, "3"]
) -> list[tuple[slice, ...]]:
    """Cubes side by side, the last ones along an axis cut off at its end."""
    axes = [
        [slice(c, min(c + s, end)) for c in range(start, end, s)]
        for start, end, s in zip(low.tolist(), high.tolist(), steps.tolist(), strict=True)
    ]
    return list(product(*axes))


def _around(
    roi: Bool[np.ndarray, "x y z"],
) -> tuple[Int[np.ndarray, "3"], Int[np.ndarray, "3"]]:
    """First point and one past the last, along each axis, of what is looked at."""
    low, high = [], []
    for axis, size in enumerate(roi.shape):
        line = np.flatnonzero(roi.any(axis=tuple(a for a in range(3) if a != axis)))
        first, last = (int(line[0]), int(line[-1]) + 1) if len(line) else (0, size)
        more = max(1, round(_AROUND * (last - first)))
        low.append(max(0, first - more))
        high.append(min(size, last + more))
    return np.array(low), np.array(high)


def _cubes(
    length_mm: Float[np.ndarray, "3"], spacing: Float[np.ndarray, "3"]
) -> tuple[float, Int[np.ndarray, "3"]]:
    """Edge in mm and in points of the smallest cubes of which few enough fill a box."""
    edge = float(spacing.max())
    while True:
        steps = np.maximum(1, np.round(edge / spacing)).astype(int)
        if np.prod(np.ceil(length_mm / (steps * spacing) - 1e-6)) <= _MOST_CUBES:
            return edge, steps
        edge *= 1.05


def _surroundings(patch: Patch) -> float:
    """Median of what is not the region; of everything where all of it is."""
    outside = patch.image[patch.roi == 0]
    return float(torch.median(outside if len(outside) else patch.image.flatten()))
