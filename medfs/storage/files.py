"""Files that are written whole (temporary file, fsync, rename) or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medfs.core.errors import OutputError


def write_bytes(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write `content` to `path`, replacing what is there in one step.

    Args:
        path: the file; its folder is made if missing.
        content: the bytes.
        private: readable by the owner alone; otherwise by whom the umask allows.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o600 if private else 0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode("utf-8"))


def to_json(value: Any) -> str:
    """JSON with stable bytes: sorted keys, two spaces, a final newline, no NaN."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def check_new(path: Path) -> None:
    """OutputError if `path` exists already or its folder cannot be written, before any work."""
    if path.exists():
        raise OutputError(
            "the output exists already",
            case=str(path),
            todo="Choose another --out, or remove it first",
        )
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise OutputError("the output's folder is a file", case=str(parent))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(
            "the folder cannot be written",
            case=str(parent),
            todo="Choose another --out, or ask for write permission",
        )


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that appears at `path` only when the block ends without an error.

    Raises:
        OutputError: `path` exists already, or cannot be made.
    """
    check_new(path)
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=f".{path.name[:40]}."))
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield staging
        staging.chmod(0o777 & ~_umask())
        staging.rename(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        "cannot be written",
        case=str(path),
        why=error.strerror or str(error),
        todo="Choose another --out, or free space and permission there",
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
