"""Which support cases look alike to the classifier."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.classifiers import CalibratedClassifier
from medfs.core.features import Features


def distances(calibrated: CalibratedClassifier, features: Features) -> Float[Tensor, "case case"]:
    """Between all cases, in the space in which the head of the classifier separates classes."""
    theta = calibrated.classifier.theta
    with torch.no_grad():
        x = theta.embed(features.joined().to(theta.dtype))
        return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")


def nearest(
    between: Float[Tensor, "case case"], patients: Sequence[str], count: int
) -> tuple[tuple[int, ...], ...]:
    """For every case the `count` nearest cases of other patients, the nearest first."""
    found = []
    for i, row in enumerate(between.tolist()):
        others = [j for j in range(len(row)) if patients[j] != patients[i]]
        found.append(tuple(sorted(others, key=lambda j: (row[j], j))[:count]))
    return tuple(found)
