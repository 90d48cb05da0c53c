"""What is said of every support case by classifiers that have not seen its patient."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.calibration.choice import CALIBRATORS
from medfs.calibration.held_out import held_out_logits
from medfs.calibration.priors import temperature_prior
from medfs.core.classifiers import CalibratedClassifier
from medfs.core.episodes import SupportSet
from medfs.core.folds import balanced_folds
from medfs.core.threads import single_thread
from medfs.workflows.fit import Fitted
from medfs.workflows.report import ordinal

_REPEATS = 3


@torch.no_grad()
def held_out_probabilities(
    support: SupportSet, fitted: Fitted, seed: int
) -> Float[Tensor, "case way"] | None:
    """Mean probabilities over the folds that leave a case's patient out.

    Folds are those of `held_out_logits`: one patient of every class at a time, three times over.
    For each of them the mapper runs anew on the other patients, and the calibrator is fitted anew
    to held-out logits of the other patients. Mapper and calibrator were chosen once, by all cases.

    Returns:
        NaN in the row of a case that no fold leaves out; None where a class has a single patient.
    """
    known = held_out_logits(support, fitted.used.mapper, seed, _REPEATS)
    if known is None:
        return None
    prior = temperature_prior(fitted.used.name, support)
    fit_calibrator = CALIBRATORS[fitted.calibrator.name]
    total = torch.zeros(len(support), support.n_way, dtype=torch.float64)
    count = torch.zeros(len(support), 1, dtype=torch.float64)
    for fold in balanced_folds(support.labels.tolist(), support.patients.tolist(), seed, _REPEATS):
        others = ~torch.isin(known.patients, torch.tensor(fold))
        calibration = fit_calibrator(known.only(others) if bool(others.any()) else None, prior)
        classifier = fitted.used.mapper(support.without_patients(fold))
        out = torch.isin(support.patients, torch.tensor(fold))
        told = CalibratedClassifier(classifier, calibration).predict_proba(support.features[out])
        total[out] += told.double()
        count[out] += 1
    return total / count


def held_out(support: SupportSet, fitted: Fitted, seed: int) -> dict[str, Any]:
    """What report.json says of it: probabilities by ordinal in the order of the classes, or None.

    Args:
        support: the cases in the order of their ordinals.
        fitted: the classifier and what made it.
        seed: of the folds.
    """
    with single_thread():
        found = held_out_probabilities(support, fitted, seed)
    if found is None:
        return {"held_out": None}
    rows = enumerate(found.tolist(), 1)
    return {"held_out": {ordinal(i): None if math.isnan(row[0]) else row for i, row in rows}}
