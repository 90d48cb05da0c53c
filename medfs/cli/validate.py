"""`medfs validate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medfs.cli import options as opt
from medfs.cli.console import counter, data, harmless, table, warn
from medfs.core.errors import DataError

if TYPE_CHECKING:
    from medfs.scans import CaseFinding

_SHOWN = 8


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
        chosen = [line for finding in result.findings for line in _chosen(finding)]
        if chosen:
            data("\n".join(["", "chosen among several series", *chosen, ""]))
        data("\n".join(f"problem: {text}" for text in result.problems) or "no problems found")
    warn(result.warnings)
    if not result.ok:
        raise typer.Exit(DataError.exit_code)


def _chosen(finding: "CaseFinding") -> list[str]:
    """Which of several series a case was read from, and what of the others."""
    if not finding.choice:
        return []
    size = " × ".join(map(str, finding.shape or ()))
    spacing = " × ".join(f"{v:.3g}" for v in finding.spacing or ())
    taken = f"{finding.modality} of {size} voxels, {spacing} mm ({finding.choice})"
    more = len(finding.left_out) - _SHOWN
    rest = [f"  not {text}" for text in finding.left_out[:_SHOWN]]
    rest += [f"  nor {more} more (see --json)"] if more > 0 else []
    return [harmless(line) for line in (f"{finding.case_id}: {taken}", *rest)]
