"""Vector scaling and Dirichlet calibration against SciPy and scikit-learn, and their laws."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from medfs.calibration.choice import CALIBRATORS
from medfs.calibration.dirichlet import fit_dirichlet
from medfs.calibration.held_out import HeldOutLogits
from medfs.calibration.temperature import LogNormalPrior
from medfs.calibration.vector import fit_vector
from medfs.core.calibration import CALIBRATIONS, Calibration, Dirichlet, VectorScaling, centred

PRIOR = LogNormalPrior(1.6, 0.4)
ALL = sorted(CALIBRATORS)


def made(seed, n=60, way=3, sharpness=1.5, weights=None):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, way)) * 2
    p = np.exp(truth) / np.exp(truth).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(way, p=row) for row in p])
    logits = sharpness * truth + rng.normal(size=way)
    weights = rng.uniform(0.2, 2, n) if weights is None else weights
    return HeldOutLogits(*map(torch.from_numpy, (logits, labels, weights)), torch.arange(n))


def _nll(held_out, scores):
    log_p = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    labels = held_out.labels.numpy()
    return -(held_out.weights.numpy() * log_p[np.arange(len(labels)), labels]).sum()


def _vector_objective(held_out):
    z = held_out.logits.numpy() / PRIOR.median
    z = z - z.mean(axis=1, keepdims=True)
    way = z.shape[1]

    def value(v):
        return _nll(held_out, np.exp(v[:way]) * z + v[way:]) + (v**2).sum() / (2 * PRIOR.spread**2)

    return value, np.zeros(2 * way)


def _dirichlet_objective(held_out):
    z = held_out.logits.numpy() / PRIOR.median
    log_p = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    way = z.shape[1]
    centre = np.hstack([np.eye(way), np.zeros((way, 1))])

    def value(v):
        m = v.reshape(way, way + 1)
        told = _nll(held_out, log_p @ m[:, :-1].T + m[:, -1])
        return told + ((m - centre) ** 2).sum() / (2 * PRIOR.spread**2)

    return value, centre.ravel()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", [2, 3])
@pytest.mark.parametrize("kind", ["vector", "dirichlet"])
def test_it_is_the_optimum_that_scipy_finds(kind, seed, way):
    held_out = made(seed, way=way)
    objective, start = (_vector_objective if kind == "vector" else _dirichlet_objective)(held_out)
    best = minimize(objective, start, method="BFGS", options={"gtol": 1e-7}).x
    found = CALIBRATORS[kind](held_out, PRIOR)
    if kind == "vector":
        ours = np.concatenate([found.scale.log().numpy(), found.bias.numpy()])
    else:
        ours = torch.cat([found.weight, found.bias[:, None]], dim=1).numpy().ravel()
    np.testing.assert_allclose(ours, best, atol=1e-4)
    assert objective(ours) <= objective(best) + 1e-9


def test_with_two_classes_and_no_prior_vector_scaling_is_platts():
    held_out = made(1, 200, way=2)
    found = fit_vector(held_out, LogNormalPrior(1.0, 1e4))
    gap = (held_out.logits[:, 1] - held_out.logits[:, 0])[:, None].numpy()
    weights = held_out.weights.numpy()
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    model.fit(gap, held_out.labels.numpy(), sample_weight=weights)
    ours = torch.softmax(found.apply(held_out.logits), dim=1).numpy()
    np.testing.assert_allclose(ours, model.predict_proba(gap), atol=1e-5)


def test_with_a_prior_about_zero_the_posterior_mode_is_penalised_logistic_regression(monkeypatch):
    from medfs.calibration import dirichlet, posterior

    held_out, spread = made(2, 150), 0.7
    log_p = torch.log_softmax(held_out.logits, dim=1)
    family = dirichlet._family(log_p)
    # A column of the design that is all but free stands for scikit-learn's intercept.
    whole = torch.cat([log_p, torch.full_like(log_p[:, :1], 1e4)], dim=1)
    eye = torch.eye(3, dtype=torch.float64)
    slopes = torch.einsum("kl,nj->nklj", eye, whole).reshape(len(log_p), 3, -1)
    about_zero = posterior.Family(
        torch.zeros_like(family.start), lambda v: whole @ v.reshape(3, 4).T, lambda _: slopes
    )
    found = posterior.posterior_mode(about_zero, held_out, spread).reshape(3, 4)
    model = LogisticRegression(C=spread**2, tol=1e-10, max_iter=10_000)
    model.fit(log_p.numpy(), held_out.labels.numpy(), sample_weight=held_out.weights.numpy())
    np.testing.assert_allclose(found[:, :-1].numpy(), model.coef_, atol=1e-4)
    ours = torch.softmax(whole @ found.T, dim=1).numpy()
    np.testing.assert_allclose(ours, model.predict_proba(log_p.numpy()), atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_permuting_the_classes_permutes_the_probabilities(name):
    held_out, order = made(3), torch.tensor([2, 0, 1])
    turned = HeldOutLogits(
        held_out.logits[:, order],
        torch.argsort(order)[held_out.labels],
        held_out.weights,
        held_out.patients,
    )
    one = CALIBRATORS[name](held_out, PRIOR).apply(held_out.logits)
    other = CALIBRATORS[name](turned, PRIOR).apply(turned.logits)
    torch.testing.assert_close(torch.softmax(one, 1)[:, order], torch.softmax(other, 1))


@pytest.mark.parametrize("name", ALL)
def test_a_constant_added_to_all_logits_of_a_case_changes_nothing(name):
    held_out = made(4)
    added = torch.randn(60, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = HeldOutLogits(
        held_out.logits + added, held_out.labels, held_out.weights, held_out.patients
    )
    one = CALIBRATORS[name](held_out, PRIOR).apply(held_out.logits)
    other = CALIBRATORS[name](moved, PRIOR).apply(moved.logits)
    torch.testing.assert_close(torch.softmax(one, 1), torch.softmax(other, 1))


@pytest.mark.parametrize("name", ["prior", "temperature", "vector", "dirichlet"])
def test_without_cases_it_is_the_temperature_that_the_prior_expects(name):
    found = CALIBRATORS[name](None, PRIOR)
    logits = made(5).logits
    assert torch.equal(found.apply(logits), logits / 1.6)


@pytest.mark.parametrize("name", ["vector", "dirichlet"])
def test_a_narrow_prior_leaves_the_probabilities_of_its_temperature(name):
    held_out = made(6)
    found = CALIBRATORS[name](held_out, LogNormalPrior(1.6, 1e-6)).apply(held_out.logits)
    torch.testing.assert_close(
        torch.softmax(found, 1), torch.softmax(held_out.logits / 1.6, 1), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("name", ["temperature", "vector", "dirichlet"])
def test_ten_cases_that_are_all_right_do_not_lead_to_certainty(name):
    logits = torch.tensor([[5.0, -5.0], [-5.0, 5.0]], dtype=torch.float64).repeat(5, 1)
    labels = torch.tensor([0, 1]).repeat(5)
    held_out = HeldOutLogits(logits, labels, torch.ones(10).double(), torch.arange(10))
    found = CALIBRATORS[name](held_out, LogNormalPrior(8.0, 0.4))
    assert torch.softmax(found.apply(logits), 1).max() < 0.95


@pytest.mark.parametrize("name", ALL)
def test_the_same_cases_give_the_same_bits(name):
    one, other = (CALIBRATORS[name](made(7), PRIOR).apply(made(7).logits) for _ in range(2))
    assert torch.equal(one, other)


def test_many_cases_give_the_calibration_that_made_them():
    rng = np.random.default_rng(0)
    z = torch.from_numpy(rng.normal(size=(6000, 3)) * 2)
    true = VectorScaling(
        torch.tensor(1.0).double(),
        torch.tensor([0.6, 1.4, 0.9]).double(),
        torch.tensor([0.8, -0.5, 0.0]).double(),
    )
    p = torch.softmax(true.apply(z), dim=1).numpy()
    labels = torch.tensor([rng.choice(3, p=row / row.sum()) for row in p])
    held_out = HeldOutLogits(z, labels, torch.ones(6000).double(), torch.arange(6000))
    found = fit_vector(held_out, LogNormalPrior(1.0, 10.0))
    fitted = torch.softmax(found.apply(z), dim=1).numpy()
    assert np.abs(fitted - p).mean() < 0.02
    raw = torch.softmax(z, dim=1).numpy()
    assert np.abs(raw - p).mean() > 0.06


def test_dirichlet_holds_the_temperature_as_a_special_case():
    z = made(8).logits
    identity = Dirichlet(torch.tensor(2.0).double(), torch.eye(3).double(), torch.zeros(3).double())
    torch.testing.assert_close(torch.softmax(identity.apply(z), 1), torch.softmax(z / 2, 1))


def test_every_kind_is_a_calibration():
    assert all(isinstance(fit(made(9), PRIOR), Calibration) for fit in CALIBRATORS.values())
    assert {type(fit(made(9), PRIOR)) for fit in CALIBRATORS.values()} == {
        kind for kind, _ in CALIBRATIONS.values()
    }
    assert torch.allclose(centred(made(9).logits).sum(dim=1), torch.zeros(60).double(), atol=1e-9)
    assert fit_dirichlet(None, PRIOR).temperature == 1.6
