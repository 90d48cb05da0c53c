"""`medfs bundle check`."""

from pathlib import Path
from typing import Annotated

import typer

from medfs.cli import options as opt
from medfs.cli.console import data, say, table

app = typer.Typer(no_args_is_help=True, help="MONAI bundles, of medfs or of others.")
REFUSED = 4
_SHOWN = 50


@app.command()
def check(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Its folder, or a zip of it.")],
    json: opt.Json = False,
) -> None:
    """Audit a bundle without running anything of it."""
    from medfs.export.audit.bundle import audit_bundle
    from medfs.storage.files import to_json

    found = audit_bundle(bundle)
    rows = [{"where": f.where, "what": f.what, "why": f.why} for f in found]
    if json:
        data(to_json({"schema_version": 1, "findings": rows}))
    elif rows:
        data(table([("where", "what", "why"), *(tuple(row.values()) for row in rows[:_SHOWN])]))
        if len(rows) > _SHOWN:
            say(f"and {len(rows) - _SHOWN} more: --json lists all")
    say(f"{len(found)} finding(s)" if found else "nothing was found that could run or mislead")
    if found:
        raise typer.Exit(REFUSED)
