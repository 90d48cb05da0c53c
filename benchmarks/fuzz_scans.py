"""Read many damaged scans: each must be refused with reasons, or read right.

python benchmarks/fuzz_scans.py --count 50000 --seed 0 --jobs 2 --report fuzz.json --keep findings
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from fuzz_worker import Limits, Result, results
from scan_fuzz.judge import FINDINGS, REFUSED, RIGHT, SOUND, write
from scan_fuzz.mutants import mutant, seeds
from tables import markdown, progress, write_json


def main() -> int:
    args = _arguments()
    limits = Limits(args.seconds, args.memory)
    indices = range(args.count) if args.index is None else range(args.index, args.index + 1)
    started = time.monotonic()
    with ThreadPoolExecutor(args.jobs) as pool:
        parts = [indices[job :: args.jobs] for job in range(args.jobs)]
        found = pool.map(lambda part: _collect(args.seed, part, limits), parts)
        read = sorted((r for part in found for r in part), key=lambda r: r.index)
    findings = [r for r in read if r.outcome in FINDINGS]
    _print(read, findings, time.monotonic() - started)
    if args.keep:
        _keep(args.keep, args.seed, findings)
    numbers = {"seed": args.seed, "read": len(read), "findings": [asdict(r) for r in findings]}
    write_json(args.report, numbers | {"slowest": [asdict(r) for r in _slowest(read)]})
    return 1 if findings else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="mutants to read")
    parser.add_argument("--seed", type=int, default=0, help="of the mutants")
    parser.add_argument("--index", type=int, help="read only this mutant")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--seconds", type=float, default=20.0, help="limit for each mutant")
    parser.add_argument("--memory", type=float, default=4.0, help="limit of each process, GiB")
    parser.add_argument("--keep", type=Path, help="folder for the mutants behind findings")
    parser.add_argument("--report", type=Path, help="JSON file for the findings")
    return parser.parse_args()


def _collect(seed: int, indices: range, limits: Limits) -> list[Result]:
    found = []
    for result in results(seed, indices, limits):
        found.append(result)
        if len(found) % 1000 == 0:
            progress(f"{len(found)} of {len(indices)} read by this job")
    return found


def _print(read: Sequence[Result], findings: Sequence[Result], seconds: float) -> None:
    counts = Counter((r.kind, r.outcome) for r in read)
    shown = [REFUSED, RIGHT, SOUND, *(f for f in FINDINGS if any(r.outcome == f for r in findings))]
    rows = [[kind, *(str(counts[kind, o]) for o in shown)] for kind in seeds()]
    totals = [str(sum(r.outcome == o for r in read)) for o in shown]
    print(markdown(["kind", *shown], [*rows, ["all", *totals]]))
    print(
        f"\nrefused: with reason and next step; right: as pydicom or nibabel reads the mutant; "
        f"sound: they cannot read it.\n{len(read)} mutants in {seconds:.0f} s, "
        f"{len(findings)} findings, at most {max(r.peak_mib for r in read):.0f} MiB.\nSlowest:"
    )
    for r in _slowest(read):
        print(f"  {r.seconds:.2f} s  {r.index} {r.kind}: {r.damage}")
    for r in findings:
        print(
            f"{r.outcome}: {r.index} {r.kind}: {r.damage}\n    {r.detail.strip()}", file=sys.stderr
        )


def _slowest(read: Sequence[Result]) -> list[Result]:
    return sorted(read, key=lambda r: -r.seconds)[:5]


def _keep(folder: Path, seed: int, findings: Sequence[Result]) -> None:
    for r in findings:
        place = folder / f"{seed}-{r.index}"
        write(mutant(seed, r.index), place)
        write_json(place / "finding.json", asdict(r))


if __name__ == "__main__":
    sys.exit(main())
