"""How long `medfs report` takes, and how large its file is.

    OMP_NUM_THREADS=2 python benchmarks/report_time.py --scans MANIFEST

MANIFEST holds labelled scans with masks of two classes. Whole processes are timed, with six maps in
each report and 100 predictions.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from speed import medfs_command, run, split_scans, write_scans
from tables import markdown, progress, section

WANTED = {"s": 30.0, "MB": 8.0}


def main() -> None:
    args = _arguments()
    rows = []
    for n_cases in args.cases:
        progress(f"{n_cases} cases")
        with tempfile.TemporaryDirectory() as place:
            seconds, size = _report(Path(place), args.scans, n_cases, args.rounds)
        rows.append([f"{n_cases}", f"{median(seconds):.1f} ({min(seconds):.1f})", f"{size:.2f}"])
    head = ["cases", "seconds (fastest)", "MB"]
    section("`medfs report`", markdown(head, rows))
    print(
        f"Medians of {args.rounds} whole processes on {os.cpu_count()} cores, 100 predictions in "
        f"the report. Wanted of 40 cases: under {WANTED['s']:.0f} s and {WANTED['MB']:.0f} MB."
    )


def _report(folder: Path, manifest: Path, n_cases: int, rounds: int) -> tuple[list[float], float]:
    """Seconds of each round, and megabytes of the file."""
    support, others = split_scans(manifest, n_cases)
    write_scans(folder / "support.csv", support, len(support), labelled=True)
    write_scans(folder / "scans.csv", others, 100)
    medfs, model, told = medfs_command(), str(folder / "model"), str(folder / "told.csv")
    run([medfs, "--quiet", "adapt", "--support", str(folder / "support.csv"), "--out", model])
    run([medfs, "--quiet", "predict", model, str(folder / "scans.csv"), "--out", told])
    asked = ["--support", str(folder / "support.csv"), "--predictions", told]
    seconds = []
    for number in range(rounds):
        out = folder / f"report-{number}.html"
        start = time.perf_counter()
        run([medfs, "--quiet", "report", model, *asked, "--out", str(out)])
        seconds.append(time.perf_counter() - start)
    return seconds, out.stat().st_size / 1e6


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scans", type=Path, required=True, help="manifest with masks and labels")
    parser.add_argument("--cases", type=int, nargs="+", default=[20, 40], help="of both classes")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
