"""How long medfs takes to start, adapt and predict, beside what its users would run otherwise.

    python benchmarks/speed.py --scans MANIFEST

MANIFEST holds labelled scans with masks, at least 10 of each of two classes beside those to be
predicted. Everything is measured in one run, in turn; figures are medians over the rounds.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tables import markdown, progress, section, write_json

from medfs.core.cases import Case
from medfs.scans.cohorts import load_cohort

STEPS = Path(__file__).with_name("speed_steps.py")
MEMORY_AT = (25, 100, 400)
ADAPT_IMPORTS = (
    "import medfs.cli.main, medfs.workflows.adapt, medfs.workflows.wording, "
    "medfs.features.radiomics, medfs.mappers.ridge"
)
NOTE = (
    "medfs reads the next scans in a second thread while it computes in another; the plain MONAI "
    "pipeline is one loop. In both, radiomics run on one thread. “medfs adapt, beyond imports” is "
    "the wall time of the command less that of a process that only imports what it imports."
)


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        support, others = split_scans(args.scans, args.n_adapt)
        write_scans(folder / "support.csv", support, len(support), labelled=True)
        results: dict[str, Any] = {"start_up_s": start_up(args.rounds)}
        results["adapt_s"] = adapting(folder, args.rounds)
        write_scans(folder / "scans.csv", others, args.n_predict)
        results["predict"] = _step("throughput", folder, "scans.csv", args.rounds)
        results["peak_mib"] = memory(folder, others, args.memory)
    section("Start-up", _start_up_table(results["start_up_s"]))
    section(f"`medfs adapt`, {len(support)} scans with masks", _adapt_table(results["adapt_s"]))
    section(f"`medfs predict`, {args.n_predict} scans", _predict_table(results["predict"]))
    section("Peak memory of `medfs predict`", _memory_table(results["peak_mib"]))
    print(NOTE)
    write_json(args.out, results)


def start_up(rounds: int) -> dict[str, float]:
    """Median wall seconds of whole processes."""
    progress("start-up")
    medfs, python = medfs_command(), sys.executable
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "medfs --help": [medfs, "--help"],
        "medfs info": [medfs, "info"],
        'python -c "import torch"': [python, "-c", "import torch"],
        'python -c "import monai"': [python, "-c", "import monai"],
    }
    return _medians({name: [command] for name, command in commands.items()}, rounds)


def adapting(folder: Path, rounds: int) -> dict[str, float]:
    """Median wall seconds of `medfs adapt` without cache, and of its imports; leaves `model/`."""
    progress("adapt")
    support, model = folder / "support.csv", folder / "model"
    adapt = [medfs_command(), "--quiet", "adapt", "--support", str(support), "--no-cache", "--out"]
    run([*adapt, str(model)])
    runs = [[*adapt, str(folder / f"model-{i}")] for i in range(rounds)]
    return _medians(
        {"imports": [[sys.executable, "-c", ADAPT_IMPORTS]], "medfs adapt": runs}, rounds
    )


def memory(folder: Path, cases: Sequence[Case], counts: Sequence[int]) -> dict[str, float]:
    """Peak MiB of `medfs predict` by number of scans; scans recur where there are too few."""
    peaks = {}
    for count in counts:
        progress(f"memory at {count} scans")
        write_scans(folder / f"{count}.csv", cases, count)
        peaks[str(count)] = _step("memory", folder, f"{count}.csv", 1)["peak_mib"]
    return peaks


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scans", type=Path, required=True, help="manifest with masks and labels")
    parser.add_argument("--n-adapt", type=int, default=20, help="scans to adapt to, both classes")
    parser.add_argument("--n-predict", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", nargs="+", type=int, default=MEMORY_AT, help="scan counts")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


def split_scans(manifest: Path, n_adapt: int) -> tuple[list[Case], list[Case]]:
    """As many cases of each of the first two classes, one per patient, and all other patients."""
    cohort = load_cohort(manifest)
    per_class, support, taken = n_adapt // 2, [], set[str]()
    for name in cohort.class_names[:2]:
        free = {c.patient_id: c for c in cohort.of_class(name) if c.patient_id not in taken}
        chosen = list(free.values())[:per_class]
        support += chosen
        taken |= {c.patient_id for c in chosen}
    others = [c for c in cohort.cases if c.patient_id not in taken]
    if len(support) < 2 * per_class or not others or any(c.mask is None for c in cohort.cases):
        raise SystemExit(f"{manifest}: {per_class} patients of two classes, all with masks, needed")
    return support, others


def write_scans(path: Path, cases: Sequence[Case], count: int, labelled: bool = False) -> None:
    """A manifest of `count` rows, each with a case id of its own; cases recur if there are few."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["case", "image", "mask", "patient", *(["label"] if labelled else [])])
        for i in range(count):
            case = cases[i % len(cases)]
            label = [case.label] if labelled else []
            image, mask = case.image.resolve(), Path(str(case.mask)).resolve()
            rows.writerow([f"{case.case_id}-{i:04d}", image, mask, case.patient_id, *label])


def _medians(commands: dict[str, list[list[str]]], rounds: int) -> dict[str, float]:
    """Every command once per round, in turn; of several forms the round picks one."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for i in range(rounds):
        for name, forms in commands.items():
            started = time.perf_counter()
            run(forms[i % len(forms)])
            seconds[name].append(time.perf_counter() - started)
    return {name: median(values) for name, values in seconds.items()}


def _step(name: str, folder: Path, scans: str, rounds: int) -> dict[str, float]:
    progress(name)
    arguments = [str(folder / "model"), str(folder / scans), "--rounds", str(rounds)]
    result: dict[str, float] = json.loads(
        run([sys.executable, str(STEPS), name, *arguments]).splitlines()[-1]
    )
    return result


def run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def medfs_command() -> str:
    beside = Path(sys.executable).with_name("medfs")
    found = str(beside) if beside.is_file() else shutil.which("medfs")
    if found is None:
        raise SystemExit("the command medfs is not installed")
    return found


def _start_up_table(seconds: dict[str, float]) -> str:
    bare = seconds["python -c pass"]
    rows = [(name, f"{s:.3f}", f"{s / bare:.1f}") for name, s in seconds.items()]
    return markdown(("process", "seconds", "times `python -c pass`"), rows)


def _adapt_table(seconds: dict[str, float]) -> str:
    whole, imports = seconds["medfs adapt"], seconds["imports"]
    rows = [
        ("its imports alone", f"{imports:.2f}", "1.0"),
        ("medfs adapt, whole process", f"{whole:.2f}", f"{whole / imports:.1f}"),
        ("medfs adapt, beyond imports (wanted: ≤ 3)", f"{whole - imports:.2f}", ""),
    ]
    return markdown(("process", "seconds", "times its imports"), rows)


def _predict_table(result: dict[str, float]) -> str:
    medfs, plain = result["medfs_scans_per_s"], result["monai_scans_per_s"]
    rows = [
        ("medfs (wanted: ≥ 20)", f"{medfs:.1f}", f"{medfs / plain:.1f}"),
        ("plain MONAI, same features and head", f"{plain:.1f}", "1.0"),
    ]
    table = markdown(("after imports, no cache", "scans/s", "times plain MONAI"), rows)
    return f"{table}\n\nBoth predict the same class for {result['same_class']:.0%} of the scans."


def _memory_table(peaks: dict[str, float]) -> str:
    first = next(iter(peaks.values()))
    rows = [(count, f"{mib:.0f}", f"{mib / first:.2f}") for count, mib in peaks.items()]
    return markdown(("scans", "MiB", "times the first row"), rows)


if __name__ == "__main__":
    main()
