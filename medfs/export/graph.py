"""Patch → probabilities as one torch module: whatever leaves medfs is made from it.

Encoders, θ and calibration are inside, and prediction sets if wanted. A consumer that got logits,
or features, would have to calibrate by itself, and would not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medfs.core.classifiers import CalibratedClassifier
from medfs.core.errors import UsageError
from medfs.core.features import Encoder
from medfs.core.patches import PatchBatch
from medfs.core.prediction_sets import SetRule

# Of the buffers of prediction sets, before their own names.
_RULE = "rule"


class PatchClassifier(torch.nn.Module):
    """A calibrated classifier with its encoders; frozen, in evaluation mode.

    Args:
        encoders: those of the classifier, in its order.
        calibrated: θ and the calibration, which become buffers.
        rule: of prediction sets, where they are wanted too; becomes buffers as well.

    Raises:
        UsageError: an encoder is no torch module, so that it cannot be part of a graph.
    """

    def __init__(
        self,
        encoders: Sequence[Encoder],
        calibrated: CalibratedClassifier,
        rule: SetRule | None = None,
    ) -> None:
        super().__init__()
        for encoder in encoders:
            if not isinstance(encoder, torch.nn.Module):
                raise UsageError(
                    f"{encoder.name!r} cannot be exported",
                    why="It is no torch module, and what is exported is one graph",
                    todo="Adapt with other --features",
                )
        self.encoders = torch.nn.ModuleList(encoders)  # type: ignore[arg-type]
        self._form, self._rule = calibrated, rule
        for name, tensor in (leaves(calibrated) | leaves(rule, _RULE)).items():
            self.register_buffer(_buffer(name), tensor.detach().clone())
        self.requires_grad_(False).eval()

    def forward(
        self,
        image: Float[Tensor, "batch 1 x y z"],
        region: Float[Tensor, "batch 1 x y z"],
        spacing: Float[Tensor, "batch 3"],
    ) -> Float[Tensor, "batch way"] | tuple[Float[Tensor, "batch way"], Bool[Tensor, "batch way"]]:
        """Calibrated probabilities in float32; with a rule also which classes are in the set.

        A set that would be empty holds the most probable class.

        Args:
            image: normalised by the model's preset, on its grid.
            region: {0, 1} on the same grid.
            spacing: of that grid, mm along x, y, z.
        """
        patches = PatchBatch(image, region, spacing)
        features = torch.cat([encoder(patches).float() for encoder in self.encoders], dim=1)
        probabilities = self._filled(self._form).probabilities(features).float()
        if self._rule is None:
            return probabilities
        kept = self._filled(self._rule, _RULE)(features)
        top = torch.nn.functional.one_hot(probabilities.argmax(dim=1), probabilities.shape[1])
        return probabilities, kept | (top.bool() & ~kept.any(dim=1, keepdim=True))

    def _filled(self, form: Any, at: str = "") -> Any:
        """A value with this module's buffers in it, which move between devices."""
        found = {name: self.get_buffer(_buffer(name)) for name in leaves(form, at)}
        return with_leaves(form, found, at)


def leaves(value: Any, at: str = "") -> dict[str, Tensor]:
    """Every tensor of nested dataclasses and tuples, by its path."""
    if isinstance(value, Tensor):
        return {at: value}
    found: dict[str, Tensor] = {}
    for name, part in _parts(value).items():
        found |= leaves(part, f"{at}.{name}" if at else name)
    return found


def with_leaves(value: Any, tensors: Mapping[str, Tensor], at: str = "") -> Any:
    """The same value with other tensors at the same paths."""
    if isinstance(value, Tensor):
        return tensors[at]
    parts = {
        name: with_leaves(part, tensors, f"{at}.{name}" if at else name)
        for name, part in _parts(value).items()
    }
    if isinstance(value, tuple):
        return tuple(parts.values())
    return replace(value, **parts) if parts else value


def _parts(value: Any) -> dict[str, Any]:
    """Members that hold tensors somewhere below."""
    if isinstance(value, tuple):
        return {str(i): part for i, part in enumerate(value)}
    if is_dataclass(value) and not isinstance(value, type):
        members = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: part for name, part in members.items() if _holds_tensors(part)}
    return {}


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, Tensor) or any(_holds_tensors(p) for p in _parts(value).values())


def _buffer(path: str) -> str:
    # Names of buffers must not hold dots.
    return path.replace(".", "__")
