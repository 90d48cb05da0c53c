"""Processes that read mutants under limits of time and memory; read by `fuzz_scans.py`."""

import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "scans"))

from scan_fuzz.judge import judge, write
from scan_fuzz.mutants import Mutant, mutant, seeds

# Starting a worker imports pydicom and highdicom and makes the seeds.
_START_SECONDS = 120.0
_MAKE_SECONDS = 300.0


@dataclass(frozen=True)
class Limits:
    """What reading one mutant may take: seconds, and GiB of address space for each process."""

    seconds: float
    gib: float


@dataclass(frozen=True)
class Result:
    """What became of one mutant; `peak_mib` is the most that its worker has used so far."""

    index: int
    kind: str
    damage: str
    outcome: str
    detail: str
    seconds: float
    peak_mib: float


def results(seed: int, indices: range, limits: Limits) -> Iterator[Result]:
    """One result per index; a worker that dies or hangs is replaced after its mutant."""
    while indices:
        done = 0
        for result in _of_one_worker(seed, indices, limits):
            done += 1
            yield result
        indices = indices[done:]


def _of_one_worker(seed: int, indices: range, limits: Limits) -> Iterator[Result]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    worker = context.Process(target=_work, args=(there, seed, indices, limits), daemon=True)
    worker.start()
    there.close()
    try:
        if not here.poll(_START_SECONDS) or here.recv() != "ready":
            raise SystemExit("a worker could not start")
        for index in indices:
            # The limit is for reading; making a mutant (a bomb packed anew) has its own.
            if not here.poll(_MAKE_SECONDS) or here.recv() != "made":
                raise SystemExit(f"mutant {index} of seed {seed} could not be made")
            if not here.poll(limits.seconds):
                yield _lost(seed, index, "timeout", limits.seconds)
                return
            yield here.recv()
    except EOFError:
        yield _lost(seed, index, "crash", 0.0)
    finally:
        _end(worker)


def _lost(seed: int, index: int, outcome: str, seconds: float) -> Result:
    damaged = mutant(seed, index)
    return Result(index, damaged.seed.kind, damaged.damage, outcome, outcome, seconds, 0.0)


def _end(worker: multiprocessing.process.BaseProcess) -> None:
    """End the worker, and with it the decoders that it started."""
    try:
        os.killpg(worker.pid or 0, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # ended, or not yet the head of its group
        worker.kill()
    worker.join()


def _work(results: Connection, seed: int, indices: range, limits: Limits) -> None:
    os.setsid()
    most = int(limits.gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seeds()
    results.send("ready")
    with tempfile.TemporaryDirectory(prefix="fuzz-scans-") as place:
        for index in indices:
            damaged = mutant(seed, index)
            results.send("made")
            results.send(_read(damaged, Path(place) / "mutant"))


def _read(damaged: Mutant, folder: Path) -> Result:
    write(damaged, folder)
    started = time.monotonic()
    outcome = judge(damaged, folder)
    seconds = time.monotonic() - started
    shutil.rmtree(folder)
    used = [
        resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return Result(
        damaged.index,
        damaged.seed.kind,
        damaged.damage,
        outcome.kind,
        outcome.detail,
        seconds,
        max(used) / 1024,
    )
