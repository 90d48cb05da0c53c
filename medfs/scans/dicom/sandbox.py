"""Native decoders at arm's length: in processes of their own, under limits of time and memory.

Image codecs are C and C++ that meet bytes from anywhere. A crash, a hang or a flood of memory there
ends the worker, and the reader says which image it was.
"""

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from jaxtyping import Shaped

from medfs.core.errors import ScanReadError
from medfs.scans.dicom import worker
from medfs.scans.dicom.worker import LENGTH_BYTES

# By its path: `-m` would import the packages around it, which takes longer than pydicom alone.
_COMMAND = (sys.executable, "-P", str(worker.__file__))
_WORKERS = 2
# Decoding 100 MB of voxels takes a few seconds on a slow core.
_SECONDS, _SECONDS_PER_BYTE = 60.0, 1e-6
_LONGEST_HEAD = 1 << 16
_AGAIN = "Export or copy the series again, if possible uncompressed"


class _Worker:
    def __init__(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603  (this Python, and our own file)
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )

    def ask(self, content: bytes, largest: int, seconds: float) -> tuple[dict[str, Any], bytes]:
        """The answer's head and body.

        Raises:
            EOFError: the process ended, or answers nonsense.
            TimeoutError: it was ended after `seconds`.
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            return self._exchange(content, largest)
        except (EOFError, OSError, ValueError, TypeError, RecursionError) as error:
            raise (TimeoutError() if late.is_set() else EOFError()) from error
        finally:
            timer.cancel()
            timer.join()
            if late.is_set():
                self.process.wait()

    def _exchange(self, content: bytes, largest: int) -> tuple[dict[str, Any], bytes]:
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:  # opened as pipes above
            raise EOFError
        stdin.write(len(content).to_bytes(LENGTH_BYTES, "little"))
        stdin.write(content)
        stdin.flush()
        length = int.from_bytes(_read(stdout, LENGTH_BYTES), "little")
        head = json.loads(_read(stdout, min(length, _LONGEST_HEAD)))
        if not isinstance(head, dict) or not head.keys() & {"shape", "error"}:
            raise EOFError
        if "shape" not in head:
            return head, b""
        size = _size(head)
        if not 0 <= size <= largest:
            raise EOFError
        return head, _read(stdout, size)

    def stop(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()


def _size(head: dict[str, Any]) -> int:
    """Bytes that the answer announces; it comes from where foreign bytes were decoded."""
    dtype = np.dtype(str(head.get("dtype")))
    if dtype.kind not in "iu" or any(type(n) is not int or n < 0 for n in head["shape"]):
        raise EOFError
    return int(np.prod(head["shape"], dtype=object)) * dtype.itemsize


def _read(stream: IO[bytes], count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content


class _Pool:
    """Workers wait here between images; each lives until it fails or the program ends."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(_WORKERS):
            self.idle.put(None)

    @contextmanager
    def worker(self) -> Iterator[_Worker]:
        found, kept = self.idle.get(), None
        try:
            # It may have been ended while it waited (memory was short, a timer fired late): that is
            # no fault of the next image.
            if found is not None and found.process.poll() is not None:
                found.stop()
                found = None
            found = found or _Worker()
            yield found
            kept = found
        finally:
            if kept is None and found is not None:
                found.stop()
            self.idle.put(kept)

    def close(self) -> None:
        if self.owner != os.getpid():
            return
        while not self.idle.empty():
            found = self.idle.get()
            if found is not None:
                found.stop()


_pool: _Pool | None = None
_lock = threading.Lock()
# Pools of the parent process: kept, so that nothing in them is closed or waited for here.
_inherited: list[_Pool] = []


def _after_fork() -> None:
    """Pipes of the parent must not be shared, and a lock that it held would never open."""
    global _pool, _lock
    _lock = threading.Lock()
    if _pool is not None:
        _inherited.append(_pool)
        _pool = None


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)


def _workers() -> _Pool:
    global _pool
    with _lock:
        if _pool is None:
            _pool = _Pool()
            atexit.register(_pool.close)
        return _pool


def decode_apart(name: str, content: bytes, declared: int) -> Shaped[np.ndarray, "*shape"]:
    """Stored values of a compressed file.

    Args:
        name: of the file, for messages.
        content: the whole file.
        declared: bytes that the header promises, which bound time and size.

    Raises:
        ScanReadError: damaged, or more than the limits allow.
    """
    seconds = _SECONDS + declared * _SECONDS_PER_BYTE
    try:
        with _workers().worker() as decoder:
            # 8-bit and 16-bit images may decode to a wider type.
            head, body = decoder.ask(content, declared * 4, seconds)
    except TimeoutError as error:
        why = f"{name}: decoding was stopped after {seconds:.0f} s"
        raise ScanReadError("an image takes too long to decode", why=why, todo=_AGAIN) from error
    except OSError as error:
        why = f"{name}: the process that decodes cannot be started ({error.strerror or error})"
        raise ScanReadError("an image cannot be decoded", why=why, todo=_AGAIN) from error
    except EOFError as error:
        why = f"{name}: the decoder crashed or ran out of memory"
        raise ScanReadError("an image cannot be decoded", why=why, todo=_AGAIN) from error
    if "error" in head:
        raise ScanReadError(
            "the pixels of an image are truncated or damaged",
            why=f"{name}: {head['error']}",
            todo=_AGAIN,
        )
    return np.frombuffer(body, np.dtype(str(head["dtype"]))).reshape(head["shape"])
