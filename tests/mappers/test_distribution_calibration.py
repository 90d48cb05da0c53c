"""Borrowed Gaussians: the formula, its limit of many samples, and where base classes come from."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from medfs.core.errors import UsageError
from medfs.mappers.distribution_calibration import DistributionCalibration, discriminant

NAME = "distribution-calibration"


def _task(methods, shots=(3, 1, 4)):
    tasks = methods.task_batch(shots, n_tasks=1)
    return tasks.support[0], tasks.members[0], tasks.query[0]


@pytest.mark.parametrize("nearest", [1, 2, 4])
def test_it_is_the_formula_written_out(methods, nearest):
    """Case by case, class by class, with a matrix inverse."""
    mapper = methods.build(NAME, "none", nearest=nearest)
    x, members, query = _task(methods)
    theta = mapper.theta(x, members)
    known = mapper.base_known.numpy() > 0
    base, spreads = mapper.base_means.numpy()[known], mapper.base_spreads.numpy()[known]
    centres, covariance = [], np.zeros((6, 6))
    labels, weights = members.argmax(dim=1).numpy(), members.sum(dim=1).numpy()
    for row, weight in zip(x.numpy(), weights, strict=True):
        near = np.argsort(np.square(row - base).sum(axis=1))[:nearest]
        centres.append((row + base[near].sum(axis=0)) / (nearest + 1))
        variances = np.square(spreads[near]).mean(axis=0) + mapper.log_alpha.exp().item()
        covariance += weight * np.diag(variances)
    centres = np.array(centres)
    means = np.stack([centres[labels == k].mean(axis=0) for k in range(3)])
    for centre, label, weight in zip(centres, labels, weights, strict=True):
        covariance += weight * np.outer(centre - means[label], centre - means[label])
    scores = query.numpy() @ np.linalg.inv(covariance) @ means.T
    scores -= np.einsum("kf,fg,kg->k", means, np.linalg.inv(covariance), means) / 2
    scores *= mapper.log_scale.exp().item()
    np.testing.assert_allclose(theta(query).detach().numpy(), scores, rtol=1e-9, atol=1e-9)


def test_it_is_what_the_discriminant_of_many_samples_converges_to():
    """Samples of the Gaussians, as the paper draws them, and scikit-learn's discriminant."""
    rng = np.random.default_rng(0)
    centres, variances = rng.normal(size=(5, 3)), rng.uniform(0.5, 2, size=(5, 3))
    labels = np.array([0, 0, 0, 1, 1])
    share = np.where(labels == 0, 1 / 6, 1 / 4)
    members = torch.nn.functional.one_hot(torch.tensor(labels), 2) * torch.tensor(share)[:, None]
    ours = discriminant(torch.tensor(centres), torch.tensor(variances), members)
    of = np.repeat(np.arange(5), (share * 600_000).round().astype(int))
    samples = rng.normal(centres[of], np.sqrt(variances[of]))
    reference = LinearDiscriminantAnalysis(solver="lsqr").fit(samples, labels[of])
    difference = (ours.weight[1] - ours.weight[0]).numpy()
    np.testing.assert_allclose(difference, reference.coef_[0], rtol=0.02, atol=0.01)
    offset = float(ours.bias[1] - ours.bias[0])
    assert offset == pytest.approx(float(reference.intercept_[0]), abs=0.02)


def test_base_classes_are_those_of_the_tasks_of_meta_training(methods):
    """Mean and deviation of a class are over its cases in support and queries."""
    batch = methods.task_batch((2, 3), n_query=4, n_tasks=2)
    mapper = DistributionCalibration(6, base=8).double()
    mapper.fit_population([batch])
    assert mapper.base_known.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    support, query = batch.support[1], batch.query[1]
    own = torch.cat([support[batch.support_labels[1] == 1], query[batch.query_labels[1] == 1]])
    assert len(own) == 7
    np.testing.assert_allclose(mapper.base_means[3], own.numpy().mean(axis=0))
    np.testing.assert_allclose(mapper.base_spreads[3], own.numpy().std(axis=0))


def test_of_many_base_classes_different_ones_are_kept(methods):
    batches = [methods.task_batch((2, 3), n_tasks=5, seed=seed) for seed in (0, 1)]
    mapper = DistributionCalibration(6, base=8).double()
    mapper.fit_population(batches)
    assert bool(mapper.base_known.all())
    assert len(torch.unique(mapper.base_means, dim=0)) == 8


def test_a_base_class_that_is_not_known_lends_nothing(methods):
    x, members, query = _task(methods)
    mapper = methods.build(NAME, "none")
    one = mapper.theta(x, members)(query)
    mapper.base_means[:3] = x[0]
    torch.testing.assert_close(mapper.theta(x, members)(query), one, rtol=0, atol=0)
    mapper.base_known[:3] = 1
    assert not torch.allclose(mapper.theta(x, members)(query), one)


def test_it_goes_through_the_same_units_as_the_support(methods):
    """Other units of all features, statistics of base classes included, change nothing."""
    x, members, query = _task(methods)
    mapper = methods.build(NAME, "support")
    one = mapper.theta(x, members)(query)
    factor = torch.linspace(0.5, 40, 6, dtype=torch.float64)
    mapper.base_means.mul_(factor)
    mapper.base_spreads.mul_(factor)
    other = mapper.theta(x * factor, members)(query * factor)
    torch.testing.assert_close(other, one, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"embedding": "population", "hidden": 4}, "hidden layer"),
        ({"base": 2, "nearest": 3}, "3 of 2"),
        ({"nearest": 0}, "0 of 64"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(UsageError, match=said):
        DistributionCalibration(6, **settings)
