"""MODEL/local/sets.safetensors: what prediction sets are made from.

It is derived from single patients, so it stays with the table of cases; `model.json`, which is
hashed itself, holds its hash.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medfs.core.errors import IntegrityError, ScanReadError
from medfs.core.prediction_sets import METHODS, PredictionSets
from medfs.core.theta import Theta
from medfs.export.model_schema import _not_ours, _take, describe_theta, take_theta
from medfs.storage.described import described_from_bytes, described_to_bytes
from medfs.storage.files import sha256

SETS_FILE = "sets.safetensors"
_KIND, _VERSION = "medfs prediction sets", 1
_MOST_MEMBERS = 100_000
_UNITS = ("scores", "labels", "member")


def sets_to_bytes(sets: PredictionSets) -> bytes:
    """θ of all members on top of each other, and the held-out patients."""
    each = [member.tensors() for member in sets.members]
    tensors = {f"theta.{n}": torch.stack([t[n] for t in each]) for n in each[0]}
    tensors |= {"temperature": sets.temperature}
    tensors |= {name: getattr(sets, name) for name in _UNITS}
    facts = {
        "kind": _KIND,
        "version": _VERSION,
        "method": sets.method,
        "theta": describe_theta(sets.members[0]),
    }
    return described_to_bytes(tensors, facts)


def read_sets(model: Path, digest: str, like: Theta) -> PredictionSets:
    """The sets of a model folder, checked as strictly as the model.

    Args:
        model: the folder.
        digest: SHA-256 of the file, from `model.json`.
        like: θ of the model: its parts have the shapes that members have too.

    Raises:
        ScanReadError: the file stayed where the model was made.
        IntegrityError: it is not the one that was written with the model, or nothing medfs writes.
    """
    path = model / "local" / SETS_FILE
    where = str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ScanReadError(
            "the model has no prediction sets here",
            case=where,
            why="They are made from single patients and stay in `local/`, where the model was made",
            todo="Predict there, or leave --coverage out",
        ) from error
    if sha256(content) != digest:
        raise IntegrityError(
            "was changed after the model was written",
            case=where,
            why="Its SHA-256 differs from the one in model.json",
            todo="Do not use it; adapt again",
        )
    return parse_sets(content, like, where)


def parse_sets(content: bytes, like: Theta, where: str) -> PredictionSets:
    """From the bytes; IntegrityError if they are not what `sets_to_bytes` makes."""
    tensors, facts = described_from_bytes(content, where)
    if set(facts) != {"kind", "version", "method", "theta"} or facts["kind"] != _KIND:
        raise _not_ours("it holds no prediction sets", where)
    if facts["version"] != _VERSION or facts["method"] not in METHODS:
        raise _not_ours("its version or method is unknown", where)
    if facts["theta"] != describe_theta(like):
        raise _not_ours("its classifiers have other parts than the model's", where)
    left = dict(tensors)
    members = _members(left, facts["theta"], like, where)
    temperature = _take(left, "temperature", "", {}, where)
    scores = _take(left, "scores", "u", {}, where)
    labels, member = (_indices(left, name, len(scores), where) for name in _UNITS[1:])
    if left:
        raise _not_ours(f"tensor {min(left)!r} is unknown", where)
    way = like.head.bias.shape[0]  # type: ignore[attr-defined]
    if set(labels.tolist()) != set(range(way)):
        raise _not_ours("every class must have a patient that was held out", where)
    if set(member.tolist()) != set(range(len(members))):
        raise _not_ours("every classifier must have missed a patient", where)
    return PredictionSets(facts["method"], members, temperature, scores, labels, member)


def _members(
    left: dict[str, Tensor], theta: dict[str, Any], like: Theta, where: str
) -> tuple[Theta, ...]:
    shapes = {f"theta.{name}": t.shape for name, t in like.tensors().items()}
    stacked = {name: left.pop(name, None) for name in shapes}
    counts = {0 if t is None or t.dim() == 0 else len(t) for t in stacked.values()}
    if len(counts) != 1 or not 0 < min(counts) <= _MOST_MEMBERS:
        raise _not_ours("its classifiers are incomplete", where)
    found = []
    for i in range(counts.pop()):
        own = {n.removeprefix("theta."): t[i] for n, t in stacked.items() if t is not None}
        if any(own[n.removeprefix("theta.")].shape != shape for n, shape in shapes.items()):
            raise _not_ours("its classifiers have other shapes than the model's", where)
        found.append(take_theta(theta, own, {}, where))
    return tuple(found)


def _indices(left: dict[str, Tensor], name: str, length: int, where: str) -> Tensor:
    tensor = left.pop(name, None)
    if tensor is None or tensor.dtype != torch.int64 or tensor.shape != (length,):
        raise _not_ours(f"tensor {name!r} is missing, or has another shape or type", where)
    if bool((tensor < 0).any()):
        raise _not_ours(f"tensor {name!r} counts from 0", where)
    return tensor
