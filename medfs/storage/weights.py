"""Tensors that come with the package, read only if they are the right ones."""

from pathlib import Path

from torch import Tensor

from medfs.core.errors import IntegrityError
from medfs.storage.files import sha256
from medfs.storage.tensors import tensors_from_bytes


def read_shipped(path: Path, expected: str) -> dict[str, Tensor]:
    """Named tensors of a shipped file.

    Args:
        path: the file.
        expected: its SHA-256, as the code that uses it knows it.

    Raises:
        IntegrityError: the file is missing, or is not the one that belongs to this version.
    """
    again = "Install medfs again"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            "shipped weights cannot be read", case=path.name, why=error.strerror, todo=again
        ) from error
    if (found := sha256(content)) != expected:
        why = f"Its SHA-256 begins with {found[:12]}, that of this version with {expected[:12]}"
        raise IntegrityError("shipped weights were changed", case=path.name, why=why, todo=again)
    return tensors_from_bytes(content, path.name)
