"""Tensors and what is to be known of them in one file: safetensors whose metadata holds JSON."""

import json
from collections.abc import Mapping
from typing import Any

from safetensors.torch import save
from torch import Tensor

from medfs.core.errors import IntegrityError
from medfs.storage.files import sha256
from medfs.storage.tensors import dense, tensors_from_bytes, tensors_to_bytes

_KEY = "medfs"


def described_to_bytes(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    """Safetensors bytes with facts and the hash of the tensors; same content, same bytes.

    Args:
        tensors: by name.
        facts: plain values that JSON holds exactly.
    """
    known = {"facts": facts, "sha256": sha256(tensors_to_bytes(tensors))}
    text = json.dumps(known, sort_keys=True, allow_nan=False)
    return save({name: dense(tensors[name]) for name in sorted(tensors)}, metadata={_KEY: text})


def described_from_bytes(content: bytes, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the facts.

    Raises:
        IntegrityError: `content` is truncated, changed, or was not written by medfs.
    """
    tensors = tensors_from_bytes(content, name)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    try:
        known = json.loads(header["__metadata__"][_KEY])
        facts, digest = known["facts"], known["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            "was not written by medfs",
            case=name,
            why="It is a safetensors file without medfs's description",
        ) from error
    if digest != sha256(tensors_to_bytes(tensors)) or not isinstance(facts, dict):
        raise IntegrityError(
            "was changed after it was written",
            case=name,
            why="The hash of its tensors differs from the one it holds",
            todo="Copy it again from where it was made",
        )
    return tensors, facts
