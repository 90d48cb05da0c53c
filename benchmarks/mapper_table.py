"""All mappers on the same frozen episodes of real scans, as they come and meta-trained.

    python benchmarks/mapper_table.py --benchmark DIR --trained DIR --out mappers.json

What `medfs evaluate` says, put into tables. DIR of --trained holds NAME/mapper.safetensors as
`benchmarks/held_out_families.py` leaves them; without it only untrained mappers are judged.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from posterior_predictive import TRAINABLE
from tables import markdown, progress, section, write_json

from medfs.export.mapper_file import read_mapper
from medfs.workflows.evaluate import EvaluateRequest, evaluate
from medfs.workflows.meta.train import MAPPER

UNTRAINED = ("ridge", *TRAINABLE)
NOTE = (
    "AUROC (macro one-vs-rest for three classes), NLL after the fitted temperature: mean over "
    "episodes; intervals and paired differences: 95 % by bootstrap over patients, given the "
    "support sets. ECE: top label, less its floor. s: seconds for all episodes of the cell, one "
    "thread, temperature and held-out cases included."
)


def main() -> None:
    args = _arguments()
    trained = {} if args.trained is None else _files(args.trained)
    specs = {name: name for name in UNTRAINED}
    specs |= {f"{name}={file}": f"{name}, meta-trained" for name, file in trained.items()}
    request = EvaluateRequest(
        benchmark=args.benchmark, tasks=tuple(args.task), mappers=tuple(specs), audits=False
    )
    results = evaluate(request, progress).results
    for task in results["classes"]:
        section(task, _table(task, results, specs))
    print(NOTE, *_trained_on(trained), sep="\n\n")
    write_json(args.out, _without_paths(results, specs))


def _files(folder: Path) -> dict[str, Path]:
    found = {name: folder / name / MAPPER for name in UNTRAINED}
    return {name: file for name, file in found.items() if file.is_file()}


def _table(task: str, results: dict[str, Any], specs: dict[str, str]) -> str:
    gaps = {
        (c["shots"], c["second"]): c["auroc"] for c in results["comparisons"] if c["task"] == task
    }
    rows = [r for r in results["results"] if r["task"] == task]
    cells = []
    for spec, label in specs.items():
        for row in (r for r in rows if r["mapper"] == spec):
            auroc, gap = row["auroc"], gaps.get((row["shots"], spec))
            cells.append(
                (
                    label,
                    str(row["shots"]),
                    f"{auroc['mean']:.3f} ({auroc['low']:.3f}–{auroc['high']:.3f})",
                    # The default is what all others are compared with.
                    "" if gap is None else _difference(gap),
                    f"{row['nll']['mean']:.3f}",
                    f"{row['ece']['value'] - row['ece']['floor']:.3f}",
                    f"{row['seconds']:.0f}",
                )
            )
    head = ("mapper", "K", "AUROC (95 %)", "minus ridge (95 %)", "NLL", "ECE", "s")
    return markdown(head, cells)


def _difference(gap: dict[str, float]) -> str:
    """Of the mapper of the row to the first one, which the comparison holds the other way round."""
    # Adding zero turns −0 into 0.
    mean, low, high = (round(-gap[key], 3) + 0.0 for key in ("mean", "high", "low"))
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def _trained_on(trained: dict[str, Path]) -> list[str]:
    lines = []
    for name, file in trained.items():
        facts = read_mapper(file).training
        sources = json.dumps(facts["config"]["train"], sort_keys=True)
        lines.append(
            f"`{name}, meta-trained`: {facts['tasks']:,} tasks, best after step "
            f"{facts['best']['step']}, on {sources}; no label of these cohorts was seen."
        )
    return lines


def _without_paths(results: dict[str, Any], specs: dict[str, str]) -> dict[str, Any]:
    text = json.dumps(results)
    for spec, label in specs.items():
        text = text.replace(json.dumps(spec), json.dumps(label))
    return json.loads(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--benchmark", type=Path, required=True, help="folder of frozen episodes")
    parser.add_argument("--trained", type=Path, help="folder of trained mappers")
    parser.add_argument("--task", nargs="+", default=[], help="all by default")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
