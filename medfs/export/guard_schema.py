"""The guard in a model folder: `guard.*` tensors beside θ, and what they mean in `model.json`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from torch import Tensor

from medfs.core.guards import Neighbourhood, Ranges, ScanGuard
from medfs.core.measured import MEASURES
from medfs.export.model_schema import _not_ours, _take, parse_object

PREFIX = "guard."
_RANGES = {field.name: "m" for field in fields(Ranges)}
# Axes: n numbers, k classes, r directions.
_NEAR = {
    "middle": "n",
    "rate": "n",
    "within": "n",
    "centres": "kn",
    "directions": "rn",
    "variances": "r",
    "rest": "",
    "limit": "",
}
_POSITIVE = ("within", "variances", "rest", "limit")


def describe_guard(guard: ScanGuard) -> dict[str, Any]:
    """For `model.json`."""
    return {
        "measures": list(MEASURES),
        "modalities": list(guard.modalities),
        "distance": guard.near is not None,
    }


def guard_tensors(guard: ScanGuard) -> dict[str, Tensor]:
    """For `weights.safetensors`."""
    ranges = {f"{PREFIX}ranges.{name}": getattr(guard.ranges, name) for name in _RANGES}
    if guard.near is None:
        return ranges
    return {**ranges, **{f"{PREFIX}near.{name}": getattr(guard.near, name) for name in _NEAR}}


def parse_guard(
    description: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    identities: tuple[str, ...],
    n_classes: int,
    where: str,
) -> tuple[ScanGuard, dict[str, Tensor]]:
    """The guard, checked as strictly as θ; and the tensors that are not its own.

    Raises:
        IntegrityError: anything is missing, too much, or not as it must be.
    """
    known = parse_object(description, "guard", where)
    if set(known) != {"measures", "modalities", "distance"} or type(known["distance"]) is not bool:
        raise _not_ours("guard must tell its measures, modalities and distance", where)
    if known["measures"] != list(MEASURES):
        raise _not_ours("the guard reads other measures than this medfs takes", where)
    own = {name: t for name, t in tensors.items() if name.startswith(PREFIX)}
    others = {name: t for name, t in tensors.items() if name not in own}
    ranges = _parse_ranges(own, where)
    near = _parse_near(own, n_classes, where) if known["distance"] else None
    if own:
        raise _not_ours(f"tensor {min(own)!r} is unknown", where)
    return ScanGuard(identities, _modalities(known["modalities"], where), ranges, near), others


def _modalities(names: Any, where: str) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _not_ours("modalities of the guard must be names", where)
    return tuple(names)


def _parse_ranges(own: dict[str, Tensor], where: str) -> Ranges:
    axes = {"m": len(MEASURES)}
    found = {n: _take(own, f"{PREFIX}ranges.{n}", a, axes, where) for n, a in _RANGES.items()}
    ranges = Ranges(**found)
    if not bool((ranges.low < ranges.high).all()):
        raise _not_ours("a range of the guard is empty", where)
    return ranges


def _parse_near(own: dict[str, Tensor], n_classes: int, where: str) -> Neighbourhood:
    axes = {"k": n_classes}
    found = {n: _take(own, f"{PREFIX}near.{n}", a, axes, where) for n, a in _NEAR.items()}
    bad = [name for name in _POSITIVE if not bool((found[name] > 0).all())]
    if bad or not bool((found["rate"] >= 0).all()) or not bool((found["rate"] > 0).any()):
        raise _not_ours(f"{PREFIX}near.{(bad or ['rate'])[0]} is not positive", where)
    return Neighbourhood(**found)
