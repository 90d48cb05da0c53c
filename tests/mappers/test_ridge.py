"""Ridge against scikit-learn, and its shortcut for leaving patients out against explicit refits."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as ReferenceRidge

from medfs.core.episodes import SupportSet
from medfs.core.features import Features
from medfs.mappers.ridge import Ridge, _Basis, block_weights
from medfs.mappers.standardize import balanced_weights, standardize


def classified(support):
    return Ridge(support.features.joined().shape[1])(support)


TASKS = [(0, 30, 2, 5), (1, 6, 2, 4), (2, 30, 3, 4), (3, 3, 4, 3)]


def _parts(support):
    """Standardised features, weights and class codes."""
    weights = balanced_weights(support)
    _, x = standardize(support.features.joined().double(), weights)
    members = torch.nn.functional.one_hot(support.labels, support.n_way).double()
    return x.numpy(), weights.numpy(), (members - 1 / support.n_way).numpy()


def _refits(x, weights, codes, patients, penalty):
    """Weighted squared error of each patient's cases, predicted by a ridge on all others."""
    error = 0.0
    for patient in np.unique(patients):
        out = patients == patient
        model = ReferenceRidge(alpha=penalty, fit_intercept=False, solver="cholesky")
        model.fit(x[~out], codes[~out], sample_weight=weights[~out])
        error += float((weights[out, None] * (codes[out] - model.predict(x[out])) ** 2).sum())
    return error


def _ratio(one, other):
    """The factor between two arrays that are proportional."""
    return float((one * other).sum() / (other * other).sum())


def _total(x, weights):
    return float((weights[:, None] * x**2).sum())


@pytest.mark.parametrize("task", TASKS)
def test_left_out_errors_equal_explicit_refits_for_every_penalty(tasks, task):
    seed, n_features, n_way, n_patients = task
    support = tasks.random_support(seed, n_features, n_way, n_patients)
    x, weights, codes = _parts(support)
    root = torch.from_numpy(weights).sqrt()[:, None]
    basis = _Basis(root * torch.from_numpy(x), root * torch.from_numpy(codes))
    penalties = Ridge(1).grid * basis.total
    errors = basis.left_out_error(penalties, support.patients)
    patients = support.patients.numpy()
    expected = [_refits(x, weights, codes, patients, float(p)) for p in penalties]
    np.testing.assert_allclose(errors.numpy(), expected, rtol=1e-8)


@pytest.mark.parametrize("task", TASKS)
def test_coefficients_equal_those_of_scikit_learn_at_the_chosen_penalty(tasks, task):
    seed, n_features, n_way, n_patients = task
    support = tasks.random_support(seed, n_features, n_way, n_patients)
    x, weights, codes = _parts(support)
    penalties = Ridge(1).grid.numpy() * _total(x, weights)
    patients = support.patients.numpy()
    errors = [_refits(x, weights, codes, patients, p) / n_way for p in penalties]
    best = int(np.argmin(errors))
    model = ReferenceRidge(alpha=penalties[best], fit_intercept=False, solver="cholesky")
    model.fit(x, codes, sample_weight=weights)
    head = classified(support).theta.head
    noise = _ratio(model.coef_, head.weight.numpy())
    np.testing.assert_allclose(head.weight.numpy() * noise, model.coef_, rtol=0, atol=1e-8)
    assert not head.bias.any()
    # The noise lies between the error by leaving patients out and that of a guess.
    low, high = sorted([errors[best], (1 - 1 / n_way) / n_way])
    assert low <= noise <= high


def test_class_codes_weigh_to_zero_so_that_no_intercept_is_needed(tasks):
    support = tasks.random_support(5, n_way=3)
    _, weights, codes = _parts(support)
    np.testing.assert_allclose(weights @ codes, 0, atol=1e-12)


def test_pure_noise_takes_the_largest_penalty(tasks):
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(40, 5, generator=generator, dtype=torch.float64).tolist()
    support = tasks.support(rows, [0, 1] * 20, list(range(40)))
    x, weights, codes = _parts(support)
    penalties = Ridge(1).grid.numpy() * _total(x, weights)
    errors = [_refits(x, weights, codes, support.patients.numpy(), p) for p in penalties]
    assert int(np.argmin(errors)) == len(penalties) - 1
    assert torch.isfinite(classified(support).theta.head.weight).all()


