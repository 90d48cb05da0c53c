"""Logistic regression as a medfs classifier: what few-shot methods are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from medfs.core.calibration import Temperature
from medfs.core.classifiers import CalibratedClassifier, Classifier
from medfs.core.episodes import SupportSet
from medfs.core.theta import LinearHead, Standardizer, Theta
from medfs.workflows.judging import Adapt


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and deviation of features over some cases; a feature that never varies has 1."""

    mean: Float[Tensor, "feature"]
    spread: Float[Tensor, "feature"]

    @property
    def standardizer(self) -> Standardizer:
        unlimited = torch.tensor(float("inf"), dtype=torch.float64)
        return Standardizer(self.mean, self.spread, unlimited)


def statistics_of(rows: Float[Tensor, "case feature"]) -> Statistics:
    """Of these rows."""
    mean, spread = rows.mean(dim=0), rows.std(dim=0, correction=0)
    return Statistics(mean, torch.where(spread > 0, spread, torch.ones_like(spread)))


def logistic_regression(
    support: SupportSet,
    inverse_penalty: float,
    statistics: Statistics | None = None,
    columns: Sequence[int] | None = None,
) -> Classifier:
    """scikit-learn's fit.

    Args:
        support: labelled cases.
        inverse_penalty: C.
        statistics: that features are standardised by; the support's own unless given.
        columns: features that may be used; all unless given.
    """
    x = support.features.joined().double()
    standardizer = (statistics_of(x) if statistics is None else statistics).standardizer
    used = list(range(x.shape[1])) if columns is None else list(columns)
    fitted = LogisticRegression(C=inverse_penalty, max_iter=5000)
    fitted.fit(standardizer(x)[:, used].numpy(), support.labels.numpy())
    weight = torch.zeros(len(fitted.coef_), x.shape[1], dtype=torch.float64)
    weight[:, used], bias = torch.from_numpy(fitted.coef_), torch.from_numpy(fitted.intercept_)
    if support.n_way == 2:
        # One row of coefficients stands for the difference of the two classes' logits.
        weight, bias = torch.cat([-weight / 2, weight / 2]), torch.cat([-bias / 2, bias / 2])
    theta = Theta((standardizer,), LinearHead(weight, bias))
    return Classifier(support.features.identities, theta, support.class_names)


def logistic_on(
    statistics: Statistics | None, columns: Sequence[int] | None = None, penalty: float = 1.0
) -> Adapt:
    """Uncalibrated, as scikit-learn gives it."""
    one = Temperature(torch.tensor(1.0, dtype=torch.float64))
    return lambda support, _: CalibratedClassifier(
        logistic_regression(support, penalty, statistics, columns), one
    )
