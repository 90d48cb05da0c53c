"""Every closed form against its formula, written out in NumPy or scikit-learn.

Ridge has a file of its own (`test_ridge.py`); so have inner loops (`test_inner_loop.py`).
"""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as ReferenceRidge

from medfs.core.theta import UnitLength
from medfs.mappers.base import query_logits
from medfs.mappers.hyper import Hyper
from medfs.mappers.r2d2 import R2D2
from medfs.mappers.relation import Relation

SEEN = ("none", "support", "population", "population-hidden")
SHOTS = ((3, 3), (1, 4), (5, 2, 3))


def _task(methods, shots, seed=0):
    """Support, membership and query of one task."""
    tasks = methods.task_batch(shots, n_tasks=1, seed=seed)
    return tasks.support[0], tasks.members[0], tasks.query[0]


def _unequal(members):
    """Weights that differ within a class, as cases of one patient have, classes summing alike."""
    factors = 1 + torch.arange(len(members), dtype=members.dtype)[:, None] % 3
    changed = members * factors
    return changed / changed.sum(dim=0) / members.shape[1]


def _seen(mapper, theta, *rows):
    """Features in front of the head, as NumPy."""
    return [theta.embed(x).detach().numpy() for x in rows]


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("shots", SHOTS)
def test_r2d2_is_scikit_learns_ridge_on_class_codes(methods, seen, shots):
    mapper = methods.build("r2d2", seen)
    x, members, query = _task(methods, shots)
    members = _unequal(members)
    theta = mapper.theta(x, members)
    z, q = _seen(mapper, theta, x, query)
    weights = members.sum(dim=1).numpy()
    codes = (members > 0).double().numpy() - 1 / len(shots)
    # Σ w |…|² + λ/n |W|² with n = 1 / Σ w².
    penalty = mapper.log_penalty.exp().item() * mapper.n_features * float((weights**2).sum())
    reference = ReferenceRidge(alpha=penalty, solver="cholesky")
    reference.fit(z, codes, sample_weight=weights)
    expected = mapper.log_scale.exp().item() * reference.predict(q)
    np.testing.assert_allclose(theta(query).detach().numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("shots", SHOTS)
def test_simple_cnaps_is_the_papers_formula(methods, seen, shots):
    mapper = methods.build("simple-cnaps", seen)
    x, members, query = _task(methods, shots)
    theta = mapper.theta(x, members)
    z, q = _seen(mapper, theta, x, query)
    labels = members.argmax(dim=1).numpy()
    # Covariance of the task: of a case as likely as its class, and each class is as likely.
    task = np.cov(z.T, aweights=members.sum(dim=1).numpy(), ddof=0)
    beta, scale = mapper.log_ridge.exp().item(), mapper.log_scale.exp().item()
    expected = np.empty((len(q), len(shots)))
    for k, n in enumerate(shots):
        of_class = z[labels == k]
        offsets = of_class - of_class.mean(axis=0)
        own = n / (n + 1)
        covariance = own * offsets.T @ offsets / n + (1 - own) * task + beta * np.eye(z.shape[1])
        away = q - of_class.mean(axis=0)
        distances = np.einsum("qf,fg,qg->q", away, np.linalg.inv(covariance), away)
        expected[:, k] = -scale * distances / 2
    np.testing.assert_allclose(theta(query).detach().numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("shots", SHOTS)
def test_simpleshot_is_the_cosine_to_the_mean_of_unit_vectors(methods, seen, shots):
    mapper = methods.build("simpleshot", seen)
    x, members, query = _task(methods, shots)
    theta = mapper.theta(x, members)
    assert isinstance(theta.steps[-1], UnitLength)
    for step in theta.steps[:-1]:
        x, query = step(x), step(query)
    z, q = (t.detach().numpy() for t in (x, query))
    z, q = (t / np.linalg.norm(t, axis=1, keepdims=True) for t in (z, q))
    labels = members.argmax(dim=1).numpy()
    means = np.stack([z[labels == k].mean(axis=0) for k in range(len(shots))])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    expected = mapper.log_factor.exp().item() * q @ means.T
    logits = theta.head(theta.steps[-1](query)).detach().numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("shots", SHOTS)
def test_prototypes_are_weighted_means_and_logits_minus_distances(methods, seen, shots):
    mapper = methods.build("prototype", seen)
    x, members, query = _task(methods, shots)
    members = _unequal(members)
    theta = mapper.theta(x, members)
    z, q = _seen(mapper, theta, x, query)
    means = np.stack([np.average(z, axis=0, weights=m) for m in members.T.numpy()])
    distances = np.square(q[:, None] - means).sum(axis=2)
    scale = 1.0 if seen == "support" else mapper.log_scale.exp().item()
    logits = theta(query).detach().numpy()
    # What all classes share is left out of the logits.
    expected = -scale * (distances - np.square(q).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shots", SHOTS)
def test_relation_begins_as_minus_the_mean_absolute_difference(methods, shots):
    x, members, query = _task(methods, shots)
    logits = Relation(6, "none").double().theta(x, members)(query).detach().numpy()
    labels = members.argmax(dim=1).numpy()
    means = np.stack([x.numpy()[labels == k].mean(axis=0) for k in range(len(shots))])
    expected = -np.abs(query.numpy()[:, None] - means).mean(axis=2)
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-7)


def test_hyper_begins_as_ridge(methods):
    """Where nothing was learned, θ is that of r2d2 with the same penalty and scale."""
    tasks = methods.task_batch((3, 1, 5))
    asked = (tasks.support, tasks.members, tasks.query)
    for seen in ("none", "support", "population"):
        fresh, ridge = Hyper(6, seen).double(), R2D2(6, seen).double()
        torch.testing.assert_close(
            query_logits(fresh, *asked), query_logits(ridge, *asked), rtol=1e-10, atol=1e-10
        )


def test_hyper_moves_away_from_ridge_when_it_is_trained(methods):
    tasks = methods.task_batch((3, 1, 5))
    asked = (tasks.support, tasks.members, tasks.query)
    one, other = (query_logits(methods.build(n, "none"), *asked) for n in ("hyper", "r2d2"))
    assert float((one - other).detach().abs().max()) > 0.1
