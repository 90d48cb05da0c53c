"""A bundle's configuration → the plain values of its `network_def`."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medfs.core.errors import IntegrityError, ScanReadError

NETWORK = "network_def"
# In this order: what the weights are run with counts before what they were trained with.
_CONFIGS = ("configs/inference.json", "configs/train.json")
# Configurations of the model zoo have up to 30 KB.
_LARGEST = 1 << 20
_CHAIN = 8  # references that lead to references
_DEEPEST, _LONGEST, _HIGHEST = 3, 32, 4096
_TEXT = re.compile(r"[A-Za-z0-9_+-]{0,32}")
_KEY = re.compile(r"[a-z][A-Za-z0-9_]{0,40}")
_WRITE_IT = "Write the value itself in its place, if you trust the bundle"


def read_network_def(folder: Path) -> tuple[dict[str, Any], str]:
    """The definition, with references in place of which their values stand; and where it was.

    Args:
        folder: of the bundle.

    Raises:
        ScanReadError: there is no configuration that can be read.
        IntegrityError: it defines no network, or by more than plain values.
    """
    seen = [name for name in _CONFIGS if (folder / name).is_file()]
    for name in seen:
        where = str(folder / name)
        content = parse(_bytes(folder / name), where)
        if NETWORK in content:
            return resolve(content, where), where
    if seen:
        raise IntegrityError(
            f"there is no {NETWORK} here",
            case=str(folder / seen[0]),
            todo=f"Give a bundle whose configuration names its network under {NETWORK!r}",
        )
    raise ScanReadError(
        "there is no MONAI bundle here",
        case=str(folder),
        why=f"Neither {' nor '.join(_CONFIGS)} is there; YAML and zips are not read",
        todo="Give the unpacked folder of a bundle; write a YAML configuration as JSON",
    )


def parse(data: bytes, where: str) -> dict[str, Any]:
    """An object of JSON: no key twice, no NaN; IntegrityError otherwise."""
    try:
        content = json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
        if not isinstance(content, dict):
            raise ValueError("it must hold an object")
    except (ValueError, RecursionError) as error:
        raise IntegrityError(
            "is no configuration that medfs reads", case=where, why=str(error)[:200]
        ) from error
    return content


def resolve(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`network_def` of a configuration, as plain values.

    Args:
        content: of the whole file, in which references are looked up.
        where: for errors.

    Raises:
        IntegrityError: an expression, an object to be built, a value out of bounds, or a reference
            to anything but a plain value of the file.
    """
    found = content[NETWORK]
    if not isinstance(found, dict):
        raise refusal(where, NETWORK, "It must be an object with a _target_")
    plain = {k: v for k, v in found.items() if k != "_desc_"}
    target = plain.pop("_target_", None)
    if not isinstance(target, str):
        raise refusal(where, NETWORK, "It has no _target_ that is a text")
    reader = _Reader(content, where)
    return {"_target_": target, **{k: reader.value(v, k) for k, v in plain.items()}}


class _Reader:
    """Literals of one file."""

    def __init__(self, content: Mapping[str, Any], where: str) -> None:
        self.content, self.where = content, where

    def value(self, value: Any, at: str, depth: int = 0, chain: int = 0) -> Any:
        """A plain value at a place; what references stand for in place of them."""
        if not _KEY.fullmatch(at.rsplit("#", 1)[-1]) and depth == 0:
            raise refusal(self.where, at, "It is no name of an argument")
        if isinstance(value, str):
            return self._text(value, at, depth, chain)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            if not abs(value) <= _HIGHEST:
                raise refusal(self.where, at, f"No network needs the number {value!r}"[:100])
            return value
        return self._several(value, at, depth, chain)

    def _text(self, value: str, at: str, depth: int, chain: int) -> Any:
        if value.startswith("@"):
            return self._reference(value, at, depth, chain)
        if value.startswith("$"):
            why = f"{value[:80]!r} is an expression, and nothing of a bundle is evaluated"
            raise refusal(self.where, at, why, _WRITE_IT)
        if value.startswith("%"):
            raise refusal(self.where, at, f"{value[:80]!r} reads another file", _WRITE_IT)
        if not _TEXT.fullmatch(value):
            raise refusal(self.where, at, f"{value[:80]!r} is no name of a part of a network")
        return value

    def _reference(self, value: str, at: str, depth: int, chain: int) -> Any:
        if chain >= _CHAIN:
            raise refusal(self.where, at, f"{value[:80]!r} leads from reference to reference")
        found: Any = self.content
        for part in value[1:].replace("::", "#").split("#"):
            if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, dict) and part in found:
                found = found[part]
            else:
                why = f"{value[:80]!r} stands for nothing in this file"
                raise refusal(self.where, at, why, _WRITE_IT)
        return self.value(found, at, depth, chain + 1)

    def _several(self, value: Any, at: str, depth: int, chain: int) -> Any:
        if depth >= _DEEPEST or len(value) > _LONGEST:
            raise refusal(self.where, at, "It is nested too deeply or too long for a network")
        if isinstance(value, list):
            return [self.value(v, f"{at}#{i}", depth + 1, chain) for i, v in enumerate(value)]
        for key in value:
            if not _KEY.fullmatch(key):
                why = f"{key[:80]!r} in a value would build or change something"
                raise refusal(self.where, at, why, "Only plain values are read")
        return {k: self.value(v, f"{at}#{k}", depth + 1, chain) for k, v in value.items()}


def refusal(where: str, at: str, why: str, todo: str | None = None) -> IntegrityError:
    """What is said of a definition that is not read."""
    return IntegrityError(
        f"{at} is not read",
        case=where,
        why=why,
        todo=todo or "Only a known network of MONAI with plain values is; see docs/backbones.md",
    )


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise ScanReadError("cannot be read", case=str(path), why=error.strerror) from error
    if len(content) > _LARGEST:
        raise IntegrityError("is larger than any configuration is", case=str(path))
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:80]!r} is given twice")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")
