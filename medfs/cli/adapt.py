"""`medfs adapt`."""

from pathlib import Path
from typing import Annotated

import typer

from medfs.cli import options as opt
from medfs.cli.console import SOME_FAILED, counter, data, say, warn
from medfs.core.errors import UsageError


def adapt(
    support: Annotated[Path, typer.Option(help="Folder per class of scans, or a manifest.")],
    out: Annotated[Path, typer.Option(help="Model folder to write; must not exist.")],
    unlabelled: Annotated[
        Path | None,
        typer.Option(help="Scans of the same kind without labels, read like those of predict."),
    ] = None,
    mapper: Annotated[
        str,
        typer.Option(help="auto, a name, or NAME=FILE of one that was meta-trained."),
    ] = "auto",
    features: Annotated[
        str,
        typer.Option(help="Feature extractors, comma-separated, or auto: held-out cases choose."),
    ] = "auto",
    preset: opt.Preset = "auto",
    calibrator: Annotated[
        str, typer.Option(help="auto, prior, temperature, vector, dirichlet or none.")
    ] = "auto",
    sets: Annotated[
        str, typer.Option(help="For predict --coverage: cross (jackknife+), split, or none.")
    ] = "cross",
    seed: opt.Seed = 0,
    target_sensitivity: Annotated[
        float | None,
        typer.Option(help="Pick a threshold that finds so many of the --positive class."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The class that --target-sensitivity is about.")
    ] = None,
    device: opt.Device = "auto",
    weights: opt.Weights = None,
    label_column: opt.LabelColumn = None,
    image_column: opt.ImageColumn = None,
    mask_label: opt.MaskLabel = None,
    section: opt.Section = None,
    bids_suffix: opt.BidsSuffix = None,
    series: opt.Series = None,
    no_masks: opt.NoMasks = False,
    no_cache: opt.NoCache = False,
    json: opt.Json = False,
) -> None:
    """Turn labelled scans into a calibrated classifier."""
    from medfs.storage.files import to_json
    from medfs.workflows.adapt import AdaptRequest
    from medfs.workflows.adapt import adapt as run
    from medfs.workflows.support_verdict import AskedPoint
    from medfs.workflows.wording import in_words

    if (target_sensitivity is None) != (positive is None):
        raise UsageError("--target-sensitivity and --positive go together")
    request = AdaptRequest(
        support=support,
        out=out,
        unlabelled=unlabelled,
        mapper=mapper,
        features=opt.names(features),
        preset=preset,
        calibrator=calibrator,
        sets=sets,
        seed=seed,
        device=device,
        weights=opt.weight_files(weights),
        asked=opt.asked(label_column, image_column, mask_label, section, bids_suffix, series),
        use_masks=not no_masks,
        use_cache=not no_cache,
        point=None if positive is None else AskedPoint(positive, target_sensitivity or 0.0),
    )
    with counter("reading scans") as progress:
        result = run(request, progress)
    warn(result.warnings)
    warn([str(failure.error) for failure in result.failed])
    say(in_words(result.report))
    say(f"model written to {out}")
    if json:
        data(to_json(result.report))
    if result.failed:
        raise typer.Exit(SOME_FAILED)
