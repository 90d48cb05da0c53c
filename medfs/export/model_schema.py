"""The strict schema of a model folder: everything is checked, nothing is coerced."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from medfs.core.calibration import CALIBRATIONS, Calibration
from medfs.core.classifiers import CalibratedClassifier, Classifier
from medfs.core.errors import IntegrityError
from medfs.core.theta import HEADS, STEPS, Theta, kind_of

SCHEMA_VERSION = 4
ENCODER_PREFIX = "encoder."
CALIBRATION_PREFIX = "calibration."
_POSITIVE = ("scale", "limit", "floor", "temperature")
# Steps of one θ: no method has more, and a file must not make medfs build thousands.
_MAX_STEPS = 16


def parse_json(data: bytes, where: str) -> dict[str, Any]:
    """An object of plain JSON, without NaN or infinity."""
    try:
        content = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise IntegrityError("is not valid JSON", case=where, why=str(error)[:200]) from error
    if not isinstance(content, dict):
        raise IntegrityError("must hold a JSON object", case=where)
    return content


def check_version(description: Mapping[str, Any], where: str) -> None:
    """The one version of the schema that this medfs reads."""
    version = description.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise IntegrityError(
            f"the model has schema version {version!r}, this medfs reads {SCHEMA_VERSION}",
            case=where,
            todo="Use the medfs version that wrote it, or adapt again",
        )


def parse_names(description: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Class names: at least two different ones."""
    names = _strings(description.get("class_names"), "class_names", where)
    if len(names) < 2 or len(set(names)) != len(names):
        raise _not_ours("class_names must be at least two different names", where)
    return names


def parse_encoders(
    description: Mapping[str, Any], where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and identities of the encoders."""
    entries = description.get("encoders")
    if not isinstance(entries, list) or not entries:
        raise _not_ours("encoders must be a list", where)
    if not all(isinstance(e, dict) and set(e) == {"name", "identity"} for e in entries):
        raise _not_ours("every encoder has a name and an identity", where)
    names = _strings([e["name"] for e in entries], "encoders", where)
    return names, _strings([e["identity"] for e in entries], "encoders", where)


def parse_object(description: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """A JSON object under `key`."""
    value = description.get(key)
    if not isinstance(value, dict):
        raise _not_ours(f"{key} must be an object", where)
    return value


def describe_theta(theta: Theta) -> dict[str, Any]:
    """The kinds of its parts, for `model.json`."""
    return {"steps": [kind_of(step) for step in theta.steps], "head": kind_of(theta.head)}


def parse_theta(
    description: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    identities: tuple[str, ...],
    class_names: tuple[str, ...],
    where: str,
) -> tuple[CalibratedClassifier, dict[str, Tensor]]:
    """θ and its calibration, with shapes that fit each other and finite values; other tensors."""
    left = dict(tensors)
    named = parse_object(description, "theta", where)
    theta = take_theta(named, left, {"w": len(class_names)}, where)
    calibration = _calibration(description, left, len(class_names), where)
    if foreign := [name for name in left if not name.startswith(ENCODER_PREFIX)]:
        raise _not_ours(f"tensor {foreign[0]!r} is unknown", where)
    return CalibratedClassifier(Classifier(identities, theta, class_names), calibration), left


def take_theta(
    named: dict[str, Any], left: dict[str, Tensor], axes: dict[str, int], where: str
) -> Theta:
    """θ of the parts that `describe_theta` names, whose tensors leave `left`.

    Args:
        named: kinds of the parts.
        left: tensors by name.
        axes: lengths that are known, e.g. w.
        where: for errors.
    """
    built: list[Any] = []
    for at, (kind, shape_of) in _kinds(named, where).items():
        axes.pop("h", None)
        found = {
            k: _take(left, f"{at}.{k}", letters, axes, where) for k, letters in shape_of.items()
        }
        built.append(kind(**found))
    return Theta(tuple(built[:-1]), built[-1])


def _calibration(
    description: Mapping[str, Any], left: dict[str, Tensor], way: int, where: str
) -> Calibration:
    name = description.get("calibration")
    if not isinstance(name, str) or name not in CALIBRATIONS:
        raise _not_ours(f"{name!r} is no known calibration", where)
    kind, shape_of = CALIBRATIONS[name]
    axes = {"w": way}
    found = {
        k: _take(left, f"{CALIBRATION_PREFIX}{k}", v, axes, where) for k, v in shape_of.items()
    }
    return kind(**found)


def _kinds(theta: dict[str, Any], where: str) -> dict[str, tuple[type, dict[str, str]]]:
    """Name of every part → its type and the axes of its tensors."""
    steps, head = theta.get("steps"), theta.get("head")
    if set(theta) != {"steps", "head"} or not isinstance(steps, list) or len(steps) > _MAX_STEPS:
        raise _not_ours("theta must be a list of steps and a head", where)
    named = [(f"steps.{i}", name, STEPS) for i, name in enumerate(steps)] + [("head", head, HEADS)]
    for _, name, known in named:
        if not isinstance(name, str) or name not in known:
            raise _not_ours(f"{name!r} is no known part of a classifier", where)
    return {at: known[name] for at, name, known in named}


def _take(
    left: dict[str, Tensor], name: str, letters: str, axes: dict[str, int], where: str
) -> Tensor:
    """The tensor called `name`, out of `left`; an axis has one length wherever it occurs."""
    tensor = left.pop(name, None)
    if tensor is None:
        raise _not_ours(f"tensor {name!r} is missing", where)
    if tensor.dtype != torch.float64 or tensor.dim() != len(letters):
        raise _not_ours(f"tensor {name!r} has another shape or type than it must have", where)
    for letter, length in zip(letters, tensor.shape, strict=True):
        if axes.setdefault(letter, length) != length:
            raise _not_ours(f"tensor {name!r} has another shape or type than it must have", where)
    if not bool(torch.isfinite(tensor).all()):
        raise _not_ours(f"tensor {name!r} is not finite", where)
    if name.rpartition(".")[2] in _POSITIVE and not bool((tensor > 0).all()):
        raise _not_ours(f"tensor {name!r} is not positive", where)
    return tensor


def _strings(values: Any, key: str, where: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
        raise _not_ours(f"{key} must be names", where)
    return tuple(values)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _not_ours(why: str, where: str) -> IntegrityError:
    return IntegrityError(
        "the model folder is not as medfs writes it",
        case=where,
        why=why[:1].upper() + why[1:],
        todo="Do not use this model; adapt again",
    )
