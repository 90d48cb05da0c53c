"""Is meta-training that was killed and resumed the same, bit by bit, as if nothing had happened?

    python benchmarks/kill_and_resume.py

Runs `medfs meta-train` once undisturbed, then again with SIGKILL at random moments, each time going
on with --resume. Checkpoints are written every few steps, so that some kills hit one being written.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file
from tables import markdown, progress, section, write_json

from medfs.export.checkpoint import read_checkpoint
from medfs.workflows.meta.run import CHECKPOINT
from medfs.workflows.meta.train import MAPPER

SOURCE = {"kind": "gaussian", "n_features": 32}
PROGRAM = "from medfs.cli.main import main; main()"


def main() -> None:
    args = _arguments()
    dice = random.Random(args.seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config, whole, killed = folder / "run.yaml", folder / "whole", folder / "killed"
        config.write_text(yaml.safe_dump(_config(args.mapper, args.steps)))
        progress("undisturbed")
        if _start(config, whole).wait():
            sys.exit("the undisturbed run failed")
        rows = []
        for number in range(args.kills):
            # Anywhere in what is left, so that all kills fit in.
            left = args.steps - max(0, _step(killed))
            target = max(0, _step(killed)) + dice.uniform(0, 1.6) * left / (args.kills - number + 1)
            rows.append(_kill(config, killed, int(target), dice.uniform(0, 0.05)))
            progress(f"kill {number + 1} at step {rows[-1][0]}")
        if _start(config, killed, "--resume").wait():
            sys.exit("the last run failed")
        same = _same(whole, killed)
    head = ("kill", "steps kept", "while a file was written")
    cells = [
        (str(i + 1), str(step), "yes" if half else "no") for i, (step, half) in enumerate(rows)
    ]
    section("Kills", markdown(head, cells))
    print(f"mapper and checkpoint after {len(rows)} kills: {'identical' if same else 'DIFFERENT'}")
    write_json(args.out, {"schema_version": 1, "kills": rows, "identical": same})
    sys.exit(not same)


def _config(mapper: str, steps: int) -> dict[str, object]:
    return {
        "mapper": {"name": mapper, "settings": {"embedding": "population", "hidden": 32}},
        "train": {"family": dict(SOURCE)},
        "validation": {"family": dict(SOURCE)},
        "loop": {
            "steps": steps,
            "tasks": 8,
            "validate_every": 2,
            "validation_batches": 1,
            "patience": steps,
        },
    }


def _start(config: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, "-q", "meta-train", "--config", str(config)]
    return subprocess.Popen([*command, "--out", str(out), "--device", "cpu", *more])


def _kill(config: Path, out: Path, target: int, wait: float) -> tuple[int, bool]:
    """Go on beyond a step, then kill; returns the last step kept, and if half a file is left."""
    process = _start(config, out, "--resume")
    while _step(out) < target and process.poll() is None:
        time.sleep(0.005)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        sys.exit("the run ended before it was killed: ask for more steps")
    return _step(out), any(out.glob(f".{CHECKPOINT}.*"))


def _step(out: Path) -> int:
    return read_checkpoint(out / CHECKPOINT).step if (out / CHECKPOINT).is_file() else -1


def _same(one: Path, other: Path) -> bool:
    tensors = [load_file(folder / MAPPER) for folder in (one, other)]
    equal = all(torch.equal(t, tensors[1][name]) for name, t in tensors[0].items())
    bytes_equal = all(
        (one / n).read_bytes() == (other / n).read_bytes() for n in (MAPPER, CHECKPOINT)
    )
    return equal and bytes_equal


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mapper", default="hyper")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
