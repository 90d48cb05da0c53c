"""The strict schema of a model folder: everything is checked, nothing is coerced."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from medfs.core.classifiers import CalibratedClassifier, Classifier, LinearHead, Standardizer
from medfs.core.errors import IntegrityError

SCHEMA_VERSION = 1
ENCODER_PREFIX = "encoder."
THETA = (
    "standardizer.mean",
    "standardizer.scale",
    "standardizer.limit",
    "head.weight",
    "head.bias",
    "temperature",
)
_POSITIVE = ("standardizer.scale", "standardizer.limit", "temperature")


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


def parse_theta(
    tensors: Mapping[str, Tensor],
    identities: tuple[str, ...],
    class_names: tuple[str, ...],
    where: str,
) -> CalibratedClassifier:
    """θ and its temperature, with shapes that fit each other and finite values."""
    foreign = [n for n in tensors if n not in THETA and not n.startswith(ENCODER_PREFIX)]
    missing = [n for n in THETA if n not in tensors]
    if foreign or missing:
        raise _not_ours(f"tensor {(foreign + missing)[0]!r} is unknown or missing", where)
    mean, scale, limit, weight, bias, temperature = (tensors[name] for name in THETA)
    way, feature = len(class_names), mean.numel()
    shapes: tuple[tuple[int, ...], ...]
    shapes = ((feature,), (feature,), (), (way, feature), (way,), ())
    for name, shape in zip(THETA, shapes, strict=True):
        _check_tensor(name, tensors[name], shape, where)
    classifier = Classifier(
        identities, Standardizer(mean, scale, limit), LinearHead(weight, bias), class_names
    )
    return CalibratedClassifier(classifier, temperature)


def _check_tensor(name: str, tensor: Tensor, shape: tuple[int, ...], where: str) -> None:
    if tuple(tensor.shape) != shape or tensor.dtype != torch.float64:
        raise _not_ours(f"tensor {name!r} has another shape or type than it must have", where)
    if not bool(torch.isfinite(tensor).all()):
        raise _not_ours(f"tensor {name!r} is not finite", where)
    if name in _POSITIVE and not bool((tensor > 0).all()):
        raise _not_ours(f"tensor {name!r} is not positive", where)


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
