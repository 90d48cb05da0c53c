"""From a configuration to the module that is trained, and from it to a mapper file."""

import inspect
from typing import Any

import torch
from torch import Tensor

from medfs.core.errors import ConfigError
from medfs.export.mapper_file import MapperFile
from medfs.features.stages import StageEncoder, StageNet
from medfs.mappers.base import TensorMapper
from medfs.mappers.learners import EndToEndLearner, EndToEndMAML, FeatureLearner
from medfs.workflows.meta.config import MetaConfig
from medfs.workflows.registries import MAPPERS

TrainedLearner = FeatureLearner | EndToEndLearner | EndToEndMAML


def build_learner(config: MetaConfig, n_features: int) -> TrainedLearner:
    """The untrained learner.

    Args:
        config: what is trained.
        n_features: of an item; ignored where an encoder is trained along.

    Raises:
        UsageError: there is no such mapper.
        ConfigError: a setting that the mapper does not take, or nothing that could be learned.
    """
    if config.encoder is None:
        learner: TrainedLearner = FeatureLearner(_mapper(config, n_features))
    else:
        net = StageNet(config.encoder.widths)
        if config.mapper.name == "maml":
            learner = EndToEndMAML(net, net.n_features, **_settings(config, EndToEndMAML))
        else:
            learner = EndToEndLearner(
                net,
                _mapper(config, net.n_features),
                getattr(torch, config.encoder.precision),
                config.encoder.channels_last,
            )
    if not any(p.requires_grad for p in learner.parameters()):
        raise ConfigError(
            f"the mapper {config.mapper.name!r} has nothing to learn with these settings",
            todo="Add `embedding: population` to its settings, or train an encoder along",
        )
    return learner


def _mapper(config: MetaConfig, n_features: int) -> TensorMapper:
    name = config.mapper.name
    factory = MAPPERS.load(name)
    # Before its settings: what has no φ has none that meta-training could use.
    if isinstance(factory, type) and not issubclass(factory, TensorMapper):
        raise _untrainable(name)
    mapper = factory(n_features, **_settings(config, factory))
    if not isinstance(mapper, TensorMapper):
        raise _untrainable(name)
    return mapper


def _untrainable(name: str) -> ConfigError:
    return ConfigError(
        f"the mapper {name!r} cannot be meta-trained",
        why="It has no φ, or θ is not made of plain tensors",
        todo="Use r2d2 in place of ridge" if name == "ridge" else "Use one that medfs brings",
    )


def _settings(config: MetaConfig, factory: Any) -> dict[str, Any]:
    """The settings with lists as tuples; ConfigError for what the factory does not take."""
    own = ("self", "n_features", "encoder")
    takes = [name for name in inspect.signature(factory).parameters if name not in own]
    given = config.mapper.settings
    if unknown := sorted(set(given) - set(takes)):
        raise ConfigError(
            f"the mapper {config.mapper.name!r} has no setting {unknown[0]!r}",
            why=f"Its settings are {', '.join(takes) or 'none'}",
        )
    return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}


def to_mapper_file(
    config: MetaConfig,
    weights: dict[str, Tensor],
    encoders: list[str],
    training: dict[str, Any],
) -> MapperFile:
    """What `medfs adapt` needs of a trained learner.

    Args:
        config: of the run.
        weights: of the learner, by name.
        encoders: identities of the frozen feature extractors; none where one was trained along.
        training: facts of the run.
    """
    end_to_end = config.encoder is not None
    # These change the encoder for every task: it is no extractor that could be had alone.
    per_task = config.mapper.name == "maml" or bool(config.mapper.settings.get("film_channels"))
    if end_to_end and not per_task:
        encoders = [StageEncoder(weights).identity]
    return MapperFile(
        config.mapper.name,
        dict(config.mapper.settings),
        tuple(encoders),
        end_to_end and per_task,
        training,
        {name: t.detach().cpu().clone() for name, t in weights.items()},
    )
