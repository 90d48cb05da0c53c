"""The README's example: ten patients per class of a manifest as support, the others as scans.

    python benchmarks/readme_example.py --manifest MANIFEST --out DIR
    medfs adapt --support DIR/support.csv --out DIR/model
    medfs predict DIR/model DIR/scans.csv --out DIR/predictions.csv
    python benchmarks/readme_example.py --manifest MANIFEST --judge DIR/predictions.csv

Patients are taken in the order of the SHA-256 of their ids; one case each goes into the support.
"""

import argparse
import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np

from medfs.core.cases import Case, Cohort
from medfs.metrics.discrimination import auroc
from medfs.scans.cohorts import load_cohort

PER_CLASS = 10


def main() -> None:
    args = _arguments()
    cohort = load_cohort(args.manifest)
    if args.judge is not None:
        print(f"AUROC on {_judged(cohort, args.judge)}")
        return
    support = _support(cohort)
    patients = {case.patient_id for case in support}
    args.out.mkdir(parents=True)
    _write(args.out / "support.csv", support, labelled=True)
    rest = [case for case in cohort.cases if case.patient_id not in patients]
    _write(args.out / "scans.csv", rest, labelled=False)
    print(f"{len(support)} support cases, {len(rest)} scans of other patients")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", type=Path, required=True, help="labelled, two classes")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="folder to write the two manifests to")
    what.add_argument("--judge", type=Path, help="predictions.csv to compare with the labels")
    return parser.parse_args()


def _support(cohort: Cohort) -> list[Case]:
    taken: Counter[str] = Counter()
    seen: set[str] = set()
    support = []
    by_hash = sorted(cohort.cases, key=lambda c: hashlib.sha256(c.patient_id.encode()).hexdigest())
    for case in by_hash:
        label = str(case.label)
        if case.patient_id not in seen and taken[label] < PER_CLASS:
            taken[label] += 1
            seen.add(case.patient_id)
            support.append(case)
    return support


def _write(path: Path, cases: list[Case], labelled: bool) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["case", "image", "mask", "patient", *(["label"] if labelled else [])])
        for case in cases:
            image, mask = case.image.resolve(), case.mask.resolve() if case.mask else ""
            label = [case.label] if labelled else []
            rows.writerow([case.case_id, image, mask, case.patient_id, *label])


def _judged(cohort: Cohort, predictions: Path) -> str:
    positive = cohort.class_names[1]
    with predictions.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["prediction"]]
    scores = np.array([float(row[f"p_{positive}"]) for row in rows])
    truth = np.array([cohort.by_id[row["case"]].label == positive for row in rows])
    return f"{len(rows)} scans: {auroc(scores, truth):.3f}"


if __name__ == "__main__":
    main()
