"""What is meta-trained on what: `configs/meta-train/NAME.yaml`, read strictly."""

import difflib
import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from medfs.core.errors import ConfigError
from medfs.storage.configs import read_config
from medfs.workflows.meta.families import (
    STRICT,
    CohortTasks,
    Count,
    GaussianTasks,
    Positive,
    Source,
    SyntheticTasks,
)

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")


@dataclass(frozen=True, config=STRICT)
class MapperChoice:
    """A registered mapper, and how it is built."""

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class EncoderChoice:
    """The small encoder, trained with the mapper end to end.

    Attributes:
        widths: channels of each stage.
        precision: bfloat16 runs the encoder under autocast.
        channels_last: memory format of the volumes; often faster.
    """

    widths: tuple[Count, ...] = (12, 24, 48, 96)
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True


@dataclass(frozen=True, config=STRICT)
class Optimiser:
    """AdamW; the rate rises over `warm_up` steps, then falls as a cosine unless it is constant."""

    rate: Positive = 0.003
    weight_decay: NotNegative = 0.0001
    warm_up: Annotated[int, Field(ge=0)] = 20
    schedule: Literal["cosine", "constant"] = "cosine"
    clip: Positive = 1.0


@dataclass(frozen=True, config=STRICT)
class Loop:
    """How long.

    Attributes:
        steps: at most.
        tasks: of a step.
        validate_every: steps between two validations; a checkpoint is written with each.
        validation_batches: of tasks, drawn once.
        patience: validations without a smaller loss before training stops.
        average: decay of the running average of the weights, which is what is kept.
        statistics_batches: batches of which the features' mean and deviation are taken at first.
    """

    steps: Count = 2000
    tasks: Count = 16
    validate_every: Count = 100
    validation_batches: Count = 8
    patience: Count = 10
    average: Annotated[float, Field(ge=0, lt=1)] = 0.99
    statistics_batches: Count = 8


@dataclass(frozen=True, config=STRICT)
class MetaConfig:
    """A whole run.

    Attributes:
        features: feature extractors, for sources that hold scans; none for an encoder.
        encoder: trained along; without it the mapper alone is.
        train, validation: task families by name.
    """

    mapper: MapperChoice
    train: dict[str, Source] = Field(min_length=1)
    validation: dict[str, Source] = Field(min_length=1)
    features: tuple[str, ...] = ()
    encoder: EncoderChoice | None = None
    optimiser: Optimiser = Field(default_factory=Optimiser)
    loop: Loop = Field(default_factory=Loop)
    seed: Annotated[int, Field(ge=0)] = 0

    def with_mapper(self, name: str) -> "MetaConfig":
        """The same recipe for another mapper."""
        return replace(self, mapper=replace(self.mapper, name=name))

    def with_features(self, names: tuple[str, ...]) -> "MetaConfig":
        """The same recipe on other features; ConfigError where an encoder is trained along."""
        made = replace(self, features=names)
        _check(made, "--features")
        return made

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON holds it."""
        return json.loads(json.dumps(asdict(self)))


def load_config(name: str) -> MetaConfig:
    """A shipped configuration by name, or a YAML file.

    Raises:
        UsageError: there is none.
        ConfigError: a key is unknown or missing, or a value does not fit.
    """
    return parse_config(read_config("meta-train", name), Path(name).name)


def parse_config(content: dict[str, Any], where: str) -> MetaConfig:
    """A configuration from plain data; ConfigError if it does not fit."""
    try:
        # As JSON, in which a list is a tuple and nothing else is taken for what it is not.
        config = TypeAdapter(MetaConfig).validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        raise _in_words(error, where) from error
    _check(config, where)
    return config


def _check(config: MetaConfig, where: str) -> None:
    images = [
        name
        for name, source in {**config.train, **config.validation}.items()
        if source.kind == "synthetic"
    ]
    scans = any(
        source.kind in ("synthetic-features", "cohort")
        for source in (*config.train.values(), *config.validation.values())
    )
    problem = None
    if config.encoder is None and images:
        problem = f"{images[0]!r} holds volumes and no encoder is trained: add `encoder: {{}}`"
    elif config.encoder is None and scans and not config.features:
        problem = "no feature extractor is named: add `features: [radiomics]`"
    elif config.encoder is not None and config.features:
        problem = "with an encoder that is trained along no feature extractor can be named"
    elif config.encoder is not None and any(
        s.kind in ("gaussian", "synthetic-features")
        for s in (*config.train.values(), *config.validation.values())
    ):
        problem = "an encoder is trained on volumes: the sources must be synthetic or cohort"
    if problem:
        raise ConfigError("the parts do not go together", case=where, why=problem)


def _in_words(error: ValidationError, where: str) -> ConfigError:
    """One of pydantic's findings; an unknown key first, since it explains a missing one."""
    unknown = [e for e in error.errors() if e["type"] in _UNKNOWN]
    first = (unknown or error.errors())[0]
    place = [str(part) for part in first["loc"]]
    what, key = first["msg"], ".".join(place)
    if unknown:
        near = difflib.get_close_matches(place[-1], _known_keys(), n=1)
        hint = f"; is {near[0]!r} meant?" if near and near[0] != place[-1] else ""
        return ConfigError(f"{key} is no known key{hint}", case=where)
    found = "" if first["type"].startswith("missing") else f", found {first['input']!r}"
    return ConfigError(f"{key}: {what[0].lower()}{what[1:]}{found}", case=where)


def _known_keys() -> list[str]:
    parts: tuple[Any, ...] = (
        *(MetaConfig, MapperChoice, EncoderChoice, Optimiser, Loop),
        *(GaussianTasks, SyntheticTasks, CohortTasks),
    )
    return sorted({f.name for part in parts for f in fields(part)})
