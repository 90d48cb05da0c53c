"""Which calibrator: the one that patients who were held out from it bear out."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from medfs.calibration.dirichlet import fit_dirichlet
from medfs.calibration.held_out import HeldOutLogits
from medfs.calibration.temperature import LogNormalPrior, fit_none, fit_prior, fit_scalar
from medfs.calibration.vector import fit_vector
from medfs.core.calibration import Calibration
from medfs.core.errors import UsageError

Calibrator = Callable[[HeldOutLogits | None, LogNormalPrior], Calibration]

AUTO, PRIOR = "auto", "prior"
CALIBRATORS: Mapping[str, Calibrator] = {
    "none": fit_none,
    PRIOR: fit_prior,
    "temperature": fit_scalar,
    "vector": fit_vector,
    "dirichlet": fit_dirichlet,
}
# What `auto` tries, the simplest first, and the log-likelihood by which each must be better than
# what was chosen so far: odds of twenty to one.
_RICHER = ("temperature", "vector", "dirichlet")
_CLEARLY = math.log(20)
_GROUPS = 5


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibration and why it was taken.

    Attributes:
        name: of the calibrator.
        calibration: fitted to all held-out cases.
        reason: in words.
        log_likelihood: of held-out cases, each calibrated without its patient; None without such
            cases.
    """

    name: str
    calibration: Calibration
    reason: str
    log_likelihood: float | None


def calibrate(held_out: HeldOutLogits | None, prior: LogNormalPrior, name: str) -> Calibrated:
    """Fit the named calibrator, or for `auto` choose one.

    `auto` starts from the mapper's own temperature and moves on to a richer calibrator only where
    patients held out from the fit as well have a log-likelihood that is better by log 20. So it is
    never worse than leaving the temperature alone, by that measure.

    Raises:
        UsageError: there is no such calibrator.
    """
    check_calibrator(name)
    if name != AUTO:
        own = None if held_out is None else cross_validated(CALIBRATORS[name], held_out, prior)
        return Calibrated(name, CALIBRATORS[name](held_out, prior), "named by the user", own)
    if held_out is None:
        return Calibrated(PRIOR, CALIBRATORS[PRIOR](None, prior), "nothing to hold out", None)
    told = {n: cross_validated(CALIBRATORS[n], held_out, prior) for n in (PRIOR, *_RICHER)}
    chosen = PRIOR
    for richer in _RICHER:
        if told[richer] - told[chosen] > _CLEARLY:
            chosen = richer
    listed = ", ".join(f"{value:.1f} with {n}" for n, value in told.items())
    reason = f"left-out patients have log-likelihood {listed}"
    return Calibrated(chosen, CALIBRATORS[chosen](held_out, prior), reason, told[chosen])


def check_calibrator(name: str) -> None:
    """Refuse a name that means nothing, before anything is read."""
    if name != AUTO and name not in CALIBRATORS:
        raise UsageError(
            f"there is no calibrator {name!r}", todo=f"Use {', '.join((AUTO, *CALIBRATORS))}"
        )


def cross_validated(
    calibrator: Calibrator, held_out: HeldOutLogits, prior: LogNormalPrior
) -> float:
    """Log-likelihood of held-out cases by calibrations that were fitted to other patients."""
    group = patient_groups(held_out)
    total = 0.0
    for number in range(int(group.max()) + 1):
        out = group == number
        rest = held_out.only(~out) if bool((~out).any()) else None
        total += held_out.only(out).log_likelihood(calibrator(rest, prior))
    return total


def patient_groups(held_out: HeldOutLogits) -> Int[Tensor, "prediction"]:
    """Up to five groups of patients, each with its share of every class.

    The patients of a class are dealt out in turn, so that permuting classes changes nothing. A
    patient with cases in several classes goes where the first of them puts it.
    """
    place: dict[int, int] = {}
    for label in sorted(set(held_out.labels.tolist())):
        own = sorted(set(held_out.patients[held_out.labels == label].tolist()))
        for rank, patient in enumerate(p for p in own if p not in place):
            place[patient] = rank % _GROUPS
    return torch.tensor([place[p] for p in held_out.patients.tolist()])