def test_separated_classes_take_the_smallest_penalty(tasks):
    generator = torch.Generator().manual_seed(0)
    labels = [0, 1] * 10
    rows = torch.tensor(labels)[:, None] * 4.0 + 0.01 * torch.randn(20, 1, generator=generator)
    support = tasks.support(rows.double().tolist(), labels, list(range(20)))
    x, weights, codes = _parts(support)
    penalties = Ridge(1).grid.numpy() * _total(x, weights)
    errors = [_refits(x, weights, codes, support.patients.numpy(), p) for p in penalties]
    assert int(np.argmin(errors)) == 0
    logits = classified(support).logits(support.features)
    assert logits.argmax(dim=1).tolist() == labels


def test_one_patient_per_class_uses_the_total_variance_as_penalty(tasks):
    support = tasks.support([[0.0, 1.0], [1.0, 3.0], [1.1, 3.0]], [0, 1, 1], [0, 1, 1])
    x, weights, codes = _parts(support)
    model = ReferenceRidge(alpha=_total(x, weights), fit_intercept=False, solver="cholesky")
    model.fit(x, codes, sample_weight=weights)
    # The noise is that of a guess, (1 − 1/N) / N.
    np.testing.assert_allclose(
        classified(support).theta.head.weight.numpy() * 0.25, model.coef_, atol=1e-10
    )


def test_one_patient_with_cases_in_both_classes_still_gives_a_classifier(tasks):
    support = tasks.support([[0.0], [1.0]], [0, 1], [7, 7])
    assert torch.isfinite(classified(support).logits(support.features)).all()


def test_features_without_any_spread_give_equal_logits(tasks):
    for patients in ([0, 1, 2, 3], [0, 0, 1, 1]):
        support = tasks.support([[2.0, 2.0]] * 4, [0, 0, 1, 1], patients)
        assert not classified(support).logits(support.features).any()


def test_a_constant_feature_has_no_say(tasks):
    varied = tasks.support([[0.0], [0.2], [1.0], [1.1]], [0, 0, 1, 1], [0, 1, 2, 3])
    with_constant = tasks.support(
        [[0.0, 5.0], [0.2, 5.0], [1.0, 5.0], [1.1, 5.0]], [0, 0, 1, 1], [0, 1, 2, 3]
    )
    one = classified(varied).logits(tasks.features([[0.9]]))
    other = classified(with_constant).logits(tasks.features([[0.9, 6.0]]))
    torch.testing.assert_close(one, other)


def in_blocks(support, *blocks):
    """The same cases with other features: columns of the first block, by numbers, in each block."""
    rows = support.features.joined()
    made = {f"block-{i}": rows[:, list(columns)] for i, columns in enumerate(blocks)}
    return SupportSet(Features(made), support.labels, support.patients, support.class_names)


def test_a_single_block_weighs_one(tasks):
    assert block_weights(tasks.support().features).tolist() == [1.0] * 4


def test_a_block_that_is_written_twice_weighs_no_more(tasks):
    support = tasks.random_support(4, n_features=7, n_way=3)
    once = in_blocks(support, range(4), range(4, 7))
    twice = in_blocks(support, range(4), [4, 5, 6] * 5)
    torch.testing.assert_close(
        classified(once).logits(once.features), classified(twice).logits(twice.features)
    )


def test_blocks_share_the_variance_alike(tasks):
    support = in_blocks(tasks.random_support(4, n_features=12), range(2), range(2, 12))
    weights = balanced_weights(support)
    _, x = standardize(support.features.joined().double(), weights)
    shares = (weights[:, None] * (x * block_weights(support.features)).square()).sum(dim=0)
    assert float(shares[:2].sum() / shares.sum()) == pytest.approx(0.5, abs=0.05)
    plain = (weights[:, None] * x.square()).sum()
    assert float(shares.sum() / plain) == pytest.approx(1, abs=0.05)


def test_coefficients_of_blocks_equal_those_of_scikit_learn_on_weighed_features(tasks):
    support = in_blocks(tasks.random_support(6, n_features=9, n_patients=1), range(3), range(3, 9))
    x, weights, codes = _parts(support)
    gains = np.sqrt(np.array([1.5] * 3 + [0.75] * 6))
    model = ReferenceRidge(alpha=_total(x * gains, weights), fit_intercept=False, solver="cholesky")
    model.fit(x * gains, codes, sample_weight=weights)
    found = classified(support).theta.head.weight.numpy() * 0.25
    np.testing.assert_allclose(found, model.coef_ * gains, atol=1e-10)
