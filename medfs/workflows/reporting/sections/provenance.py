"""What made the model and this page: settings, files, software."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from medfs.reporting.values import Section, Table
from medfs.workflows.reporting.subject import Subject

_PACKAGES = ("medfs", "torch", "monai", "numpy", "scipy", "pydicom", "nibabel")


def provenance(subject: Subject) -> Section:
    """Tables of settings, hashes and versions."""
    preset = subject.predictor.embedder.preset.to_dict()
    made = {"medfs": subject.report["medfs"], **subject.settings}
    return Section(
        "provenance",
        "What made it",
        (
            _table("Settings of the model", ("Setting", "Value"), made),
            _table("Preprocessing", ("Setting", "Value"), preset),
            _table("Files of the model", ("File", "SHA-256"), subject.hashes),
            _table("Made this page", ("Software", "Version"), _software(subject)),
        ),
    )


def _software(subject: Subject) -> dict[str, str]:
    device = subject.predictor.embedder.device
    shown = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    packages = {name: version(name) for name in _PACKAGES}
    system = f"{platform.system()} {platform.machine()}"
    return {**packages, "Python": platform.python_version(), "System": system, "Device": shown}


def _table(caption: str, head: tuple[str, str], facts: Mapping[str, Any]) -> Table:
    rows = tuple((name, _plain(value)) for name, value in facts.items())
    return Table(caption, head, rows)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
