"""All audits of one bundle."""

import json
from pathlib import Path

from medfs.export.audit.configs import audit_config
from medfs.export.audit.files import (
    CHECKPOINTS,
    CONFIGS,
    audit_header,
    audit_kind,
    audit_sizes,
    audit_sums,
)
from medfs.export.audit.findings import Finding
from medfs.export.audit.pickles import audit_checkpoint
from medfs.export.audit.trees import Entry, Tree, open_tree

_NEEDED = ("LICENSE", "configs/metadata.json", "docs/README.md")
_KEYS = ("version", "monai_version", "pytorch_version", "task", "description")


def audit_bundle(path: Path) -> tuple[Finding, ...]:
    """What is wrong with a bundle, sorted; empty if nothing is.

    Args:
        path: its folder, or a zip of it.

    Raises:
        ScanReadError: there is neither.
    """
    tree = open_tree(path)
    found = [*tree.findings, *_structure(tree), *audit_sums(tree.files), *audit_sizes(tree.files)]
    for entry in tree.files.values():
        found += [*audit_kind(entry), *audit_header(entry)]
        if entry.suffix in CONFIGS:
            found += audit_config(entry)
        elif entry.suffix in CHECKPOINTS:
            found += audit_checkpoint(entry)
    return tuple(sorted(set(found)))


def _structure(tree: Tree) -> list[Finding]:
    absent = [name for name in _NEEDED if name not in tree.files]
    found = [Finding(name, "missing", "Every bundle has it") for name in absent]
    metadata = tree.files.get("configs/metadata.json")
    return found if metadata is None else [*found, *_metadata(metadata)]


def _metadata(entry: Entry) -> list[Finding]:
    try:
        content = json.loads(entry.content() or b"")
    except (ValueError, RecursionError):
        return []  # audit_config says that it cannot be read
    if not isinstance(content, dict):
        return [Finding(entry.name, "unreadable", "It must hold an object")]
    absent = [key for key in _KEYS if key not in content]
    return [Finding(entry.name, "missing", f"{key!r} is not stated") for key in absent]
