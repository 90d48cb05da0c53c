"""Frozen benchmarks: episodes listed once, so that every comparison is paired."""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from medfs.core.episodes import Episode
from medfs.core.errors import ConfigError, EpisodeError

FILE_NAME = "episodes.json.gz"
SCHEMA_VERSION = 1
# A hundred times the size of a benchmark of five tasks: more is no benchmark but a bomb.
MAX_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class FrozenTask:
    """The episodes of one task.

    Attributes:
        manifest: file that lists the task's cases.
        class_names: sorted, the order of every probability column.
        shots: episodes by the number of support cases per class.
    """

    name: str
    manifest: Path
    class_names: tuple[str, ...]
    shots: Mapping[int, tuple[Episode, ...]]


@dataclass(frozen=True, slots=True)
class FrozenBenchmark:
    """Tasks by name; every episode has `queries_per_class` queries of each class."""

    queries_per_class: int
    tasks: Mapping[str, FrozenTask]


def read_frozen(path: Path) -> FrozenBenchmark:
    """Read a frozen benchmark: a folder with `episodes.json.gz`, or that file.

    The file holds `{schema_version, queries_per_class, tasks: {name: {manifest, classes, shots:
    {K: [{support: {class: [case]}, query: {class: [case]}}]}}}}`. Manifests are relative to it.
    That no *patient* is on both sides shows only with the manifest: `restriction.shared_patients`.

    Raises:
        ConfigError: the file is missing, unreadable, too large, or not of this schema.
        EpisodeError: an episode has other classes, other counts, or uses a case twice.
    """
    file = path / FILE_NAME if path.is_dir() else path
    content = _read_json(file)
    top = _fields(content, {"schema_version", "queries_per_class", "tasks"}, "the file")
    if top["schema_version"] != SCHEMA_VERSION:
        raise ConfigError(
            f"schema version {top['schema_version']!r} is not known",
            case=file.name,
            why=f"This version of medfs reads version {SCHEMA_VERSION}",
        )
    n_query = _count(top["queries_per_class"], "queries_per_class")
    tasks = _object(top["tasks"], "tasks")
    return FrozenBenchmark(
        n_query, {name: _task(name, task, n_query, file.parent) for name, task in tasks.items()}
    )


def _read_json(file: Path) -> Any:
    try:
        with gzip.open(file, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(
            "the frozen episodes cannot be read", case=file.name, why=str(error)
        ) from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"it inflates to more than {MAX_BYTES} bytes", case=file.name)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError("it holds no valid JSON", case=file.name, why=str(error)) from error


def _task(name: str, content: Any, n_query: int, folder: Path) -> FrozenTask:
    where = f"task {name!r}"
    task = _fields(content, {"manifest", "classes", "shots"}, where)
    classes = _names(task["classes"], f"{where}, classes")
    if len(classes) < 2 or len(set(classes)) != len(classes):
        raise ConfigError("at least two different classes are needed", case=where)
    shots = {
        _shot(key, where): tuple(
            _episode(
                episode, sorted(classes), _shot(key, where), n_query, f"{where}, K={key}, #{i}"
            )
            for i, episode in enumerate(_list(episodes, f"{where}, K={key}"))
        )
        for key, episodes in _object(task["shots"], f"{where}, shots").items()
    }
    manifest = folder / _manifest(task["manifest"], where)
    return FrozenTask(name, manifest, tuple(sorted(classes)), dict(sorted(shots.items())))


def _episode(
    content: Any, classes: Sequence[str], n_shot: int, n_query: int, where: str
) -> Episode:
    sides = _fields(content, {"support", "query"}, where)
    support = _side(sides["support"], classes, n_shot, f"{where}, support")
    query = _side(sides["query"], classes, n_query, f"{where}, query")
    used = [case for side in (support, query) for cases in side.values() for case in cases]
    if len(set(used)) != len(used):
        raise EpisodeError("a case is used twice", case=where)
    return Episode(support, query)


def _side(
    content: Any, classes: Sequence[str], count: int, where: str
) -> dict[str, tuple[str, ...]]:
    by_class = _object(content, where)
    if sorted(by_class) != list(classes):
        raise EpisodeError(
            f"its classes are {sorted(by_class)}, the task's are {list(classes)}", case=where
        )
    side = {name: tuple(_names(by_class[name], f"{where}, {name}")) for name in classes}
    for name, cases in side.items():
        if len(cases) != count:
            raise EpisodeError(f"class {name!r} has {len(cases)} cases, not {count}", case=where)
    return side


def _shot(key: str, where: str) -> int:
    if not (key.isascii() and key.isdecimal() and not key.startswith("0") and len(key) < 6):
        raise ConfigError(f"{key!r} is no number of shots", case=where)
    return int(key)


def _manifest(content: Any, where: str) -> PurePosixPath:
    """A path inside the benchmark's folder: a list of episodes must not make medfs read others."""
    path = PurePosixPath(content) if isinstance(content, str) else PurePosixPath("/")
    if path.is_absolute() or ".." in path.parts or "\\" in str(path) or ":" in str(path):
        raise ConfigError("the manifest must be a file beside the episodes", case=where)
    return path


def _fields(content: Any, names: set[str], where: str) -> dict[str, Any]:
    found = _object(content, where)
    if set(found) != names:
        raise ConfigError(
            f"it must hold {sorted(names)} and nothing else",
            case=where,
            why=f"It holds {sorted(found)}",
        )
    return found


def _object(content: Any, where: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ConfigError(f"an object is needed, found {type(content).__name__}", case=where)
    return content


def _list(content: Any, where: str) -> list[Any]:
    if not isinstance(content, list):
        raise ConfigError(f"a list is needed, found {type(content).__name__}", case=where)
    return content


def _names(content: Any, where: str) -> list[str]:
    names = _list(content, where)
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigError("a list of names is needed", case=where)
    return names


def _count(content: Any, where: str) -> int:
    if type(content) is not int or content < 1:
        raise ConfigError(f"{where} must be a positive integer, found {content!r}")
    return content
