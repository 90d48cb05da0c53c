"""Support set → calibrated classifier: the heart of adapt, evaluate and the estimator."""

from collections.abc import Sequence

import torch

from medfs.calibration.held_out import held_out_logits
from medfs.calibration.priors import temperature_prior
from medfs.calibration.temperature import fit_temperature
from medfs.core.classifiers import CalibratedClassifier
from medfs.core.episodes import SupportSet
from medfs.core.features import Features
from medfs.core.mapping import Mapper


@torch.no_grad()
def fit(support: SupportSet, mapper: Mapper, mapper_name: str, seed: int) -> CalibratedClassifier:
    """θ = M_φ(S), with a temperature from logits of cases that were held out."""
    classifier = mapper(support)
    held_out = held_out_logits(support, mapper, seed)
    temperature = fit_temperature(held_out, temperature_prior(mapper_name, support))
    return CalibratedClassifier(classifier, temperature)


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
