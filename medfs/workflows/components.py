"""From names that a user gives to the things they stand for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from medfs.core.errors import CohortError, UsageError, UserError
from medfs.core.features import Encoder
from medfs.core.mapping import Mapper
from medfs.preprocess.auto import choose, suggest
from medfs.preprocess.presets import Preset, load_preset
from medfs.workflows.registries import BACKBONES, MAPPERS
from medfs.workflows.sources import ScanSource

Weights = Mapping[str, Path | Mapping[str, Tensor]]
# `auto` looks at this many scans, evenly spread; every later scan is still checked against them.
_SCANS_FOR_PRESET = 16


def build_encoders(
    names: Sequence[str], weights: Weights, device: torch.device
) -> tuple[Encoder, ...]:
    """One encoder per name, on the device.

    Raises:
        UsageError: an unknown name, a name given twice, or weights missing or without use.
    """
    if len(set(names)) != len(names) or not names:
        raise UsageError("name each feature extractor once", why=f"Given: {', '.join(names)}")
    if unused := sorted(set(weights) - set(names)):
        raise UsageError(
            f"weights were given for {unused[0]!r}, which is not used",
            todo=f"Add it to --features, or leave --weights {unused[0]}=… out",
        )
    return tuple(_encoder(name, weights.get(name), device) for name in names)


def _encoder(
    name: str, weights: Path | Mapping[str, Tensor] | None, device: torch.device
) -> Encoder:
    factory = BACKBONES.load(name)
    if isinstance(factory, type):
        if weights is not None:
            raise UsageError(f"{name!r} has no weights to load")
        module = factory()
    else:
        module = factory(weights)
    return module.to(device)


def build_mapper(name: str, encoders: Sequence[Encoder]) -> Mapper:
    """A mapper by name, for the features of these encoders; UsageError if there is none."""
    mapper = MAPPERS.load(name)(sum(len(e.feature_names) for e in encoders))
    return mapper.double() if isinstance(mapper, torch.nn.Module) else mapper


def choose_preset(name: str, sources: Sequence[ScanSource]) -> tuple[Preset, str]:
    """The named preset, or for `auto` the one that the scans ask for; and why.

    Raises:
        CohortError: `auto`, and the scans are of several kinds or none can be read.
    """
    if name != "auto":
        return load_preset(name), "named by the user"
    step = max(1, len(sources) // _SCANS_FOR_PRESET)
    suggestions, error = {}, None
    for source in sources[::step]:
        try:
            suggestions[source.case.case_id] = suggest(source.load()[0])
        except UserError as problem:
            error = error or problem.about(source.case.case_id)
    if not suggestions:
        raise CohortError("no scan could be read", why=str(error)) from error
    chosen, reason = choose(suggestions)
    return load_preset(chosen), reason


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N`; UsageError if the machine does not have it."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"there is no device called {name!r}", todo="Use auto, cpu or cuda:0"
        ) from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r} is not supported", todo="Use auto, cpu or cuda:0")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device {name!r} is not there",
            why=f"PyTorch sees {torch.cuda.device_count()} CUDA device(s)",
            todo="Use --device auto or cpu; `medfs info --devices` lists what is there",
        )
    return device


def encoder_weights(encoders: Sequence[Encoder]) -> dict[str, Tensor]:
    """Parameters and buffers of all encoders, keyed `encoder.parameter`."""
    return {
        f"{encoder.name}.{key}": tensor
        for encoder in encoders
        if isinstance(encoder, torch.nn.Module)
        for key, tensor in encoder.state_dict().items()
    }
