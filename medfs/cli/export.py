"""`medfs export`."""

from pathlib import Path
from typing import Annotated

import typer

from medfs.cli.console import say


def export(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Folder that `medfs adapt` wrote.")
    ],
    out: Annotated[Path, typer.Option(help="File to write; must not exist.")],
    kind: Annotated[
        str, typer.Option("--format", help="onnx (ONNX, opset 18) or pt2 (torch.export).")
    ] = "onnx",
    precision: Annotated[
        str, typer.Option(help="Of a backbone's weights: float32, float16 or int8.")
    ] = "float32",
) -> None:
    """Write a model as a file that runs without medfs: patch in, calibrated probabilities out."""
    from medfs.workflows.export import export as run

    say("tracing the model and checking the file: about a minute")
    done = run(model, kind, out, precision)
    say(f"{done.size / 1e6:.1f} MB written to {out}")
    say(f"probabilities differ from medfs's own by at most {done.difference:.1g} on test patches")
