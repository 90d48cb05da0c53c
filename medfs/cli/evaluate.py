"""`medfs evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from medfs.cli import options as opt
from medfs.cli.console import SOME_FAILED, data, say, warn
from medfs.core.errors import UsageError


def evaluate(
    out: Annotated[Path, typer.Option(help="results.json to write.")],
    cohort: Annotated[
        Path | None, typer.Option(help="Labelled cases from which episodes are drawn.")
    ] = None,
    benchmark: Annotated[
        Path | None, typer.Option(help="Folder with frozen episodes (episodes.json.gz).")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Tasks of the benchmark, comma-separated; default all.")
    ] = None,
    shots: Annotated[
        str | None, typer.Option(help="Labelled cases per class [default: 1,5,10,20].")
    ] = None,
    queries: Annotated[
        int | None, typer.Option(min=1, help="Query cases per class [default: 10].")
    ] = None,
    episodes: Annotated[
        int | None, typer.Option(min=1, help="Episodes per shot count [default: 100].")
    ] = None,
    seed: opt.Seed = 0,
    mapper: Annotated[str, typer.Option(help="Mappers, comma-separated.")] = "auto",
    features: opt.Features = "radiomics",
    preset: opt.Preset = "auto",
    no_masks: opt.NoMasks = False,
    field: Annotated[
        str | None,
        typer.Option(help="X,Y,Z in mm: the same central field of every scan; with --no-masks."),
    ] = None,
    weights: opt.Weights = None,
    device: opt.Device = "auto",
    label_column: opt.LabelColumn = None,
    image_column: opt.ImageColumn = None,
    mask_label: opt.MaskLabel = None,
    section: opt.Section = None,
    bids_suffix: opt.BidsSuffix = None,
    series: opt.Series = None,
    no_cache: opt.NoCache = False,
    no_audits: Annotated[
        bool, typer.Option("--no-audits", help="Leave out what shortcuts would score.")
    ] = False,
    force: opt.Force = False,
    json: opt.Json = False,
) -> None:
    """Judge mappers on many few-shot episodes, with intervals over patients."""
    from medfs.cli.tables import show_results
    from medfs.storage.files import check_new, to_json, write_text
    from medfs.workflows.evaluate import EvaluateRequest
    from medfs.workflows.evaluate import evaluate as run

    if (cohort is None) == (benchmark is None):
        raise UsageError("give either --cohort or --benchmark")
    if benchmark is not None and any(v is not None for v in (shots, queries, episodes)):
        raise UsageError("--shots, --queries and --episodes are frozen in a benchmark")
    if cohort is not None and task is not None:
        raise UsageError("--task chooses among the tasks of a --benchmark")
    if field is not None and not no_masks:
        raise UsageError("--field goes with --no-masks", todo="Add --no-masks")
    if not (force and out.is_file()):
        check_new(out)
    result = run(
        EvaluateRequest(
            cohort=cohort,
            benchmark=benchmark,
            tasks=opt.names(task) if task else (),
            shots=opt.counts(shots or "1,5,10,20", "--shots"),
            queries=queries or 10,
            episodes=episodes or 100,
            seed=seed,
            mappers=opt.names(mapper),
            features=opt.names(features),
            preset=preset,
            use_masks=not no_masks,
            field_mm=opt.millimetres(field),
            weights=opt.weight_files(weights),
            device=device,
            asked=opt.asked(label_column, image_column, mask_label, section, bids_suffix, series),
            use_cache=not no_cache,
            audits=not no_audits,
        ),
        say,
    )
    write_text(out, to_json(result.results))
    if json:
        data(to_json(result.results))
    else:
        show_results(result.results)
    say(f"results written to {out}")
    warn([*result.warnings, *result.failures[:20]])
    if result.failures:
        warn([f"{len(result.failures)} case(s) could not be used"])
        raise typer.Exit(SOME_FAILED)
