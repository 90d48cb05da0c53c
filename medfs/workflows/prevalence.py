"""How common each class is where a model is used, as a user writes it."""

import math
import re
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import UsageError

# `a=0.9,b=0.1`; a comma inside a name is part of it, since it stands before a `=`.
_PAIR = re.compile(r"(.+?)=([^=,]*)(?:,|$)")
ANY_PREVALENCE = "for prevalence "
_EXAMPLE = "Write e.g. --prevalence {}"
_TOLERANCE = 1e-3


def parse_prevalence(text: str, class_names: Sequence[str]) -> dict[str, float]:
    """`benign=0.9,malignant=0.1` → a number for each class, in the order of `class_names`.

    Raises:
        UsageError: a class is missing, unknown or named twice; a number is not positive; they do
            not sum to 1 (to a thousandth; they are divided by their sum).
    """
    pairs, rest = _PAIR.findall(text), _PAIR.sub("", text)
    todo = _EXAMPLE.format(",".join(f"{name}={1 / len(class_names):.2g}" for name in class_names))
    if not pairs or rest:
        raise UsageError("prevalences are CLASS=NUMBER, comma-separated", why=text, todo=todo)
    names = [name.strip() for name, _ in pairs]
    if sorted(names) != sorted(class_names):
        raise UsageError(
            "every class of the model needs one prevalence",
            why=f"The model has {', '.join(class_names)}; given are {', '.join(names)}",
            todo=todo,
        )
    found = dict(zip(names, (_number(value, todo) for _, value in pairs), strict=True))
    total = math.fsum(found.values())
    if abs(total - 1) > _TOLERANCE:
        raise UsageError("prevalences must sum to 1", why=f"These sum to {total:g}", todo=todo)
    return {name: found[name] / total for name in class_names}


def as_tensor(prevalence: Mapping[str, float]) -> Float[Tensor, "way"]:
    """In the same order, float64."""
    return torch.tensor(list(prevalence.values()), dtype=torch.float64)


def shifted(
    probabilities: Sequence[float], prevalence: Mapping[str, float] | None
) -> tuple[float, ...]:
    """Probabilities for classes that are equally common, brought to a prevalence by Bayes' rule.

    Args:
        probabilities: in the order of the classes.
        prevalence: in the same order; None leaves them as they are.
    """
    if prevalence is None:
        return tuple(probabilities)
    joint = [p * share for p, share in zip(probabilities, prevalence.values(), strict=True)]
    return tuple(value / math.fsum(joint) for value in joint)


def in_words(prevalence: Mapping[str, float]) -> str:
    """For rows of results."""
    return ANY_PREVALENCE + ", ".join(f"{name} {p:g}" for name, p in prevalence.items())


def _number(text: str, todo: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError("a prevalence is a number", why=f"Found {text!r}", todo=todo) from error
    if not (math.isfinite(value) and value > 0):
        why = f"Found {text.strip()}. A class that never occurs belongs into no model"
        raise UsageError("a prevalence lies between 0 and 1", why=why, todo=todo)
    return value
