"""The most probable numbers of a calibration, by Fisher scoring in float64."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.calibration.held_out import HeldOutLogits

Numbers = Float[Tensor, "number"]
_STEPS, _HALVINGS, _CLOSE = 60, 30, 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Calibrated logits as a function of some numbers, for the predictions at hand.

    Attributes:
        start: the numbers that a normal prior is centred on.
        logits: numbers → (prediction, way).
        slopes: numbers → derivative of these logits, (prediction, way, number).
    """

    start: Numbers
    logits: Callable[[Numbers], Tensor]
    slopes: Callable[[Numbers], Tensor]


def posterior_mode(family: Family, held_out: HeldOutLogits, spread: float) -> Numbers:
    """Maximum of log likelihood + log prior, each number ~ N(its start, `spread`²) by itself.

    Fisher scoring, halving a step that does not lead downhill: the expected curvature plus that of
    the prior is positive definite even where the true one is not.
    """
    found = family.start
    value = _objective(family, held_out, spread, found)
    for _ in range(_STEPS):
        step = _scoring_step(family, held_out, spread, found)
        for halving in range(_HALVINGS):
            tried = found - step * 0.5**halving
            new = _objective(family, held_out, spread, tried)
            if new <= value:
                break
        else:
            return found
        done = float((tried - found).abs().max()) < _CLOSE
        found, value = tried, new
        if done:
            break
    return found


def _objective(family: Family, held_out: HeldOutLogits, spread: float, numbers: Numbers) -> float:
    log_p = torch.log_softmax(family.logits(numbers), dim=1)
    told = log_p[torch.arange(len(held_out.labels)), held_out.labels] @ held_out.weights
    return float((numbers - family.start).square().sum() / (2 * spread**2) - told)


def _scoring_step(
    family: Family, held_out: HeldOutLogits, spread: float, numbers: Numbers
) -> Numbers:
    p = torch.softmax(family.logits(numbers), dim=1)
    slopes, w = family.slopes(numbers), held_out.weights
    truth = torch.nn.functional.one_hot(held_out.labels, p.shape[1])
    gradient = torch.einsum("nkp,nk->p", slopes, w[:, None] * (p - truth))
    gradient = gradient + (numbers - family.start) / spread**2
    # E[(p − y)(p − y)ᵀ] = diag(p) − ppᵀ, by way of slopes about their mean under p.
    about = slopes - torch.einsum("nk,nkp->np", p, slopes)[:, None, :]
    rows = (about * (w[:, None] * p).sqrt()[:, :, None]).reshape(-1, len(numbers))
    curvature = rows.T @ rows + torch.eye(len(numbers), dtype=p.dtype) / spread**2
    return torch.linalg.solve(curvature, gradient)
