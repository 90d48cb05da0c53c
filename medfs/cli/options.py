"""Options that several commands share, and how their texts become values."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medfs.core.errors import UsageError

if TYPE_CHECKING:
    from medfs.workflows.asked import Asked

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON to stdout.")]
Prevalence = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS=NUMBER,…",
        help="How common each class is where the scans come from; without it, all are alike.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, or cuda:0.")]
Seed = Annotated[int, typer.Option(min=0, help="Same inputs and seed give the same bytes.")]
Features = Annotated[
    str,
    typer.Option(help="Feature extractors (`medfs info`), comma-separated, or auto."),
]
Preset = Annotated[
    str, typer.Option(help="Preprocessing preset by name, a .yaml file, or auto (from the scans).")
]
Weights = Annotated[
    list[str] | None,
    typer.Option(help="NAME=FILE: local weights of a backbone; may be repeated."),
]
LabelColumn = Annotated[str | None, typer.Option(help="Manifest column that holds the class.")]
ImageColumn = Annotated[str | None, typer.Option(help="Manifest column that holds the scan.")]
MaskLabel = Annotated[
    str | None, typer.Option(help="Region to use, by name or number, in masks that hold several.")
]
Section = Annotated[str | None, typer.Option(help="Section of a datalist, e.g. training.")]
BidsSuffix = Annotated[str | None, typer.Option(help="Kind of scan of a BIDS data set, e.g. T1w.")]
Series = Annotated[
    Path | None,
    typer.Option(help="YAML rules: which DICOM series, which volume of it, tilt, SUV."),
]
NoMasks = Annotated[bool, typer.Option("--no-masks", help="Leave masks alone.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor keep features.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the output file if it exists.")]


def asked(
    label_column: str | None = None,
    image_column: str | None = None,
    mask_label: str | None = None,
    section: str | None = None,
    bids_suffix: str | None = None,
    series: Path | None = None,
) -> "Asked":
    """The options on finding and reading cases, together."""
    from medfs.scans.options import DEFAULT, load_options
    from medfs.workflows.asked import Asked

    reading = DEFAULT if series is None else load_options(series)
    return Asked(label_column, image_column, mask_label, section, bids_suffix, reading)


def names(text: str) -> tuple[str, ...]:
    """`a,b` → ("a", "b")."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise UsageError(f"a comma-separated list of names is needed, found {text!r}")
    _refuse_repeated(found)
    return found


def counts(text: str, option: str) -> tuple[int, ...]:
    """`1,5,10` → (1, 5, 10)."""
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{option} takes whole numbers, e.g. 1,5,10; found {text!r}") from error
    if min(found) < 1:
        raise UsageError(f"{option} takes positive numbers, found {text!r}")
    _refuse_repeated(found)
    return found


def _refuse_repeated(found: tuple[object, ...]) -> None:
    for item in found:
        if found.count(item) > 1:
            raise UsageError(f"{item} is given twice", todo="Name each one once")


def millimetres(text: str | None) -> tuple[float, float, float] | None:
    """`22,22,5` → (22.0, 22.0, 5.0)."""
    if text is None:
        return None
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--field takes three lengths in mm, e.g. 22,22,5; found {text!r}"
        ) from error
    if not all(0 < length < 10_000 for length in (x, y, z)):
        raise UsageError(f"--field takes positive lengths in mm, found {text!r}")
    return x, y, z


def weight_files(given: list[str] | None) -> dict[str, Path]:
    """`["resnet10=file"]` → {"resnet10": Path("file")}."""
    files = {}
    for text in given or []:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise UsageError(f"--weights takes NAME=FILE, found {text!r}")
        files[name] = Path(path)
    return files
