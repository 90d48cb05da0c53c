"""One temperature, maximum a posteriori, against SciPy and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from medfs.calibration.held_out import HeldOutLogits
from medfs.calibration.temperature import LogNormalPrior, fit_temperature

WIDE = LogNormalPrior(median=1.0, spread=1e6)
# The search grid's step: a factor of 10^0.01.
STEP = math.log(10) * 0.01


def _held_out(seed, n=300, way=3, sharpness=2.5, weights=None):
    """Logits whose right temperature is `sharpness`."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, way)) * 2
    p = np.exp(truth) / np.exp(truth).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(way, p=row) for row in p])
    weights = np.ones(n) if weights is None else weights
    return HeldOutLogits(
        *map(torch.from_numpy, (sharpness * truth, labels, weights)), torch.arange(n)
    )


def _objective(held_out, prior):
    logits, labels, weights = (
        t.numpy() for t in (held_out.logits, held_out.labels, held_out.weights)
    )

    def value(log_t):
        scaled = logits / math.exp(log_t)
        log_p = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
        penalty = (log_t - math.log(prior.median)) ** 2 / (2 * prior.spread**2)
        return penalty - (weights * log_p[np.arange(len(labels)), labels]).sum()

    return value


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "prior", [WIDE, LogNormalPrior(1.0, 0.7), LogNormalPrior(20.0, 0.3), LogNormalPrior(0.2, 0.1)]
)
def test_it_is_the_optimum_that_scipy_finds(seed, prior):
    weights = np.random.default_rng(seed).uniform(0.1, 2, 40)
    held_out = _held_out(seed, 40, weights=weights)
    best = minimize_scalar(_objective(held_out, prior), bounds=(-3, 6), method="bounded").x
    assert math.log(fit_temperature(held_out, prior)) == pytest.approx(best, abs=STEP)


def test_many_cases_give_the_temperature_that_made_them():
    assert fit_temperature(_held_out(0, 4000), WIDE).item() == pytest.approx(2.5, rel=0.1)


@pytest.mark.filterwarnings("ignore")
def test_without_a_prior_it_is_that_of_scikit_learn():
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV

    frozen = pytest.importorskip("sklearn.frozen")

    class Given(ClassifierMixin, BaseEstimator):
        """Its features are its logits."""

        def fit(self, X, y):
            self.classes_ = np.unique(y)
            self.n_features_in_ = X.shape[1]
            return self

        def decision_function(self, X):
            return X

        def predict(self, X):
            return self.classes_[X.argmax(axis=1)]

    held_out = _held_out(1)
    X, y = held_out.logits.numpy(), held_out.labels.numpy()
    try:
        model = CalibratedClassifierCV(
            frozen.FrozenEstimator(Given().fit(X, y)), method="temperature"
        )
        theirs = model.fit(X, y).predict_proba(X)
    except ValueError:
        pytest.skip("this scikit-learn has no temperature scaling")
    ours = torch.softmax(held_out.logits / fit_temperature(held_out, WIDE), dim=1).numpy()
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_without_data_the_prior_decides():
    assert fit_temperature(None, LogNormalPrior(3.0, 0.5)).item() == 3.0


def test_cases_that_all_happen_to_be_right_do_not_lead_to_certainty():
    logits = torch.tensor([[5.0, -5.0], [-5.0, 5.0]], dtype=torch.float64).repeat(5, 1)
    labels = torch.tensor([0, 1]).repeat(5)
    held_out = HeldOutLogits(logits, labels, torch.ones(10).double(), torch.arange(10))
    assert fit_temperature(held_out, WIDE) < 0.4  # the likelihood alone asks for it
    assert fit_temperature(held_out, LogNormalPrior(1.0, 0.7)) > 0.5


def test_more_data_move_it_from_the_prior_to_the_likelihood():
    prior = LogNormalPrior(20.0, 0.5)
    found = [fit_temperature(_held_out(0, n), prior).item() for n in (2, 20, 200, 2000)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(2.5, rel=0.15)


def test_a_weight_of_two_counts_as_two_cases():
    once = _held_out(3, 20)
    index = torch.arange(20).repeat(2)
    twice = HeldOutLogits(
        once.logits[index], once.labels[index], once.weights[index], once.patients[index]
    )
    heavy = HeldOutLogits(once.logits, once.labels, 2 * once.weights, once.patients)
    prior = LogNormalPrior(1.0, 0.7)
    assert fit_temperature(twice, prior) == fit_temperature(heavy, prior)
