"""Tasks with other anatomy, through the command line: does `--features auto` choose well?

    python benchmarks/rehearsal.py --volumes DIR --out rehearsal.json

DIR holds `hippocampus/images` and `labels` (MSD Task04, real MR) and `head_label_maps` (SynthSeg,
from which an MR is rendered: `rehearsal_tasks.py`). Ten cases per class are the support; AUROC
(mean over pairs of classes) is that of the cases of other patients. Each cell is one `medfs adapt`
and one `medfs predict`. The cells of `layout` were chosen while looking at `nuclei-unmarked`.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rehearsal_tasks import write_tasks
from tables import markdown, progress, write_json

from medfs.metrics.discrimination import macro_auroc

METHODS = {
    "auto (default)": (),
    "radiomics": ("--features", "radiomics"),
    "radiomics, ridge": ("--features", "radiomics", "--mapper", "ridge"),
}
_MEDFS = (sys.executable, "-c", "from medfs.cli.main import main; main()")


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="medfs-rehearsal-") as temporary:
        names = write_tasks(args.volumes, Path(temporary))
        rows = [_judged(Path(temporary) / name) for name in names]
    write_json(args.out, {"tasks": rows})
    head = ("task", *METHODS, "auto reads")
    print(markdown(head, [_line(row) for row in rows]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--volumes", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="JSON to write")
    return parser.parse_args()


def _judged(task: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"task": task.name, "methods": {}}
    for number, (name, options) in enumerate(METHODS.items()):
        model, csv_file = task / f"model-{number}", task / f"predictions-{number}.csv"
        started = time.perf_counter()
        _run("adapt", "--support", task / "support.csv", "--out", model, "--no-cache", *options)
        seconds = time.perf_counter() - started
        progress(f"{task.name}: {name}, {seconds:.1f} s")
        # All methods are judged on the same scans, those that medfs would rather not judge too.
        kept = ("--keep-unfamiliar", "--no-cache")
        _run("predict", model, task / "scans.csv", "--out", csv_file, *kept)
        report = json.loads((model / "report.json").read_text())
        found["methods"][name] = {
            "auroc": _auroc(csv_file, task / "truth.csv"),
            "features": report["components"]["features"],
            "mapper": report["components"]["mapper"],
            "choice": report.get("feature_choice"),
            "seconds": round(seconds, 2),
        }
    return found


def _run(*arguments: object) -> None:
    done = subprocess.run([*_MEDFS, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"medfs {' '.join(map(str, arguments))}:\n{done.stderr}")


def _auroc(predictions: Path, truth: Path) -> float:
    with truth.open(newline="", encoding="utf-8") as file:
        label_of = {row["case"]: row["label"] for row in csv.DictReader(file)}
    with predictions.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = sorted(set(label_of.values()))
    said = np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows])
    return macro_auroc(said, np.array([classes.index(label_of[row["case"]]) for row in rows]))


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    methods = row["methods"]
    first = next(iter(methods.values()))
    aurocs = (f"{m['auroc']:.3f}" for m in methods.values())
    return (row["task"], *aurocs, " + ".join(first["features"]))


if __name__ == "__main__":
    main()
