"""Held-out logits: nobody is judged by a classifier that saw them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.calibration.held_out import held_out_logits
from medfs.core.classifiers import Classifier
from medfs.mappers.prototype import Prototype
from medfs.mappers.ridge import Ridge
from medfs.metrics.discrimination import auroc


@pytest.mark.parametrize("n_way", [2, 3])
@pytest.mark.parametrize("cases_per_patient", [1, 3])
def test_no_patient_is_judged_by_a_classifier_that_saw_them(
    support, watched, monkeypatch, n_way, cases_per_patient
):
    given = support(0, n_way, 4, cases_per_patient=cases_per_patient)
    patient_of = {
        tuple(row): p
        for row, p in zip(given.features.joined().tolist(), given.patients.tolist(), strict=True)
    }
    mapper, judged, whole = watched(Prototype(8).double()), [], Classifier.logits

    def logits(self, features):
        judged.append({patient_of[tuple(row)] for row in features.joined().tolist()})
        return whole(self, features)

    monkeypatch.setattr(Classifier, "logits", logits)
    held_out_logits(given, mapper, seed=0)
    assert len(judged) == len(mapper.seen) > 0
    for rows, patients in zip(mapper.seen, judged, strict=True):
        assert not {patient_of[row] for row in rows} & patients
        assert len(patients) == n_way
    assert set().union(*judged) == set(given.patients.tolist())


@given(
    st.lists(st.integers(2, 5), min_size=2, max_size=4),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_weights_sum_to_the_number_of_cases_in_equal_parts_per_class(n_patients, per_patient, seed):
    from medfs.core.episodes import SupportSet
    from medfs.core.features import Features

    labels = [c for c, n in enumerate(n_patients) for _ in range(n * per_patient)]
    patients = [i // per_patient for i in range(len(labels))]
    block = torch.randn(len(labels), 3, dtype=torch.float64)
    names = tuple("abcd"[: len(n_patients)])
    support = SupportSet(
        Features({"made": block}), torch.tensor(labels), torch.tensor(patients), names
    )
    found = held_out_logits(support, Prototype(8).double(), seed)
    per_class = torch.zeros(len(names), dtype=torch.float64).index_add(
        0, found.labels, found.weights
    )
    torch.testing.assert_close(per_class, per_class.mean().expand(len(names)))
    distinct = {tuple(row) for row in block.tolist()}
    assert found.weights.sum().item() <= len(distinct) + 1e-9
    assert found.weights.sum().item() == pytest.approx(len(labels), abs=len(labels) * 0.5)


def test_a_class_with_one_patient_leaves_nothing_out(support):
    assert held_out_logits(support(0, n_patients=1, cases_per_patient=4), Ridge(8), 0) is None


def test_the_same_seed_gives_the_same_logits(support):
    one, other = (held_out_logits(support(0), Ridge(8), 5) for _ in range(2))
    assert torch.equal(one.logits, other.logits)
    assert torch.equal(one.weights, other.weights)


# Logits of different folds are compared here, which pulls an AUROC below one half (Airola et al.
# 2011): with ridge, whose scale differs from fold to fold, to .44. Within a fold there is no such
# bias: see the same law in test_performance.py.
@pytest.mark.parametrize(("mapper", "within"), [(Prototype, 0.05), (Ridge, 0.1)])
def test_pure_noise_does_not_look_far_below_chance(support, mapper, within):
    found = []
    for seed in range(100):
        held_out = held_out_logits(support(seed), mapper(8).double(), seed)
        gaps = (held_out.logits[:, 1] - held_out.logits[:, 0]).numpy()
        found.append(auroc(gaps, held_out.labels.numpy() == 1))
    assert sum(found) / len(found) == pytest.approx(0.5, abs=within)
