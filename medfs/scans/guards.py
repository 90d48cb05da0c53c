"""What every reader does around foreign bytes: typed errors, silence, and file hashes."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from medfs.core.errors import MedfsError, ScanReadError

_COPY_AGAIN = "Copy or export the scan again, and check that other software opens it"
_PIECE = 1 << 22  # bytes read at once


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn whatever a parser raises on `name` into a ScanReadError.

    Parsers of untrusted bytes raise nearly anything (struct.error, KeyError, RecursionError, …), so
    that no list of classes would be complete. Errors of medfs pass unchanged.
    """
    try:
        with _quiet:
            yield
    except MedfsError:
        raise
    except MemoryError as error:
        raise ScanReadError(
            f"{name} needs more memory than this machine has",
            todo="Use a machine with more memory, or crop the scan",
        ) from error
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        raise ScanReadError(f"{name} cannot be read", why=why, todo=_COPY_AGAIN) from error
    except Exception as error:
        why = str(error) or type(error).__name__
        raise ScanReadError(f"{name} cannot be decoded", why=why, todo=_COPY_AGAIN) from error


def read_buffer(
    path: Path, each: Callable[[memoryview], object] = lambda _: None
) -> UInt8[np.ndarray, "byte"]:
    """All bytes, in writable memory, of a regular file that holds at least one.

    `each` is given every piece of the file, in order, as soon as it is there.

    Raises:
        ScanReadError: missing, empty, not a regular file, or not readable.
    """
    with reading(path.name):
        if not path.exists():
            raise ScanReadError(
                f"{path.name} does not exist",
                why=f"There is nothing at {path}",
                todo="Check the path, and that the disk or share is connected",
            )
        if not path.is_file():
            raise ScanReadError(f"{path.name} is not a file", why=f"It lies at {path}")
        content, filled = np.empty(path.stat().st_size, np.uint8), 0
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(content.data[filled : filled + _PIECE]):
                each(content.data[filled : filled + count])
                filled += count
    if not filled:
        raise ScanReadError(f"{path.name} is empty", why="Its size is 0 bytes", todo=_COPY_AGAIN)
    return content[:filled]


def files_in(folder: Path) -> list[Path]:
    """Entries of a folder that are not hidden, sorted by name."""
    with reading(folder.name):
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))


class _Quiet:
    """Ignore warnings while any thread reads.

    `warnings.catch_warnings` alone is not safe when two threads enter and leave it in turn: the
    filters of the first would stay behind. Here the first one in sets them, the last one out
    restores them. What matters among the warnings of pydicom and nibabel is checked by the readers.
    """

    def __init__(self) -> None:
        self._lock, self._depth = threading.Lock(), 0
        self._catch: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._depth += 1
            if self._catch is None:
                self._catch = warnings.catch_warnings()
                self._catch.__enter__()
                warnings.simplefilter("ignore")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._catch is not None:
                self._catch.__exit__(None, None, None)
                self._catch = None


_quiet = _Quiet()


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings while anything is read within; `reading` inside of it costs next to nothing."""
    with _quiet:
        yield
