"""`medfs meta-train`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from medfs.cli import options as opt
from medfs.cli.console import counter, data, say, warn


def meta_train(
    config: Annotated[str, typer.Option(help="A shipped configuration by name, or a .yaml file.")],
    out: Annotated[Path, typer.Option(help="Folder for the mapper, report and checkpoint.")],
    mapper: Annotated[
        str | None, typer.Option(help="Another mapper in place of the configuration's.")
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Other features in place of the configuration's.")
    ] = None,
    weights: opt.Weights = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run in --out was stopped.")
    ] = False,
    track: Annotated[str, typer.Option(help="none, tensorboard or mlflow.")] = "none",
    device: opt.Device = "auto",
    no_cache: opt.NoCache = False,
    json: opt.Json = False,
) -> None:
    """Train a mapper on families of tasks, so that a few cases suffice later."""
    from medfs.storage.files import to_json
    from medfs.workflows.meta.config import load_config
    from medfs.workflows.meta.run import Listener, MetaRequest
    from medfs.workflows.meta.train import MAPPER
    from medfs.workflows.meta.train import meta_train as run

    chosen = load_config(config)
    if mapper is not None:
        chosen = chosen.with_mapper(mapper)
    if features is not None:
        chosen = chosen.with_features(opt.names(features))
    files = opt.weight_files(weights)
    request = MetaRequest(chosen, out, resume, device, track, not no_cache, files)
    with counter("encoding tasks") as encoded:
        report = run(request, Listener(encoded, warn, _say_validation))
    best = report["best"]
    say(
        f"best after step {best['step']} of {report['steps']}: "
        f"validation loss {best['loss']:.3f}, accuracy {best['accuracy']:.3f}"
    )
    say(f"mapper written to {out / MAPPER}")
    say(_how_to_use(chosen.mapper.name, out / MAPPER, report, weights or []))
    if json:
        data(to_json(report))


def _say_validation(facts: dict[str, Any]) -> None:
    say(
        f"step {facts['step']}: task loss {facts['train_loss']:.3f}, "
        f"validation loss {facts['loss']:.3f}, accuracy {facts['accuracy']:.3f}, "
        f"{facts['tasks_per_second']:.0f} episodes/s"
    )


def _how_to_use(name: str, path: Path, report: dict[str, Any], weights: list[str]) -> str:
    features = report["config"]["features"]
    if report["config"]["encoder"] is not None:
        return (
            f"use it: medfs adapt --features stages --weights stages={path} --mapper {name}={path}"
        )
    if not features:
        return "it was trained on simulated numbers, so there are no scans to use it on"
    given = "".join(f" --weights {text}" for text in weights)
    return f"use it: --features {','.join(features)}{given} --mapper {name}={path}"
