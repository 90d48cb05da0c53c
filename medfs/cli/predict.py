"""`medfs predict`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medfs.cli import options as opt
from medfs.cli.console import SOME_FAILED, counter, data, say, warn

if TYPE_CHECKING:
    from medfs.workflows.predict import Predictor


def _say_columns(predictor: "Predictor") -> None:
    for column in (predictor.decision, predictor.sets):
        if column is not None:
            say(column.in_words())


def predict(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Folder that `medfs adapt` wrote.")
    ],
    scans: Annotated[
        Path, typer.Argument(metavar="SCANS", help="One scan, a folder of scans, or a manifest.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="CSV to write; without it the CSV goes to stdout.")
    ] = None,
    prevalence: opt.Prevalence = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            help="Also give each scan a set of classes, made to hold the true one so often."
        ),
    ] = None,
    device: opt.Device = "auto",
    image_column: opt.ImageColumn = None,
    mask_label: opt.MaskLabel = None,
    section: opt.Section = None,
    bids_suffix: opt.BidsSuffix = None,
    series: opt.Series = None,
    keep_unfamiliar: Annotated[
        bool,
        typer.Option(
            "--keep-unfamiliar", help="Give numbers to scans that are unlike the support, too."
        ),
    ] = False,
    no_cache: opt.NoCache = False,
    force: opt.Force = False,
    json: opt.Json = False,
) -> None:
    """Give every scan the probability of each class, or say why it gets none."""
    from medfs.storage.files import check_new, to_json, write_text
    from medfs.workflows import predict as workflow
    from medfs.workflows.answers import to_csv, to_dict

    if out is not None and not (force and out.is_file()):
        check_new(out)
    predictor = workflow.load_predictor(model, device, not no_cache, keep_unfamiliar, coverage)
    predictor = predictor.at_prevalence(prevalence)
    asked = opt.asked(None, image_column, mask_label, section, bids_suffix, series)
    predictions = []
    with counter("scans") as progress:
        for prediction in workflow.predict(predictor, scans, asked):
            predictions.append(prediction)
            progress(1)
    text = to_csv(predictor, predictions)
    if out is not None:
        write_text(out, text)
        say(f"{len(predictions)} rows written to {out}")
    if json:
        data(to_json(to_dict(predictor, predictions)))
    elif out is None:
        data(text)
    _say_columns(predictor)
    failed = [p for p in predictions if p.failed]
    warn([p.note for p in failed])
    unlike = sum(p.familiar is False for p in predictions)
    if unlike:
        consequence = (
            "judge their probabilities with care" if keep_unfamiliar else "no probability is given"
        )
        warn([f"{unlike} of {len(predictions)} scans are unlike the support: {consequence}"])
    if failed:
        raise typer.Exit(SOME_FAILED)
