"""From names that a user gives to the things they stand for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from medfs.core.errors import CohortError, IntegrityError, PluginError, UsageError, UserError
from medfs.core.features import Encoder
from medfs.core.mapping import Mapper
from medfs.export.mapper_file import MapperFile, read_mapper
from medfs.mappers.familiarity import Familiarity, familiarity_in
from medfs.preprocess.auto import choose, suggest
from medfs.preprocess.presets import Preset, load_preset
from medfs.workflows.registries import BACKBONES, MAPPERS
from medfs.workflows.sources import ScanSource

Weights = Mapping[str, Path | Mapping[str, Tensor]]
# `auto` looks at this many scans, evenly spread; every later scan is still checked against them.
_SCANS_FOR_PRESET = 16
# Tensors of the mapper in a file of meta-training, which may hold an encoder too.
_MAPPER = "mapper."


def build_encoders(
    names: Sequence[str], weights: Weights, device: torch.device
) -> tuple[Encoder, ...]:
    """One encoder per name, on the device.

    Raises:
        UsageError: an unknown name, a name given twice, or weights missing or without use.
        PluginError: an encoder of another package goes by another name than it is known by.
    """
    if unused := sorted(set(weights) - set(names)):
        raise UsageError(
            f"weights were given for {unused[0]!r}, which is not used",
            todo=f"Add it to --features, or leave --weights {unused[0]}=… out",
        )
    if len(set(names)) != len(names) or not names:
        raise UsageError("name each feature extractor once", why=f"Given: {', '.join(names)}")
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
    if module.name != name:
        # A model keeps the encoder's own name, by which it must be found again.
        raise PluginError(
            f"the feature extractor {name!r} calls itself {module.name!r}",
            why="A model made with it could not be loaded again",
            todo=f"Ask the authors of {BACKBONES.check(name).origin} to use one name for both",
        )
    return module.to(device)


def build_mapper(spec: str, encoders: Sequence[Encoder]) -> Mapper:
    """A mapper for the features of these encoders.

    Args:
        spec: a name, or NAME=FILE of one that `medfs meta-train` trained.
        encoders: whose features it will read.

    Raises:
        UsageError: no such mapper, or one that was trained for other features.
        ScanReadError: there is no such file.
        IntegrityError: it is no mapper file.
    """
    name, trained = _split(spec)
    if trained is not None:
        if trained.name != name:
            raise UsageError(
                f"the file holds the mapper {trained.name!r}, not {name!r}",
                todo=f"Give it as {trained.name}=FILE",
            )
        return load_mapper(trained, spec, encoders)
    mapper = MAPPERS.load(name)(_n_features(encoders))
    return mapper.double() if isinstance(mapper, torch.nn.Module) else mapper


def load_mapper(trained: MapperFile, where: str, encoders: Sequence[Encoder]) -> Mapper:
    """The mapper that a file holds, for the features of these encoders.

    Raises:
        UsageError: it was trained for other features, or changes its encoder for every task.
        IntegrityError: it does not fit this version of medfs.
    """
    _refuse_other_use(trained, encoders)
    factory = MAPPERS.load(trained.name)
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in trained.settings.items()}
    try:
        mapper = factory(_n_features(encoders), **settings)
        mapper.load_state_dict(
            {
                n.removeprefix(_MAPPER): t
                for n, t in trained.tensors.items()
                if n.startswith(_MAPPER)
            }
        )
    except (RuntimeError, TypeError, UserError) as error:
        raise IntegrityError(
            "the mapper file does not fit this version of medfs",
            case=where,
            why=str(error).splitlines()[0],
            todo="Train it again with `medfs meta-train`",
        ) from error
    return mapper.double()


def mapper_identity(spec: str) -> str:
    """What a model remembers of its mapper: the name, and for a trained one the hash of its φ."""
    name, trained = _split(spec)
    return name if trained is None else trained.identity


def mapper_familiarity(spec: str) -> Familiarity | None:
    """What the tasks of a trained mapper looked like, where its file says; see `build_mapper`."""
    trained = _split(spec)[1]
    return None if trained is None else familiarity_in(trained.tensors)


def _split(spec: str) -> tuple[str, MapperFile | None]:
    name, equals, path = spec.partition("=")
    return name, read_mapper(Path(path)) if equals else None


def _n_features(encoders: Sequence[Encoder]) -> int:
    return sum(len(e.feature_names) for e in encoders)


def _refuse_other_use(trained: MapperFile, encoders: Sequence[Encoder]) -> None:
    name = trained.name
    if trained.end_to_end:
        raise UsageError(
            f"this {name!r} changes its encoder for every task",
            why="It cannot be put behind features that are computed once",
            todo="Meta-train it without film_channels, or another mapper than maml",
        )
    found = tuple(e.identity for e in encoders)
    if found != trained.encoders:
        raise UsageError(
            f"this {name!r} was trained on other features",
            why=f"It knows {', '.join(trained.encoders) or 'simulated numbers'}; "
            f"given are {', '.join(found)}",
            todo="Give --features (and --weights) as they were when it was trained",
        )


def choose_preset(asked: str | Preset, sources: Sequence[ScanSource]) -> tuple[Preset, str]:
    """The one that was given or named, or for `auto` that which the scans ask for; and why.

    Raises:
        CohortError: `auto`, and the scans are of several kinds or none can be read.
    """
    if isinstance(asked, Preset):
        return asked, "given"
    if asked != "auto":
        return load_preset(asked), "named by the user"
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
