"""`medfs report`."""

from pathlib import Path
from typing import Annotated

import typer

from medfs.cli import options as opt
from medfs.cli.console import counter, say


def report(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Folder that `medfs adapt` wrote.")
    ],
    support: Annotated[Path, typer.Option(help="The labelled cases that it was made from.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    predictions: Annotated[
        Path | None, typer.Option(help="CSV that `medfs predict` wrote with this model.")
    ] = None,
    names: Annotated[
        bool, typer.Option("--names", help="Show names of cases; otherwise they are numbered.")
    ] = False,
    deface: Annotated[bool, typer.Option("--deface", help="Crop pictures to the region.")] = False,
    saliency: Annotated[
        int, typer.Option(min=0, help="Cases of which a map shows what the probability rests on.")
    ] = 6,
    prevalence: opt.Prevalence = None,
    device: opt.Device = "auto",
    label_column: opt.LabelColumn = None,
    image_column: opt.ImageColumn = None,
    section: opt.Section = None,
    bids_suffix: opt.BidsSuffix = None,
    force: opt.Force = False,
) -> None:
    """Write what a model is and how far to trust it, as one HTML file with pictures."""
    from medfs.storage.files import check_new
    from medfs.workflows.reporting.make import ReportRequest, make_report

    if not (force and out.is_file()):
        check_new(out)
    request = ReportRequest(
        model=model,
        support=support,
        out=out,
        predictions=predictions,
        asked=opt.asked(label_column, image_column, None, section, bids_suffix, None),
        names=names,
        deface=deface,
        saliency=saliency,
        device=device,
        prevalence=prevalence,
    )
    with counter("cases") as progress:
        size = make_report(request, progress)
    say(f"report of {size / 1e6:.1f} MB written to {out}")
    if names:
        say("it names cases: treat it as patient data")
