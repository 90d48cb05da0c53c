"""Every class and, in it, every patient weighs the same."""

import torch

from medfs.mappers.standardize import LIMIT, balanced_weights, standardize


def test_weights_are_equal_per_class_then_patient_then_case(tasks):
    weights = balanced_weights(tasks.support())
    expected = [1 / 12, 1 / 12, 1 / 6, 1 / 6, 1 / 12, 1 / 12, 1 / 6, 1 / 12, 1 / 12]
    torch.testing.assert_close(weights, torch.tensor(expected, dtype=torch.float64))


def test_a_patient_in_two_classes_weighs_in_both(tasks):
    weights = balanced_weights(tasks.support([[0.0]] * 4, [0, 0, 1, 1], [0, 1, 1, 1]))
    torch.testing.assert_close(weights, torch.tensor([0.25, 0.25, 0.25, 0.25], dtype=torch.float64))


def test_repeating_a_case_of_a_patient_changes_nothing(tasks):
    one = tasks.support([[1.0], [2.0], [5.0]], [0, 0, 1], [0, 1, 2])
    two = tasks.support([[1.0], [2.0], [2.0], [5.0]], [0, 0, 0, 1], [0, 1, 1, 2])
    for support in (one, two):
        mean = balanced_weights(support) @ support.features.joined()
        torch.testing.assert_close(mean, torch.tensor([3.25], dtype=torch.float64))


def test_mean_zero_and_spread_one_before_clipping():
    x = torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 7
    weights = torch.full((50,), 1 / 50, dtype=torch.float64)
    standardizer, _ = standardize(x, weights)
    free = (x - standardizer.mean) / standardizer.scale
    torch.testing.assert_close(free.mean(dim=0), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(free.square().mean(dim=0), torch.ones(4, dtype=torch.float64))


def test_values_are_clipped_at_the_limit():
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    standardizer, _ = standardize(x, torch.tensor([0.5, 0.5], dtype=torch.float64))
    far = standardizer(torch.tensor([[100.0], [-100.0]], dtype=torch.float64))
    assert far.flatten().tolist() == [LIMIT, -LIMIT]


def test_a_constant_feature_becomes_zero_even_with_rounding():
    x = torch.tensor([[0.1 + 0.2], [0.3], [0.3]], dtype=torch.float64)
    standardizer, z = standardize(x, torch.full((3,), 1 / 3, dtype=torch.float64))
    assert standardizer.scale.tolist() == [1.0]
    assert z.tolist() == [[0.0]] * 3
