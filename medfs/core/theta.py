"""θ: the numbers that a mapper returns, as small functions of features that hold their tensors.

All are values: frozen, differentiable, and free of names and files. Arithmetic is plain torch, so
that `torch.func.vmap` and `torch.export` go through it.
"""

from dataclasses import dataclass, fields, replace
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

Rows = Float[Tensor, "case feature"]


@runtime_checkable
class Step(Protocol):
    """Features to features, case by case."""

    def __call__(self, x: Rows) -> Rows: ...


@runtime_checkable
class Head(Protocol):
    """Features to one logit per class, case by case."""

    def __call__(self, x: Rows) -> Float[Tensor, "case way"]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Standardizer:
    """(x − mean) / scale, per feature, clipped at ±limit. A feature that never varied has scale 1.

    The limit is what makes statistics of a few cases usable: of two cases, any feature in which
    they happen to agree has a tiny scale, and would drown all others in the next scan.
    """

    mean: Float[Tensor, "feature"]
    scale: Float[Tensor, "feature"]
    limit: Float[Tensor, ""]

    def __call__(self, x: Rows) -> Rows:
        return torch.minimum(torch.maximum((x - self.mean) / self.scale, -self.limit), self.limit)


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """x ⊙ (1 + gain) + shift: feature-wise linear modulation (Perez et al., AAAI 2018)."""

    gain: Float[Tensor, "feature"]
    shift: Float[Tensor, "feature"]

    def __call__(self, x: Rows) -> Rows:
        return x * (1 + self.gain) + self.shift


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """x + W₂ gelu(W₁ x + b₁) + b₂: a small network around the identity."""

    w_in: Float[Tensor, "hidden feature"]
    b_in: Float[Tensor, "hidden"]
    w_out: Float[Tensor, "feature hidden"]
    b_out: Float[Tensor, "feature"]

    def __call__(self, x: Rows) -> Rows:
        hidden = torch.nn.functional.gelu(x @ self.w_in.T + self.b_in)
        return x + hidden @ self.w_out.T + self.b_out


@dataclass(frozen=True, slots=True, eq=False)
class UnitLength:
    """x / |x|; a row of zeros stays zero. `floor` is the smallest length that is divided by."""

    floor: Float[Tensor, ""]

    def __call__(self, x: Rows) -> Rows:
        return x / torch.maximum(x.square().sum(dim=-1, keepdim=True), self.floor**2).sqrt()


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """logits = x Wᵀ + b."""

    weight: Float[Tensor, "way feature"]
    bias: Float[Tensor, "way"]

    def __call__(self, x: Rows) -> Float[Tensor, "case way"]:
        return x @ self.weight.T + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class QuadraticHead:
    """logits = −½ |R_kᵀ (x − μ_k)|² + b_k, with R_k R_kᵀ the inverse covariance of class k."""

    means: Float[Tensor, "way feature"]
    roots: Float[Tensor, "way feature feature"]
    bias: Float[Tensor, "way"]

    def __call__(self, x: Rows) -> Float[Tensor, "case way"]:
        offsets = x[:, None, :] - self.means
        return self.bias - torch.einsum("nwf,wfg->nwg", offsets, self.roots).square().sum(-1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class RelationHead:
    """logits = w · relu(W x + b_k): one small network for all classes, each with its offsets."""

    w_in: Float[Tensor, "hidden feature"]
    offsets: Float[Tensor, "way hidden"]
    w_out: Float[Tensor, "hidden"]

    def __call__(self, x: Rows) -> Float[Tensor, "case way"]:
        seen = (x @ self.w_in.T)[:, None, :] + self.offsets
        return torch.relu(seen) @ self.w_out


@dataclass(frozen=True, slots=True, eq=False)
class Theta:
    """What a mapper decides: steps that prepare the features, then a head."""

    steps: tuple[Step, ...]
    head: Head

    def embed(self, x: Rows) -> Rows:
        """The features as the head sees them."""
        for step in self.steps:
            x = step(x)
        return x

    def __call__(self, x: Rows) -> Float[Tensor, "case way"]:
        return self.head(self.embed(x))

    @property
    def dtype(self) -> torch.dtype:
        return next(iter(tensors_of(self.head).values())).dtype

    def to(self, dtype: torch.dtype) -> "Theta":
        """The same in another precision; gradients pass."""
        return Theta(tuple(_cast(step, dtype) for step in self.steps), _cast(self.head, dtype))

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, e.g. `steps.0.mean` and `head.weight`."""
        parts = {f"steps.{i}": step for i, step in enumerate(self.steps)} | {"head": self.head}
        return {f"{at}.{k}": t for at, part in parts.items() for k, t in tensors_of(part).items()}


# What the tensors of each kind are, as axes: f feature, h hidden, w way.
STEPS: dict[str, tuple[type, dict[str, str]]] = {
    "standardizer": (Standardizer, {"mean": "f", "scale": "f", "limit": ""}),
    "film": (Film, {"gain": "f", "shift": "f"}),
    "residual": (Residual, {"w_in": "hf", "b_in": "h", "w_out": "fh", "b_out": "f"}),
    "unit-length": (UnitLength, {"floor": ""}),
}
HEADS: dict[str, tuple[type, dict[str, str]]] = {
    "linear": (LinearHead, {"weight": "wf", "bias": "w"}),
    "quadratic": (QuadraticHead, {"means": "wf", "roots": "wff", "bias": "w"}),
    "relation": (RelationHead, {"w_in": "hf", "offsets": "wh", "w_out": "h"}),
}


def kind_of(part: Step | Head) -> str:
    """The name of a step or head, as model files know it."""
    return next(n for n, (kind, _) in (STEPS | HEADS).items() if type(part) is kind)


def tensors_of(part: Step | Head) -> dict[str, Tensor]:
    """The tensors of a step or head by field."""
    return {field.name: getattr(part, field.name) for field in fields(part)}  # type: ignore[arg-type]


_Part = TypeVar("_Part")


def _cast(part: _Part, dtype: torch.dtype) -> _Part:
    cast = {name: tensor.to(dtype) for name, tensor in tensors_of(part).items()}  # type: ignore[arg-type]
    return replace(part, **cast)  # type: ignore[type-var]
