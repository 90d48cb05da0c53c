"""The guard of a support set: laws, references, and false alarms in simulation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage

from medfs.calibration import guard as made
from medfs.calibration.guard import foreign_cases, learn_guard
from medfs.core.episodes import SupportSet
from medfs.core.features import Features
from medfs.core.guards import N_OF_TISSUE, joined
from medfs.core.measured import MEASURES, Measured


def measured(n, seed, modality="CT"):
    values = torch.randn(
        n, len(MEASURES), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return [Measured(v, modality) for v in values]


def judge(guard, block, seen):
    verdicts = [guard(Features({"made": row[None]}), m) for row, m in zip(block, seen, strict=True)]
    return np.array([v.excess for v in verdicts]), verdicts


def excesses(support, seen, block, new):
    return judge(learn_guard(support, seen), block, new)[0]


@pytest.fixture
def drawn(support):
    generator = torch.Generator().manual_seed(3)
    block = 2 * torch.randn(15, 8, generator=generator, dtype=torch.float64)
    return support(0, n_patients=10, gap=2.0), measured(20, 1), block, measured(15, 2)


def test_the_order_of_cases_and_classes_changes_nothing(drawn):
    support, seen, block, new = drawn
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    mixed = replace(support.subset(order), labels=1 - support.labels[order])
    again = excesses(mixed, [seen[i] for i in order], block, new)
    np.testing.assert_allclose(again, excesses(*drawn), rtol=1e-9)


def test_units_of_features_change_nothing(drawn):
    support, seen, block, new = drawn
    scale, shift = torch.logspace(-3, 3, 8).double(), torch.linspace(-50, 50, 8).double()
    scaled = replace(
        support, features=Features({"made": support.features.joined() * scale + shift})
    )
    again = excesses(scaled, seen, block * scale + shift, new)
    np.testing.assert_allclose(again, excesses(*drawn), rtol=1e-6)


def test_a_number_that_hardly_varies_in_the_support_does_not_count(drawn):
    support, seen, block, new = drawn
    rare = torch.zeros(20, 1, dtype=torch.float64)
    rare[4] = 1
    wider = replace(
        support, features=Features({"made": torch.cat([support.features.joined(), rare], 1)})
    )
    far = torch.full((15, 1), 1e6, dtype=torch.float64)
    again = excesses(wider, seen, torch.cat([block, far], 1), new)
    np.testing.assert_allclose(again, excesses(*drawn), rtol=1e-9)


def test_shrinkage_is_that_of_scikit_learn():
    z = torch.randn(20, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = z * torch.logspace(-1, 1, 30).double()
    expected = ledoit_wolf_shrinkage(z.numpy(), assume_centered=True)
    assert expected > 0.1
    assert float(made._shrinkage(z)) == pytest.approx(expected, rel=1e-9)


def test_distance_is_that_of_the_dense_covariance(drawn):
    support, seen, block, new = drawn
    near = learn_guard(support, seen).near
    assert near is not None
    n = len(near.middle)
    basis, rest = near.directions.numpy(), float(near.rest)
    dense = rest * np.eye(n) + basis.T @ np.diag(near.variances.numpy() - rest) @ basis
    rows = joined(block, torch.stack([m.values for m in new])).numpy()
    z = (rows - near.middle.numpy()) * near.rate.numpy()
    u = (5 * np.tanh(z / 5))[:, None] - near.centres.numpy()
    gaps = u / near.within.numpy()
    squared = np.einsum("qcn,nm,qcm->qc", gaps, np.linalg.inv(dense), gaps).min(1)
    found = near.distance(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(found, np.sqrt(squared / n), rtol=1e-9)


@pytest.mark.parametrize("tails", ["normal", "heavy"])
@pytest.mark.parametrize("per_class", [4, 10])
def test_at_most_a_tenth_of_scans_of_the_same_kind_raise_an_alarm(per_class, tails):
    rng = np.random.default_rng(per_class)
    rates = []
    mixing = rng.normal(size=(12 + len(MEASURES),) * 2)
    for _ in range(25):
        n = 2 * per_class
        rows = rng.normal(size=(n + 40, len(mixing)))
        if tails == "heavy":
            rows /= np.sqrt(rng.chisquare(5, size=(n + 40, 1)) / 5)
        rows = torch.from_numpy(rows @ mixing)
        block, seen = rows[:, :12], [Measured(v, None) for v in rows[:, 12:]]
        labels = torch.arange(n) % 2
        support = SupportSet(Features({"made": block[:n]}), labels, torch.arange(n), ("a", "b"))
        _, verdicts = judge(learn_guard(support, seen[:n]), block[n:], seen[n:])
        rates.append(np.mean([not v.familiar for v in verdicts]))
    assert np.mean(rates) <= 0.1
    assert np.mean(rates) > 0  # a guard that never speaks would pass as well


def test_what_lies_far_off_is_unfamiliar(drawn):
    support, seen, block, new = drawn
    guard = learn_guard(support, seen)
    near, _ = judge(guard, support.features.joined(), seen)
    far, _ = judge(guard, block + 12, new)
    assert near.max() < 1 < far.min()


def test_copies_of_a_patient_do_not_vouch_for_each_other(support):
    """Ten scans of every patient, all but the same: distances are between patients."""
    lone = support(0, n_patients=6)
    copies = lone.subset(torch.arange(12).repeat_interleave(10))
    jitter = 1e-3 * torch.randn(120, 8, generator=torch.Generator().manual_seed(1)).double()
    many = replace(copies, features=Features({"made": copies.features.joined() + jitter}))
    seen = [m for m in measured(12, 1) for _ in range(10)]
    fresh = torch.randn(40, 8, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    found = excesses(many, seen, fresh, measured(40, 7))
    assert np.mean(found > 1) < 0.2


@pytest.mark.parametrize("n_patients", [1, 2])
def test_very_few_cases_leave_the_distance_open(support, n_patients):
    guard = learn_guard(support(0, n_patients=n_patients), measured(2 * n_patients, 1))
    assert guard.near is None
    _, (verdict,) = judge(guard, torch.zeros(1, 8).double(), measured(1, 2, modality="MR"))
    assert (verdict.modality, verdict.excess, verdict.familiar) == ("MR", None, False)


def test_a_modality_that_nobody_names_is_no_reason(drawn):
    support, seen, block, _ = drawn
    guard = learn_guard(support, seen)
    for modality, foreign in (("CT", None), (None, None), ("PT", "PT")):
        _, (verdict,) = judge(guard, block[:1], measured(1, 2, modality))
        assert verdict.modality == foreign
    silent = learn_guard(support, [replace(m, modality=None) for m in seen])
    _, (verdict,) = judge(silent, block[:1], measured(1, 2, "PT"))
    assert verdict.modality is None


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_single_number_far_out_of_range_is_told(drawn, name, sign):
    support, seen, block, _ = drawn
    values = seen[0].values.clone()
    values[MEASURES.index(name)] += 30 * sign
    _, (verdict,) = judge(learn_guard(support, seen), block[:1], [Measured(values, "CT")])
    assert [b.measure for b in verdict.beyond] == [name]
    assert not verdict.checked


@pytest.mark.parametrize(("usual", "told"), [((0.9,), True), ((0.1,), True), ((0.1, 0.9), False)])
def test_a_region_that_does_not_stand_out_is_told_where_findings_do(drawn, usual, told):
    """Bright findings or dark ones; where both occur, what lies between is in their range."""
    support, seen, block, _ = drawn
    rng = np.random.default_rng(0)
    for i, m in enumerate(seen):
        m.values[-1] = usual[i % len(usual)] + 0.05 * rng.normal()
    values = seen[0].values.clone()
    values[-1] = 0.5
    _, (verdict,) = judge(learn_guard(support, seen), block[:1], [Measured(values, "CT")])
    assert ([b.measure for b in verdict.beyond] == ["brighter"]) == told


def test_a_foreign_support_case_is_found_and_no_other(drawn):
    support, seen, *_ = drawn
    assert foreign_cases(support, seen) == {}
    block = support.features.joined().clone()
    block[7] += 15
    found = foreign_cases(replace(support, features=Features({"made": block})), seen)
    assert list(found) == [7]
    seen[3] = replace(seen[3], modality="MR")
    assert foreign_cases(support, seen)[3].modality == "MR"


def test_numbers_of_the_space_are_counted():
    assert joined(torch.zeros(1, 8), torch.zeros(1, len(MEASURES))).shape == (1, 8 + N_OF_TISSUE)
