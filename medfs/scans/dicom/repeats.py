"""Several images at every position: times, echoes and b-values told apart."""

from collections.abc import Callable
from typing import Any

from medfs.core.errors import GeometryError
from medfs.scans.dicom.frames import TIMES, Frame

_KEYS = ("EchoTime", "b-value")
_OWN_FOLDER = "Put the images of one time, echo or b-value in a folder of their own"


def split_repeats(levels: list[list[Frame]]) -> tuple[list[list[Frame]], list[str]]:
    """Volumes of one image per position, in their order, with what tells each apart.

    Args:
        levels: planes by position, in the order of the stack; several at each position.

    Raises:
        GeometryError: copies of an image, positions that are repeated unequally, or nothing that
            tells the repeats apart.
    """
    _refuse_copies(levels)
    counts = sorted({len(level) for level in levels})
    if len(counts) > 1:
        raise _unequal(levels, counts)
    for names in (*((k,) for k in (*_KEYS, *TIMES)), _KEYS, *((*_KEYS, t) for t in TIMES)):
        volumes = _by_value(levels, names)
        if volumes is not None:
            return volumes
    for name in TIMES:
        ranked = _by_rank(levels, name)
        if ranked is not None:
            return ranked
    raise _repeats(levels, "nothing in the headers tells the repeats apart")


def _values(frame: Frame, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(frame.keys.get(n, frame.times.get(n)) for n in names)


def _by_value(
    levels: list[list[Frame]], names: tuple[str, ...]
) -> tuple[list[list[Frame]], list[str]] | None:
    """Volumes of equal value, if every position has the same values, each once."""
    tables = [{_values(f, names): f for f in level} for level in levels]
    values = list(tables[0])
    whole = all(len(t) == len(level) for t, level in zip(tables, levels, strict=True))
    if not whole or any(set(t) != set(values) for t in tables):
        return None
    values.sort(key=_natural)
    labels = [
        ", ".join(f"{n} {_shown(v)}" for n, v in zip(names, value, strict=True) if v is not None)
        for value in values
    ]
    return [[table[value] for table in tables] for value in values], labels


def _by_rank(levels: list[list[Frame]], name: str) -> tuple[list[list[Frame]], list[str]] | None:
    """The n-th volume is made of the n-th image of every position, if `name` orders them all."""
    order: Callable[[Frame], Any] = lambda f: _natural(_values(f, (name,)))  # noqa: E731
    for level in levels:
        if len({order(f) for f in level}) < len(level):
            return None
    ranked = [sorted(level, key=order) for level in levels]
    volumes = [[level[n] for level in ranked] for n in range(len(levels[0]))]
    return volumes, [f"number {n + 1} by {name}" for n in range(len(volumes))]


def _natural(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Numbers by size, texts by letters, missing values first."""
    key = []
    for value in values:
        value = value[0] if isinstance(value, tuple) and value else value
        try:
            key.append((1, float(value), ""))
        except (TypeError, ValueError):
            key.append((0 if value is None else 2, 0.0, str(value)))
    return tuple(key)


def _shown(value: Any) -> str:
    value = value[0] if isinstance(value, tuple) and value else value
    return f"{value:g}" if isinstance(value, float) else str(value)


def _refuse_copies(levels: list[list[Frame]]) -> None:
    seen: dict[tuple[str, int, int | None], Frame] = {}
    for frame in (f for level in levels for f in level):
        uid = frame.header.text("SOPInstanceUID")
        key = (uid, frame.index, frame.tile)
        if uid and key in seen:
            raise GeometryError(
                "an image is in the folder twice",
                why=f"{_apart(seen[key], frame)} are the same image",
                todo="Remove one of them",
            )
        seen[key] = frame


def _apart(one: Frame, other: Frame) -> str:
    """Both names, with their folders where they are the same."""
    if one.name != other.name:
        return f"{one.name} and {other.name}"
    return " and ".join(f"{f.header.file.folder}/{f.name}" for f in (one, other))


def _unequal(levels: list[list[Frame]], counts: list[int]) -> GeometryError:
    odd = next(level for level in levels if len(level) == counts[0])
    usual = counts[-1]
    where = f"{odd[0].name} lies at a position with {len(odd)}"
    return _repeats(levels, f"some positions have {usual} images, and {where}")


def _repeats(levels: list[list[Frame]], why: str) -> GeometryError:
    repeated = next(level for level in levels if len(level) > 1)
    number = sum(len(level) > 1 for level in levels)
    return GeometryError(
        "several images lie at the same position: repeats, or a 4D series that is not complete",
        why=f"{repeated[0].name} and {repeated[1].name} lie at one position, and {number} of "
        f"{len(levels)} positions are repeated; {why}",
        todo=_OWN_FOLDER,
    )
