"""`medfs validate`."""

from pathlib import Path
from typing import Annotated

import typer

from medfs.cli import options as opt
from medfs.cli.console import counter, data, table, warn
from medfs.core.errors import DataError


def validate(
    cases: Annotated[
        Path, typer.Argument(metavar="CASES", help="Folder per class of scans, or a manifest.")
    ],
    label_column: opt.LabelColumn = None,
    image_column: opt.ImageColumn = None,
    mask_label: opt.MaskLabel = None,
    section: opt.Section = None,
    bids_suffix: opt.BidsSuffix = None,
    series: opt.Series = None,
    json: opt.Json = False,
) -> None:
    """Say what is there, per class and patient, and what is wrong."""
    from medfs.storage.files import to_json
    from medfs.workflows.validate import class_table
    from medfs.workflows.validate import validate as run

    with counter("reading scans") as progress:
        asked = opt.asked(label_column, image_column, mask_label, section, bids_suffix, series)
        result = run(cases, asked, lambda _done, _all: progress(1))
    if json:
        data(to_json(result.as_dict()))
    else:
        rows = [("class", "cases", "patients", "masks")]
        rows += [
            (name, str(n["cases"]), str(n["patients"]), str(n["masks"]))
            for name, n in class_table(result.cohort).items()
        ]
        data(table(rows))
        data("\n".join(f"problem: {text}" for text in result.problems) or "no problems found")
    warn(result.warnings)
    if not result.ok:
        raise typer.Exit(DataError.exit_code)
