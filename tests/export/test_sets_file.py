"""The file of prediction sets: read as it was written, and nothing else is read."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.errors import IntegrityError, ScanReadError
from medfs.core.prediction_sets import PredictionSets
from medfs.core.theta import LinearHead, Standardizer, Theta
from medfs.export.sets_file import parse_sets, read_sets, sets_to_bytes
from medfs.storage.described import described_from_bytes, described_to_bytes


def make_theta(seed):
    g = torch.Generator().manual_seed(seed)
    mean, scale, weight = (torch.randn(n, generator=g).double() for n in ((5,), (5,), (3, 5)))
    standardizer = Standardizer(mean, scale.exp(), torch.tensor(2.0).double())
    return Theta((standardizer,), LinearHead(weight, torch.randn(3, generator=g).double()))


@pytest.fixture
def sets():
    return PredictionSets(
        "jackknife+",
        tuple(make_theta(i) for i in range(6)),
        torch.tensor(1.4).double(),
        torch.randn(6, generator=torch.Generator().manual_seed(0)).double(),
        torch.tensor([0, 0, 1, 1, 2, 2]),
        torch.arange(6),
    )


def test_reading_gives_back_what_was_written(tmp_path, sets):
    content = sets_to_bytes(sets)
    assert content == sets_to_bytes(sets)
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "sets.safetensors").write_bytes(content)
    back = read_sets(tmp_path, hashlib.sha256(content).hexdigest(), make_theta(9))
    x = torch.randn(4, 5).double()
    assert torch.equal(back.p_values(x), sets.p_values(x))
    assert sets_to_bytes(back) == content


def test_a_file_that_stayed_behind_or_was_changed_is_named(tmp_path, sets):
    with pytest.raises(ScanReadError, match="no prediction sets here"):
        read_sets(tmp_path, "0" * 64, make_theta(9))
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "sets.safetensors").write_bytes(sets_to_bytes(sets))
    with pytest.raises(IntegrityError, match="changed after"):
        read_sets(tmp_path, "0" * 64, make_theta(9))


CHANGES = {
    "method": lambda t, f: f.update(method="bootstrap"),
    "a list as method": lambda t, f: f.update(method=["split"]),
    "kind": lambda t, f: f.update(kind="medfs mapper"),
    "version": lambda t, f: f.update(version=2),
    "more facts": lambda t, f: f.update(more=1),
    "fewer facts": lambda t, f: f.pop("theta"),
    "parts": lambda t, f: f["theta"].update(steps=[]),
    "no scores": lambda t, f: t.pop("scores"),
    "no labels": lambda t, f: t.pop("labels"),
    "no temperature": lambda t, f: t.pop("temperature"),
    "temperature 0": lambda t, f: t["temperature"].zero_(),
    "scores nan": lambda t, f: t["scores"].fill_(torch.nan),
    "fewer scores": lambda t, f: t.update(scores=t["scores"][:3]),
    "labels float": lambda t, f: t.update(labels=t["labels"].double()),
    "labels negative": lambda t, f: t["labels"].sub_(1),
    "labels too high": lambda t, f: t["labels"].add_(1),
    "a class without patients": lambda t, f: t["labels"].clamp_(max=1),
    "member too high": lambda t, f: t["member"].add_(1),
    "a member without patients": lambda t, f: t["member"].clamp_(max=4),
    "unknown tensor": lambda t, f: t.update(extra=torch.ones(1)),
    "no weight": lambda t, f: t.pop("theta.head.weight"),
    "fewer members": lambda t, f: t.update({"theta.head.bias": t["theta.head.bias"][:2]}),
    "other features": lambda t, f: t.update(
        {"theta.head.weight": t["theta.head.weight"][:, :, :4]}
    ),
    "scalar": lambda t, f: t.update({"theta.head.bias": torch.tensor(1.0).double()}),
    "single precision": lambda t, f: t.update({"theta.head.bias": t["theta.head.bias"].float()}),
    "scale 0": lambda t, f: t["theta.steps.0.scale"].zero_(),
    "infinite": lambda t, f: t["theta.head.weight"].fill_(torch.inf),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_file_that_medfs_would_not_write_is_refused(sets, how):
    tensors, facts = described_from_bytes(sets_to_bytes(sets), "x")
    CHANGES[how](tensors, facts)
    with pytest.raises(IntegrityError):
        parse_sets(described_to_bytes(tensors, facts), make_theta(9), "x")


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(content):
    with pytest.raises(IntegrityError):
        parse_sets(content, make_theta(9), "x")
