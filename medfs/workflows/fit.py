"""Support set → calibrated classifier: the heart of adapt, evaluate and the estimator."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from medfs.calibration.choice import AUTO, Calibrated, calibrate
from medfs.calibration.held_out import HeldOutLogits, held_out_logits
from medfs.calibration.priors import temperature_prior
from medfs.calibration.temperature import fit_scalar
from medfs.core.classifiers import CalibratedClassifier
from medfs.core.episodes import SupportSet
from medfs.core.features import Features
from medfs.workflows.guard import Verdict, look
from medfs.workflows.recipes import Recipe


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a recipe made of a support set.

    Attributes:
        calibrated: the classifier.
        used: the recipe, or its fallback.
        reason: why that one.
        log_likelihood: of the held-out support at its best temperature, to compare mappers by;
            None without held-out cases.
        verdict: whether the support looks like the tasks that the recipe's mapper was trained on.
        calibrator: which one, and why.
        held_out: logits of left-out cases; None where nothing can be left out.
    """

    calibrated: CalibratedClassifier
    used: Recipe
    reason: str
    log_likelihood: float | None
    verdict: Verdict
    calibrator: Calibrated
    held_out: HeldOutLogits | None


@torch.no_grad()
def fit(support: SupportSet, recipe: Recipe, seed: int, calibrator: str = AUTO) -> Fitted:
    """θ = M_φ(S), calibrated on logits of cases that were held out.

    Where those cases clearly prefer the recipe's fallback, it is used, and `reason` says so. A
    support unlike the tasks of training needs less of a preference.
    """
    verdict = look(support, recipe.familiarity, recipe.name)
    first = _fit(support, recipe, seed, verdict, calibrator)
    if recipe.fallback is None or first.log_likelihood is None:
        return first
    second = _fit(support, recipe.fallback, seed, verdict, calibrator)
    if (second.log_likelihood or 0.0) - first.log_likelihood <= verdict.needed:
        return first
    reason = (
        f"this support is unlike the tasks that {recipe.name} was trained on: left-out cases have "
        f"log-likelihood {second.log_likelihood:.1f} with {second.used.name}, "
        f"{first.log_likelihood:.1f} with {recipe.name}"
    )
    return replace(second, reason=reason)


def _fit(
    support: SupportSet, recipe: Recipe, seed: int, verdict: Verdict, calibrator: str
) -> Fitted:
    classifier = recipe.mapper(support)
    held_out = held_out_logits(support, recipe.mapper, seed)
    prior = temperature_prior(recipe.name, support)
    chosen = calibrate(held_out, prior, calibrator)
    calibrated = CalibratedClassifier(classifier, chosen.calibration)
    # Mappers are compared at a temperature of their own whatever calibrates the one that is used:
    # without it the luck of one sharp classifier would look like merit.
    told = None if held_out is None else held_out.log_likelihood(fit_scalar(held_out, prior))
    return Fitted(calibrated, recipe, recipe.reason, told, verdict, chosen, held_out)


def support_set(
    features: Sequence[Features], labels: Sequence[str], patients: Sequence[str]
) -> SupportSet:
    """One row of features per case, its class name and its patient, as a support set."""
    class_names = tuple(sorted(set(labels)))
    ordinal = {patient: i for i, patient in enumerate(dict.fromkeys(patients))}
    return SupportSet(
        Features.stack(list(features)),
        torch.tensor([class_names.index(label) for label in labels]),
        torch.tensor([ordinal[patient] for patient in patients]),
        class_names,
    )
