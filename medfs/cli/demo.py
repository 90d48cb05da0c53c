"""`medfs demo`."""

from pathlib import Path
from typing import Annotated

import typer

from medfs.cli import options as opt
from medfs.cli.console import data, say, warn


def demo(
    out: Annotated[
        Path | None, typer.Option(help="Keep everything here; without it, nothing is kept.")
    ] = None,
    seed: opt.Seed = 0,
) -> None:
    """Simulate a small cohort, adapt to it, predict held-out scans, evaluate."""
    import tempfile

    from medfs.workflows.demo import demo as run
    from medfs.workflows.wording import in_words, results_table

    with tempfile.TemporaryDirectory(prefix="medfs-demo-") as temporary:
        result = run(out or Path(temporary) / "demo", seed, say)
    warn(result.adapted.warnings)
    data(in_words(result.adapted.report))
    told = sum(p.probabilities is not None for p in result.predictions)
    data(f"AUROC on {told} held-out scans: {result.held_out_auroc:.2f}")
    data(results_table(result.results))
    if out is not None:
        say(f"cases, model, predictions.csv and results.json are in {out}")
