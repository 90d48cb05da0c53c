"""`medfs info`."""

from typing import Annotated, Any

import typer

from medfs.cli import options as opt
from medfs.cli.console import data, table


def info(
    devices: Annotated[
        bool, typer.Option("--devices", help="Also list CPUs and GPUs (imports torch).")
    ] = False,
    json: opt.Json = False,
) -> None:
    """List versions and everything that is registered."""
    from medfs.storage.files import to_json
    from medfs.workflows.info import describe

    facts = describe(devices)
    data(to_json(facts) if json else _text(facts))


def _text(facts: dict[str, Any]) -> str:
    packages = ", ".join(f"{n} {v or 'missing'}" for n, v in facts["packages"].items())
    blocks = [f"medfs {facts['medfs']}, Python {facts['python']}, {packages}"]
    kinds = ("readers", "presets", "backbones", "mappers", "calibrators", "exporters")
    for kind in kinds:
        rows = [(f"  {e['name']}", _summary(e)) for e in facts[kind]]
        blocks.append(f"{kind}\n{table(rows)}")
    shipped = [(f"  {w['name']}", f"sha256 {w['sha256'][:16]}…") for w in facts["shipped"]]
    blocks.append(f"weights that come with medfs\n{table(shipped)}")
    if facts["shadowed"]:
        rows = [(f"  {e['name']}", f"{e['kind']} of {_origin(e)}") for e in facts["shadowed"]]
        blocks.append(f"out of reach, since the name is taken\n{table(rows)}")
    if "devices" in facts:
        rows = [(f"  {d['name']}", str(d.get("model", ""))) for d in facts["devices"]]
        blocks.append(f"devices\n{table(rows)}")
    return "\n\n".join(blocks)


def _summary(entry: dict[str, str]) -> str:
    """What it is, or whose it is."""
    return entry["summary"] or f"from {_origin(entry)}"


def _origin(entry: dict[str, str]) -> str:
    return f"{entry['provider']} {entry['version']}".strip()
