"""Several cohorts mixed by weight, and streams of episodes that can be taken up in the middle."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from medfs.core.errors import ConfigError, UsageError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
STATE_VERSION = 1


@runtime_checkable
class Source(Protocol[T_co]):
    """Whatever is drawn with nothing but an explicit generator: samplers, batches, mixtures."""

    @property
    def identity(self) -> str:
        """Changes whenever the same generator would draw something else."""
        ...

    def sample(self, rng: np.random.Generator) -> T_co:
        """One item."""
        ...


@dataclass(frozen=True, slots=True)
class Sampled(Generic[T]):
    """An item, and the name of the source it came from."""

    source: str
    item: T


class Mixture(Generic[T]):
    """Draws a source by weight, then an item of it.

    The order in which the sources are given does not matter.

    Args:
        sources: by name, with a weight that is not negative; weights need not sum to one.

    Raises:
        UsageError: no source, a negative or infinite weight, or none above zero.
    """

    def __init__(self, sources: Mapping[str, tuple[Source[T], float]]) -> None:
        self.names = tuple(sorted(sources))
        weights = [float(sources[name][1]) for name in self.names]
        if not all(isfinite(w) and w >= 0 for w in weights) or sum(weights) <= 0:
            raise UsageError(
                "the weights of a mixture must be at least zero, and one above it",
                why=f"Given: {dict(zip(self.names, weights, strict=True))}",
                todo="Give every cohort a positive weight, such as 1",
            )
        self.weights = tuple(w / sum(weights) for w in weights)
        self._sources = [sources[name][0] for name in self.names]
        # Rounding may leave the last end just below one, and a source of weight zero behind it.
        ends = np.cumsum(self.weights)
        self._ends = ends / ends[-1]

    @property
    def identity(self) -> str:
        """Those of the sources, with their names and weights."""
        parts = zip(self.names, self.weights, (s.identity for s in self._sources), strict=True)
        return f"mixture {list(parts)}"

    def sample(self, rng: np.random.Generator) -> Sampled[T]:
        """One item; errors of its source."""
        place = int(np.searchsorted(self._ends, rng.random(), side="right"))
        return Sampled(self.names[place], self._sources[place].sample(rng))


class EpisodeStream(Generic[T]):
    """Endless items of a source; a stream that was stopped goes on as if it had not been.

    Args:
        source: a sampler, a mixture, or batches.
        seed: of the generator, not negative.

    Raises:
        UsageError: a negative seed.
    """

    def __init__(self, source: Source[T], seed: int) -> None:
        if seed < 0:
            raise UsageError(f"a seed is a whole number of at least 0, found {seed}")
        self._source = source
        self._identity = hashlib.sha256(source.identity.encode()).hexdigest()
        self._rng = np.random.default_rng(seed)
        self.drawn = 0

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        item = self._source.sample(self._rng)
        self.drawn += 1
        return item

    def state(self) -> dict[str, Any]:
        """Where the stream stands, as plain values that JSON keeps exactly."""
        return {
            "version": STATE_VERSION,
            "source": self._identity,
            "bit_generator": _plain(self._rng.bit_generator.state),
            "drawn": self.drawn,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where the stream stood whose `state()` this is.

        Raises:
            ConfigError: no such state, of another version, or of a stream from other sources.
        """
        _check_state(state, self._identity)
        rng = np.random.default_rng(0)
        try:
            rng.bit_generator.state = state["bit_generator"]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _unusable(f"Its generator cannot be set: {error}") from error
        self._rng, self.drawn = rng, state["drawn"]


def _plain(value: Any) -> Any:
    """The same without NumPy types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return value if isinstance(value, str) else int(value)


def _check_state(state: Mapping[str, Any], source: str) -> None:
    names = {"version", "source", "bit_generator", "drawn"}
    if not isinstance(state, Mapping) or set(state) != names:
        raise _unusable(f"It must hold {sorted(names)} and nothing else")
    if state["version"] != STATE_VERSION:
        raise _unusable(f"Its version is {state['version']!r}, known is {STATE_VERSION}")
    if type(state["drawn"]) is not int or state["drawn"] < 0:
        raise _unusable(f"The number drawn is {state['drawn']!r}")
    if state["source"] != source:
        raise _unusable("It belongs to other cohorts, weights or designs than those given now")


def _unusable(why: str) -> ConfigError:
    return ConfigError(
        "the stream of episodes cannot go on from this state",
        why=why,
        todo="Give the cohorts and settings of the run that was stopped, or start anew",
    )
