"""How long it takes to adapt to 2 × 10 scans and to predict 100, with nothing in medfs's cache.

    OMP_NUM_THREADS=2 python benchmarks/adapt_time.py --scans MANIFEST

MANIFEST holds labelled scans with masks, at least 10 patients of each of two classes beside those
to be predicted. Every round starts processes of its own: one that imports first and then counts,
and the command line as a user runs it. A fixed computation is timed before and after every round,
so that figures of a busy or another machine can be compared: its seconds, and ours in its units.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from speed import medfs_command, run, split_scans, write_scans
from tables import markdown, progress, section, write_json

# Adapting after imports, and the whole command; seconds on two cores that do nothing else.
WANTED = {"adapt, after imports": 5.0, "`medfs adapt`, whole process": 10.0}
NOTE = (
    "Medians over {rounds} rounds; in parentheses the fastest. “× reference”: over the seconds of "
    "a fixed computation around the same round: {reference:.2f} s ({low:.2f} to {high:.2f})."
)


def main() -> None:
    args = _arguments()
    if args.child is not None:
        print(json.dumps(_in_process(*args.child)))
        return
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        support, others = split_scans(args.scans, 20)
        write_scans(folder / "support.csv", support, len(support), labelled=True)
        write_scans(folder / "scans.csv", others, args.n_predict)
        for number in range(args.rounds):
            progress(f"round {number + 1} of {args.rounds}")
            before = reference()
            found = {**_child(folder, number), **_commands(folder, number)}
            found["reference"] = (before + reference()) / 2
            rounds.append(found)
    section("Machine", machine())
    section("Adapting to 2 × 10 scans with masks", _table(rounds, args.n_predict))
    write_json(args.out, {"machine": machine(), "rounds": rounds})


def reference() -> float:
    """Seconds of a computation that never changes: NumPy on one core, matrices and memory."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    square, long = rng.normal(size=(600, 600)), rng.normal(size=4_000_000)
    started = time.perf_counter()
    with threadpool_limits(1):
        for _ in range(10):
            square = square @ square
            square /= np.abs(square).max()
            np.sort(long)
    return time.perf_counter() - started


def machine() -> str:
    """What the figures depend on."""
    import torch

    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{os.cpu_count()} cores ({_processor()}){load}; Python {platform.python_version()}, "
        f"torch {torch.__version__}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _child(folder: Path, number: int) -> dict[str, float]:
    paths = [folder / "support.csv", folder / "scans.csv", folder / f"inside-{number}"]
    told = run([sys.executable, __file__, "--child", *map(str, paths)])
    result: dict[str, float] = json.loads(told.splitlines()[-1])
    return result


def _in_process(support: Path, scans: Path, out: Path) -> dict[str, float]:
    """In this process: imports, then adapt, then predictions; each counted by itself."""
    started = time.perf_counter()
    import medfs.cli.main
    import medfs.features.radiomics
    import medfs.mappers.mixture
    import medfs.mappers.ridge
    import medfs.preprocess.patching  # noqa: F401
    from medfs.workflows.adapt import AdaptRequest, adapt
    from medfs.workflows.predict import load_predictor, predict

    imported = time.perf_counter()
    adapt(AdaptRequest(support, out, use_cache=False))
    adapted = time.perf_counter()
    done = list(predict(load_predictor(out, use_cache=False), scans))
    predicted = time.perf_counter()
    if any(p.failed for p in done):
        raise SystemExit("a scan could not be predicted")
    return {
        "imports": imported - started,
        "adapt, after imports": adapted - imported,
        "predictions, after imports": predicted - adapted,
    }


def _commands(folder: Path, number: int) -> dict[str, float]:
    """Wall seconds of the two commands."""
    medfs, model = [medfs_command(), "--quiet"], str(folder / f"model-{number}")
    table = str(folder / f"{number}.csv")
    support, scans = str(folder / "support.csv"), str(folder / "scans.csv")
    commands = {
        "`medfs adapt`, whole process": ["adapt", "--support", support, "--out", model],
        "`medfs predict`, whole process": ["predict", model, scans, "--out", table],
    }
    seconds = {}
    for name, command in commands.items():
        started = time.perf_counter()
        run([*medfs, *command, "--no-cache"])
        seconds[name] = time.perf_counter() - started
    return seconds


def _table(rounds: Sequence[dict[str, float]], n_predict: int) -> str:
    lines: list[list[str]] = []
    for name in [n for n in rounds[0] if n != "reference"]:
        values = [r[name] for r in rounds]
        ratio = median(r[name] / r["reference"] for r in rounds)
        wanted = f"≤ {WANTED[name]:g}" if name in WANTED else ""
        told = f"{median(values):.2f} ({min(values):.2f})"
        lines.append([name, told, wanted, f"{ratio:.2f}"])
    references = [r["reference"] for r in rounds]
    note = NOTE.format(
        rounds=len(rounds),
        reference=median(references),
        low=min(references),
        high=max(references),
    )
    head = (f"{n_predict} predictions", "seconds", "wanted", "× reference")
    return f"{markdown(head, lines)}\n\n{note}"


def _arguments() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scans", type=Path, help="manifest with masks and labels")
    parser.add_argument("--n-predict", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--child", nargs=3, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.scans is None and args.child is None:
        parser.error("--scans is needed")
    return args


if __name__ == "__main__":
    main()
