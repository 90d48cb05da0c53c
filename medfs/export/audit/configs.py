"""Configurations of a bundle: which objects they would build, which expressions evaluate."""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import yaml

from medfs.export.audit.findings import Finding
from medfs.export.audit.trees import Entry

# What a bundle may build: parts of workflows, none of which runs programs or opens arbitrary files.
_ALLOWED = re.compile(
    r"^(monai\.(networks|transforms|data|inferers|engines|handlers|losses|metrics|optimizers|apps)"
    r"|torch\.(nn|optim)|ignite\.(metrics|handlers)"
    r"|medfs\.(scans\.monai|preprocess\.transforms|workflows\.bundle))\.[\w.]+$"
    r"|^torch\.(device|utils\.data\.DataLoader)$"
)
# Modules import others: `monai.data.utils.os.system` is a name too.
_OTHERS = (sys.stdlib_module_names | {"torch", "numpy", "np", "hub", "jit"}) - {"io"}
_LOADERS = re.compile(r"^(load|download|extract|run|exec|eval|import|optional_import)")
_KNOWN_NAME = re.compile(r"^[A-Z][A-Za-z0-9]*$")
# What starts a workflow: a method of an object that the configuration itself built.
_RUN = re.compile(r"^\$@(evaluator|trainer|validate#evaluator|train#trainer)\.run\(\)$")
_PLACES = ("run", "initialize", "finalize")
_ABSOLUTE = re.compile(r"^(/(home|Users|root|mnt|data|tmp|media)/|[A-Za-z]:[\\/]|\\\\|~)")
_DEPTH = 64


def audit_config(entry: Entry) -> list[Finding]:
    """Everything in one JSON or YAML file that could do more than describe."""
    content = entry.content()
    if content is None:
        return [Finding(entry.name, "oversized", f"A configuration of {entry.size} bytes")]
    try:
        parsed = _parse(entry, content)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        return [Finding(entry.name, "unreadable", str(error).splitlines()[0][:200])]
    return [
        Finding(f"{entry.name}: {'#'.join(at)}", what, why)
        for at, value in _walk(parsed, ())
        for what, why in _judge(at, value)
    ]


def _parse(entry: Entry, content: bytes) -> Any:
    text = content.decode("utf-8")
    return json.loads(text) if entry.suffix == ".json" else yaml.safe_load(text)


def _walk(value: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every plain value with its place."""
    if len(at) > _DEPTH:
        raise ValueError(f"nested deeper than {_DEPTH} levels")
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _walk(part, (*at, str(key)))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _walk(part, (*at, str(i)))
    else:
        yield at, value


def _judge(at: tuple[str, ...], value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, str):
        return
    if at and at[-1] == "_target_":
        yield from _target(value)
        return
    yield from _text(at, value)


def _target(name: str) -> Iterator[tuple[str, str]]:
    if name.startswith(("$", "@", "%")):
        yield "computed target", f"{name!r} decides at run time what is called"
    elif "." not in name:
        # MONAI looks bare names up among its own components.
        if not _KNOWN_NAME.match(name):
            yield "foreign target", f"{name!r} is no component of MONAI"
    elif not _ALLOWED.match(name) or not _own(name):
        yield "foreign target", f"{name!r} would be called"


def _own(name: str) -> bool:
    """No part of a dotted name leads out of its package, and the last does not load or run."""
    _, *parts = name.split(".")
    return not (set(parts) & _OTHERS or _LOADERS.match(parts[-1]))


def _text(at: tuple[str, ...], value: str) -> Iterator[tuple[str, str]]:
    if value.startswith("$") and not (_RUN.match(value) and at[0] in _PLACES):
        yield "expression", f"{value[:120]!r} would be evaluated"
    if value.startswith("%") and (".." in value or _ABSOLUTE.match(value[1:])):
        yield "path traversal", f"{value[:120]!r} reads another file"
    elif ".." in re.split(r"[\\/]", value):
        yield "path traversal", f"{value[:120]!r} leads out of the bundle"
    if _ABSOLUTE.match(value):
        yield "personal path", f"{value[:120]!r} names a place on somebody's machine"
