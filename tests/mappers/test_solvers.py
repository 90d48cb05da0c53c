"""The linear probe and the support vector machine against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from medfs.mappers.linear_probe import LinearProbe, logistic
from medfs.mappers.svm import crammer_singer

SEEN = ("none", "support", "population", "population-hidden")
SHOTS = ((1, 1), (3, 3), (1, 4), (5, 2, 3), (2, 7, 1, 4, 3))


def _reference(z, members, C, query):
    """Log probabilities of scikit-learn, its case weights such that `C` is that of equal cases."""
    weights = members.sum(dim=1).numpy()
    fitted = LogisticRegression(C=C, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    fitted.fit(z, members.argmax(dim=1).numpy(), sample_weight=weights / np.square(weights).sum())
    return fitted.predict_log_proba(query)


def _unequal(members):
    """As cases of one patient have: weights that differ within a class."""
    changed = members * (1 + torch.arange(len(members), dtype=members.dtype)[:, None] % 3)
    return changed / changed.sum(dim=0) / members.shape[1]


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("shots", SHOTS)
def test_it_is_scikit_learns_logistic_regression(methods, seen, shots):
    mapper = methods.build("linear-probe", seen)
    tasks = methods.task_batch(shots, n_tasks=1)
    x, members, query = tasks.support[0], _unequal(tasks.members[0]), tasks.query[0]
    theta = mapper.theta(x, members)
    z, q = (theta.embed(rows).detach().numpy() for rows in (x, query))
    expected = _reference(z, members, 1 / mapper.log_penalty.exp().item(), q)
    ours = theta(query).log_softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_it_converges_wherever_the_features_lie(methods, scale, penalty):
    """Far from the origin, with hardly any penalty, Newton's method alone diverges.

    So does scikit-learn's; that the loss is flat where it ends is proof, for it is convex.
    """
    tasks = methods.task_batch((4, 2, 6), n_tasks=1)
    x, members = scale * (tasks.support[0] + 5), tasks.members[0]
    found = logistic(x, members, torch.tensor(penalty, dtype=torch.float64))
    weight, bias = (t.detach().requires_grad_() for t in (found.weight, found.bias))
    share = members.sum(dim=1).square().sum()
    loss = penalty * share * weight.square().sum() / 2
    loss = loss - (members * (x @ weight.T + bias).log_softmax(dim=1)).sum()
    for slope in torch.autograd.grad(loss, (weight, bias)):
        assert float(slope.abs().max()) < 1e-7 * scale


def test_a_setting_is_the_penalty_it_starts_from(methods):
    tasks = methods.task_batch((3, 3), n_tasks=1)
    x, members, query = tasks.support[0], tasks.members[0], tasks.query[0]
    theta = LinearProbe(6, "none", C=0.03).double().theta(x, members)
    ours = theta(query).log_softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(ours, _reference(x.numpy(), members, 0.03, query), rtol=1e-5)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("shots", SHOTS)
def test_svm_is_scikit_learns_machine_of_crammer_and_singer(methods, seen, shots):
    mapper = methods.build("svm", seen)
    tasks = methods.task_batch(shots, n_tasks=1)
    x, members = tasks.support[0], _unequal(tasks.members[0])
    theta = mapper.theta(x, members)
    ours = theta.head.weight.detach().numpy() / mapper.log_scale.exp().item()
    expected = _machine(theta.embed(x), members, mapper.log_price.exp().item())
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("price", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_svm_converges_at_every_price(methods, price, scale):
    tasks = methods.task_batch((4, 2, 6), n_tasks=1)
    x, members = scale * (tasks.support[0] + 1), tasks.members[0]
    ours = crammer_singer(x, members, torch.tensor(price, dtype=torch.float64))
    np.testing.assert_allclose(ours, _machine(x, members, price), rtol=1e-4, atol=1e-4)


def _machine(z, members, price):
    """Weights of every class; for two classes scikit-learn keeps their difference alone."""
    weights = members.sum(dim=1).numpy()
    machine = LinearSVC(
        C=price, multi_class="crammer_singer", fit_intercept=False, tol=1e-10, max_iter=1_000_000
    )
    machine.fit(
        z.detach().numpy(),
        members.argmax(dim=1).numpy(),
        sample_weight=weights / np.square(weights).sum(),
    )
    coefficients = machine.coef_
    if len(coefficients) == 1:
        return np.concatenate([-coefficients / 2, coefficients / 2])
    return coefficients
