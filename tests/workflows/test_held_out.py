"""Held-out probabilities come from classifiers that never saw the patient."""

from dataclasses import replace

import pytest
import torch

from medfs.core.episodes import SupportSet
from medfs.core.features import Features
from medfs.mappers.ridge import Ridge
from medfs.workflows.fit import fit
from medfs.workflows.held_out import held_out, held_out_probabilities
from medfs.workflows.recipes import Recipe

PATIENTS = [0, 0, 1, 2, 3, 4, 5, 6]
LABELS = [0, 0, 0, 0, 1, 1, 1, 0]


def noise(labels=LABELS, patients=PATIENTS, seed=0) -> SupportSet:
    rows = torch.randn(len(labels), 5, generator=torch.Generator().manual_seed(seed))
    return SupportSet(
        Features({"x": rows}), torch.tensor(labels), torch.tensor(patients), ("a", "b")
    )


class Spy:
    """Ridge that remembers which supports it was shown."""

    def __init__(self) -> None:
        self.mapper, self.shown = Ridge(5).double(), []

    def __call__(self, support: SupportSet):
        self.shown.append(support)
        return self.mapper(support)


def fitted(support: SupportSet, spy: Spy):
    done = fit(support, Recipe("ridge", "ridge", spy, "test"), 0)
    spy.shown.clear()
    return done


def test_no_classifier_has_seen_the_patient():
    """A patient whose cases are moved far away moves no classifier that judges it."""
    support, spy = noise(), Spy()
    done = fitted(support, spy)
    told = held_out_probabilities(support, done, 0)
    mean = torch.zeros_like(told)
    count = torch.zeros(len(told), 1)
    # Mappers run once for the calibrator's logits and once for each fold: look at all of them.
    for shown in spy.shown[len(spy.shown) // 2 :]:
        out = ~torch.isin(support.patients, shown.patients)
        assert bool(out.any())
        mean[out] += replace(done.calibrated, classifier=spy.mapper(shown)).predict_proba(
            support.features[out]
        )
        count[out] += 1
    assert bool((count > 0).all())
    # The calibration of "prior" does not depend on logits, so these are the very same numbers.
    assert done.calibrator.name == "prior"
    torch.testing.assert_close(told, mean / count)


def test_on_noise_they_are_worse_than_on_cases_that_were_seen():
    right, seen = [], []
    for seed in range(12):
        support = noise([0, 1] * 8, list(range(16)), seed)
        done = fitted(support, Spy())
        truth = torch.arange(16), support.labels
        right.append(held_out_probabilities(support, done, 0)[truth].mean())
        seen.append(done.calibrated.predict_proba(support.features)[truth].mean())
    # Seen cases score the better the smaller the penalty is; held-out ones never do.
    assert float(torch.stack(right).mean()) < 0.51
    assert float(torch.stack(seen).mean()) > 0.54


def test_they_sum_to_one_and_are_numbered():
    support = noise()
    rows = held_out(support, fitted(support, Spy()), 0)["held_out"]
    assert list(rows) == [f"case-{i:03d}" for i in range(1, 9)]
    assert all(sum(row) == pytest.approx(1) for row in rows.values() if row is not None)


def test_a_single_patient_cannot_be_held_out():
    support = noise([0, 0, 1], [0, 1, 2])
    assert held_out(support, fitted(support, Spy()), 0) == {"held_out": None}
