"""`medfs export`."""

from pathlib import Path
from typing import Annotated

import typer

from medfs.cli.console import say
from medfs.core.errors import UsageError


def export(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Folder that `medfs adapt` wrote.")
    ],
    out: Annotated[Path, typer.Option(help="File to write; must not exist.")],
    kind: Annotated[
        str,
        typer.Option("--format", help="onnx (opset 18), pt2 (torch.export) or bundle (MONAI)."),
    ] = "onnx",
    packed: Annotated[bool, typer.Option("--zip", help="A bundle as a zip too.")] = False,
    precision: Annotated[
        str, typer.Option(help="Of a backbone's weights: float32, float16 or int8.")
    ] = "float32",
    coverage: Annotated[
        float | None,
        typer.Option(help="Prediction sets of this level as a second output; --sets split models."),
    ] = None,
) -> None:
    """Write a model as a file that runs without medfs: patch in, calibrated probabilities out."""
    from medfs.workflows.export import export as run

    if kind == "bundle" and coverage is not None:
        raise UsageError("a bundle has no prediction sets", todo="Leave --coverage out")
    if kind == "bundle":
        _bundle(model, out, packed, precision)
        return
    if packed:
        raise UsageError("--zip is for bundles", todo="Leave it out, or use --format bundle")

    say("tracing the model and checking the file: about a minute")
    done = run(model, kind, out, precision, coverage)
    say(f"{done.size / 1e6:.1f} MB written to {out}")
    say(f"probabilities differ from medfs's own by at most {done.difference:.1g} on test patches")


def _bundle(model: Path, out: Path, packed: bool, precision: str) -> None:
    from medfs.workflows.bundle import write_bundle

    if precision != "float32":
        raise UsageError("a bundle has full precision", todo="Leave --precision out")
    write_bundle(model, out, packed=packed)
    say(f"bundle written to {out}" + (f" and {out}.zip" if packed else ""))
