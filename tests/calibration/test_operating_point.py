"""Thresholds that promise a sensitivity, and the classes that left-out cases are given."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.calibration.held_out import HeldOutLogits, held_out_logits
from medfs.calibration.operating_point import operating_point, recalls
from medfs.core.calibration import Temperature
from medfs.core.errors import CalibrationError
from medfs.mappers.ridge import Ridge

NAMES = ("benign", "malignant")


def held_out(scores, positive):
    """One prediction per patient; the score is the logit of the second class."""
    logits = torch.stack([torch.zeros(len(scores)), torch.tensor(scores)], dim=1).double()
    labels = torch.tensor(positive).long()
    weights = torch.ones(len(scores), dtype=torch.float64)
    return HeldOutLogits(logits, labels, weights, torch.arange(len(scores)))


@pytest.fixture
def plain():
    return Temperature(torch.tensor(1.0, dtype=torch.float64))


def test_the_promise_holds_for_new_patients(plain):
    """Split conformal: P(new score ≥ k-th lowest of n) = 1 − k / (n + 1), over many studies."""
    generator = torch.Generator().manual_seed(0)
    reached, n, studies = 0, 9, 4000
    for _ in range(studies):
        scores = torch.randn(n + 1, generator=generator).tolist()
        point = operating_point(
            held_out([*scores[:n], -1.0, 0.3], [1] * n + [0, 0]), plain, NAMES, "malignant", 0.8
        )
        reached += torch.sigmoid(torch.tensor(scores[n]).double()).item() >= point.threshold
    assert 0.78 <= reached / studies <= 0.82


@given(st.integers(2, 12), st.floats(0.05, 0.99))
def test_what_n_patients_cannot_promise_is_refused(n, target):
    plain = Temperature(torch.tensor(1.0, dtype=torch.float64))
    made = held_out([float(i) for i in range(n)] + [0.5, 1.5], [1] * n + [0, 0])
    if target > n / (n + 1):
        with pytest.raises(CalibrationError, match="cannot be promised"):
            operating_point(made, plain, NAMES, "malignant", target)
        return
    point = operating_point(made, plain, NAMES, "malignant", target)
    assert point.sensitivity.value >= target - 1e-9
    assert point.sensitivity.low <= point.sensitivity.value <= point.sensitivity.high
    assert (point.sensitivity.patients, point.specificity.patients) == (n, 2)


def test_a_higher_target_never_raises_the_threshold(plain):
    made = held_out([0.1, 0.5, 0.9, 1.3, 2.0, -0.4, 0.2], [1, 1, 1, 1, 1, 0, 0])
    thresholds = [
        operating_point(made, plain, NAMES, "malignant", t).threshold for t in (0.2, 0.5, 0.8)
    ]
    assert thresholds == sorted(thresholds, reverse=True)


def test_nothing_held_out_promises_nothing(plain):
    with pytest.raises(CalibrationError, match="at most none"):
        operating_point(None, plain, NAMES, "malignant", 0.5)
    with pytest.raises(CalibrationError, match="cannot be set"):
        operating_point(None, plain, NAMES, "mal", 0.5)
    with pytest.raises(CalibrationError, match="cannot be set"):
        operating_point(None, plain, NAMES, "malignant", 1.0)


def test_recall_counts_every_patient_once(support):
    made = support(0, n_patients=6, gap=2.0, cases_per_patient=3)
    found = recalls(
        held_out_logits(made, Ridge(8), 0),
        Temperature(torch.tensor(1.0, dtype=torch.float64)),
        made.class_names,
    )
    for share in found.values():
        assert share.patients == 6
        assert 0 <= share.low <= share.value <= share.high <= 1
        assert share.value > 0.5
