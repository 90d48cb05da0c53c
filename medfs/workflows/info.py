"""What this installation can do. Imports neither torch nor MONAI unless devices are asked for."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from medfs.core.registry import Registry
from medfs.storage.configs import config_names, read_config
from medfs.storage.files import sha256
from medfs.storage.shipped import shipped_file, shipped_names
from medfs.workflows.registries import BACKBONES, CALIBRATORS, EXPORTERS, MAPPERS, READERS

_PACKAGES = ("torch", "monai", "numpy", "scipy", "scikit-learn", "nibabel", "pydicom")


def describe(devices: bool = False) -> dict[str, Any]:
    """Versions and every registered component; with `devices`, what torch can compute on."""
    facts: dict[str, Any] = {
        "schema_version": 1,
        "medfs": version("medfs"),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "readers": _entries(READERS),
        "presets": [
            {"name": name, "summary": read_config("presets", name).get("summary", "")}
            for name in config_names("presets")
        ],
        "backbones": _entries(BACKBONES),
        "mappers": _entries(MAPPERS),
        "shipped": [_shipped(name) for name in shipped_names()],
        "calibrators": _entries(CALIBRATORS),
        "exporters": _entries(EXPORTERS),
        "shadowed": _shadowed(),
    }
    return {**facts, "devices": _devices()} if devices else facts


def _entries(registry: Registry) -> list[dict[str, str]]:
    return [
        {"name": e.name, "summary": e.summary, "provider": e.provider, "version": e.version}
        for e in registry.entries().values()
    ]


def _shadowed() -> list[dict[str, str]]:
    """What other packages bring under a name that is taken."""
    return [
        {"kind": r.kind, "name": e.name, "provider": e.provider, "version": e.version}
        for r in (BACKBONES, MAPPERS)
        for e in r.shadowed()
    ]


def _shipped(name: str) -> dict[str, Any]:
    """Weights that come with medfs, known by their hash."""
    content = shipped_file(name).read_bytes()
    return {"name": name, "bytes": len(content), "sha256": sha256(content)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _devices() -> list[dict[str, Any]]:
    import torch

    found: list[dict[str, Any]] = [{"name": "cpu", "threads": torch.get_num_threads()}]
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        gib = round(facts.total_memory / 2**30, 1)
        found.append({"name": f"cuda:{index}", "model": facts.name, "memory_gib": gib})
    return found
