"""A richer calibrator is taken only where held-out patients clearly bear it out."""

import math

import pytest
import torch

from medfs.calibration.choice import (
    AUTO,
    CALIBRATORS,
    PRIOR,
    calibrate,
    cross_validated,
    patient_groups,
)
from medfs.calibration.held_out import HeldOutLogits
from medfs.calibration.temperature import LogNormalPrior
from medfs.core.errors import UsageError

EXPECTED = LogNormalPrior(1.0, 0.4)


def drawn(n, scale=(1.0, 1.0), bias=0.0, seed=0, per_patient=1):
    """Logits whose right calibration is `scale` ⊙ z + (0, bias)."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 2, generator=g, dtype=torch.float64) * 2
    true = torch.tensor(scale).double() * z + torch.tensor([0.0, bias]).double()
    labels = torch.multinomial(torch.softmax(true, 1), 1, generator=g).squeeze(1)
    return HeldOutLogits(z, labels, torch.ones(n).double(), torch.arange(n) // per_patient)


def test_few_cases_keep_the_mappers_own_temperature():
    chosen = [calibrate(drawn(20, seed=s), EXPECTED, AUTO).name for s in range(10)]
    assert chosen.count(PRIOR) >= 9


def test_many_cases_with_another_temperature_are_believed():
    found = calibrate(drawn(400, scale=(0.3, 0.3)), EXPECTED, AUTO)
    assert found.name == "temperature"
    assert 2 < found.calibration.temperature.item() < 4


def test_many_cases_with_a_bias_need_more_than_a_temperature():
    assert calibrate(drawn(400, bias=2.0), EXPECTED, AUTO).name == "vector"


@pytest.mark.parametrize("seed", range(8))
def test_what_is_chosen_is_never_worse_than_leaving_it_alone_and_richer_only_by_odds(seed):
    held_out = drawn(60, scale=(0.5, 0.9), bias=seed / 4, seed=seed)
    found = calibrate(held_out, EXPECTED, AUTO)
    alone = cross_validated(CALIBRATORS[PRIOR], held_out, EXPECTED)
    assert found.log_likelihood == cross_validated(CALIBRATORS[found.name], held_out, EXPECTED)
    assert found.log_likelihood >= alone
    if found.name != PRIOR:
        assert found.log_likelihood - alone > math.log(20)
        assert "left-out patients" in found.reason


def test_a_calibrator_that_is_named_is_used():
    for name in CALIBRATORS:
        assert calibrate(drawn(30), EXPECTED, name).name == name
        assert calibrate(None, EXPECTED, name).log_likelihood is None
    assert calibrate(None, EXPECTED, AUTO).name == PRIOR


def test_an_unknown_calibrator_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="dirichlet"):
        calibrate(None, EXPECTED, "isotonic")


def test_a_patient_is_never_calibrated_by_itself():
    held_out = drawn(40, per_patient=4)
    seen = []

    def remember(rest, prior):
        seen.append(set(rest.patients.tolist()))
        return CALIBRATORS[PRIOR](rest, prior)

    cross_validated(remember, held_out, EXPECTED)
    groups = patient_groups(held_out)
    assert len(seen) == int(groups.max()) + 1
    for number, others in enumerate(seen):
        own = set(held_out.patients[groups == number].tolist())
        assert own
        assert not own & others
        assert own | others == set(range(10))


def test_swapping_the_classes_swaps_nothing_in_the_choice():
    held_out = drawn(60, bias=1.0)
    turned = HeldOutLogits(
        held_out.logits.flip(1), 1 - held_out.labels, held_out.weights, held_out.patients
    )
    for calibrator in CALIBRATORS.values():
        assert cross_validated(calibrator, held_out, EXPECTED) == pytest.approx(
            cross_validated(calibrator, turned, EXPECTED), abs=1e-8
        )
