"""Names of the classes that a datalist gives as numbers."""

from pathlib import Path
from typing import Any

from medfs.core.errors import CohortError
from medfs.scans.cohorts.text import check_text

_KEYS = ("label_names", "class_names", "labels")


def label_names(content: Any, path: Path, *, of_masks: bool) -> dict[int, str]:
    """Number → name; empty where the datalist names none.

    Args:
        content: the datalist.
        path: its file, for messages.
        of_masks: whether `labels` names the voxels of masks, as in the Medical Segmentation
            Decathlon, and not the classes.

    Raises:
        CohortError: names given twice, or in a form that is not understood.
    """
    if not isinstance(content, dict):
        return {}
    keys = [k for k in _KEYS if content.get(k) and not (of_masks and k == "labels")]
    if not keys:
        return {}
    if len(keys) > 1:
        raise _unclear(path, f"They are given as {' and as '.join(keys)}", "Keep one of them")
    given = content[keys[0]]
    pairs = list(enumerate(given)) if isinstance(given, list) else _pairs(given)
    names = {i: check_text(n, keys[0], path) for i, n in pairs if i is not None and _is_name(n)}
    if len(names) < len(given) if isinstance(given, (dict, list)) else True:
        raise _unclear(
            path,
            f"{keys[0]!r} is not a list of names, nor does it pair every number with one",
            f'Write it as "{keys[0]}": {{"0": "benign", "1": "malignant"}}',
        )
    if len(set(names.values())) < len(names):
        raise _unclear(path, "Two numbers have the same name", "Give every class its own name")
    return names


def _pairs(given: Any) -> list[tuple[int | None, Any]]:
    """(number, name), of an object that is written in either direction."""
    if not isinstance(given, dict):
        return []
    if all(type(value) is int for value in given.values()):
        return [(value, name) for name, value in given.items()]
    return [(_number(key), value) for key, value in given.items()]


def _number(key: str) -> int | None:
    return int(key) if key.isascii() and key.isdigit() and len(key) < 10 else None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _unclear(path: Path, why: str, todo: str) -> CohortError:
    return CohortError("the names of the classes are not clear", case=path.name, why=why, todo=todo)
