"""A definition of plain values → a network that medfs knows, or a refusal."""

import re
from collections.abc import Mapping
from typing import Any

import torch

from medfs.core.errors import IntegrityError
from medfs.features.bundles.config import refusal
from medfs.features.bundles.kinds import KINDS, Kind

# Of no effect on features: how weights are trained, or what older versions asked for. SwinUNETR
# would trace badly with checkpoints, and its `img_size` is gone from MONAI.
_WITHOUT_EFFECT = frozenset(("progress", "use_checkpoint", "img_size"))
_DEPTHS = ("layers", "block_config", "depths", "blocks_down", "blocks_up", "num_res_units")
# Far beyond every published network; a definition must not make medfs fill the memory.
_MOST_BLOCKS, _MOST_PARAMETERS = 200, 500_000_000
_PREFIX = re.compile(r"(monai\.networks\.nets\.([a-z0-9_]+\.)?)?(?P<name>[A-Za-z0-9]+)")


_BY_NAME = {kind.name.lower(): kind for kind in KINDS}


def known_networks() -> tuple[str, ...]:
    """Names that a `_target_` may have."""
    return tuple(kind.name for kind in KINDS)


def check(definition: Mapping[str, Any], where: str) -> tuple[Kind, dict[str, Any]]:
    """The network that a definition names, and its arguments without those of no effect.

    Args:
        definition: plain values, `_target_` among them.
        where: for errors.

    Raises:
        IntegrityError: the network, an argument or a value is not one that medfs knows.
    """
    kind = _kind(str(definition.get("_target_")), where)
    given = {k: v for k, v in definition.items() if k != "_target_"}
    for name, value in given.items():
        _check_argument(kind, name, value, where)
    if sum(abs(n) for name in _DEPTHS for n in _numbers(given.get(name))) > _MOST_BLOCKS:
        raise refusal(where, "network_def", f"It has more than {_MOST_BLOCKS} blocks")
    channels = given.get(kind.channels, kind.default)
    if channels != 1 or isinstance(channels, bool):
        why = f"{kind.channels} is {channels}, and medfs gives a network one channel: the image"
        raise refusal(where, f"network_def#{kind.channels}", why)
    dropped = _WITHOUT_EFFECT | {"pretrained"}
    return kind, {k: v for k, v in given.items() if k not in dropped}


def build(kind: Kind, arguments: Mapping[str, Any], where: str) -> torch.nn.Module:
    """The network with weights of no meaning; torch's random numbers go on as before.

    Raises:
        IntegrityError: MONAI cannot build it, or it is larger than any published network.
    """
    from monai.networks import nets

    factory = getattr(nets, kind.name)
    try:
        with torch.random.fork_rng(devices=[]):
            if kind.limits is None:
                with torch.device("meta"):
                    size = sum(p.numel() for p in factory(**arguments).parameters())
                if size > _MOST_PARAMETERS:
                    raise refusal(where, "network_def", f"It would have {size} parameters")
            return factory(**arguments)
    except IntegrityError:
        raise
    except Exception as error:  # constructors answer values that do not fit with anything
        why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise IntegrityError(
            f"MONAI cannot build the {kind.name} of this definition",
            case=where,
            why=why,
            todo="Compare its arguments with those of the MONAI that is installed",
        ) from error


def _kind(target: str, where: str) -> Kind:
    matched = _PREFIX.fullmatch(target)
    kind = _BY_NAME.get(matched["name"].lower()) if matched else None
    if kind is None:
        why = f"{target[:80]!r} is no network that medfs knows: {', '.join(known_networks())}"
        todo = "Use a bundle of one of these; nothing else is ever called"
        raise refusal(where, "network_def#_target_", why, todo)
    return kind


def _check_argument(kind: Kind, name: str, value: Any, where: str) -> None:
    at = f"network_def#{name}"
    if name not in kind.arguments:
        why = f"{kind.name} takes {', '.join(sorted(kind.arguments))} here"
        raise refusal(where, at, why, "Leave it out, if the network is the same without it")
    if name == "pretrained" and value is not False:
        raise refusal(where, at, "It would load other weights than the bundle's", "Write false")
    if name == "spatial_dims" and value != 3:
        raise refusal(where, at, f"It is {value}, and scans have 3", "Use a bundle for volumes")
    limit, length = (kind.limits or {}).get(name), kind.lengths.get(name)
    if limit is not None and max(map(abs, _numbers(value)), default=0) > limit:
        raise refusal(where, at, f"{value} is beyond {limit}, the most that medfs builds")
    if length is not None and not (isinstance(value, list) and len(value) == length):
        raise refusal(where, at, f"{value} must be a list of {length} numbers")


def _numbers(value: Any) -> list[int | float]:
    """All numbers in a value."""
    if isinstance(value, list):
        return [n for v in value for n in _numbers(v)]
    return [value] if isinstance(value, int | float) else []
