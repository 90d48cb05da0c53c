"""Named tensors as safetensors, and a content-addressed store of them."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from medfs.core.errors import IntegrityError, OutputError
from medfs.storage.files import sha256, write_bytes


def tensors_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Safetensors bytes; the same tensors always give the same bytes (names are sorted)."""
    return save({name: dense(tensors[name]) for name in sorted(tensors)})


def dense(tensor: Tensor) -> Tensor:
    """A copy of its own: safetensors refuses tensors that share memory."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def tensors_from_bytes(content: bytes, name: str) -> dict[str, Tensor]:
    """Named tensors; IntegrityError if `content` is not well-formed safetensors."""
    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise IntegrityError("is not a well-formed safetensors file", case=name) from error


class TensorCache:
    """Content-addressed tensors in a folder that its owner alone can read.

    A damaged entry counts as absent. `folder=None` keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @classmethod
    def default(cls) -> "TensorCache":
        """`$MEDFS_CACHE`, else `$XDG_CACHE_HOME/medfs`, else `~/.cache/medfs`."""
        if chosen := os.environ.get("MEDFS_CACHE"):
            return cls(Path(chosen))
        base = os.environ.get("XDG_CACHE_HOME")
        return cls((Path(base) if base else Path.home() / ".cache") / "medfs")

    def key(self, *parts: str) -> str:
        """A key that no other list of parts has."""
        return sha256("\0".join(f"{len(p)}:{p}" for p in parts).encode())

    def get(self, key: str) -> dict[str, Tensor] | None:
        if self.folder is None:
            return None
        try:
            return tensors_from_bytes(self._path(key).read_bytes(), key)
        except (OSError, IntegrityError):
            return None

    def put(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep `tensors`; a cache that cannot be written is left alone."""
        if self.folder is None:
            return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
            write_bytes(path, tensors_to_bytes(tensors), private=True)
        except (OSError, OutputError):
            self.folder = None

    def _path(self, key: str) -> Path:
        assert self.folder is not None  # noqa: S101
        return self.folder / key[:2] / f"{key}.safetensors"
