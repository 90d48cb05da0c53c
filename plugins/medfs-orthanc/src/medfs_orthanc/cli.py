"""The command line of the watch."""

import os
import signal
import traceback
from pathlib import Path
from typing import Annotated

import typer

from medfs.cli.console import SOME_FAILED, VERBOSITY, say, warn
from medfs.cli.main import run
from medfs.core.errors import UsageError

# M E D F S on the keys of a telephone; Orthanc leaves 1024 to 65535 to its users.
ATTACHMENT = 63337
_PASSWORD = "MEDFS_ORTHANC_PASSWORD"  # noqa: S105  (the name of a variable)

app = typer.Typer(
    name="medfs-orthanc",
    # Local variables of a traceback may hold patient data.
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import medfs_orthanc

        typer.echo(medfs_orthanc.__version__)
        raise typer.Exit


@app.command()
def watch(
    model: Annotated[Path, typer.Option(help="Folder that `medfs adapt --no-masks` wrote.")],
    state: Annotated[Path, typer.Option(help="File that remembers how far the watch has come.")],
    url: Annotated[str, typer.Option(help="Address of Orthanc.")] = "http://127.0.0.1:8042",
    user: Annotated[
        str | None, typer.Option(help=f"User of Orthanc; the password is taken from {_PASSWORD}.")
    ] = None,
    modality: Annotated[
        list[str] | None,
        typer.Option(help="Answer these only (may be repeated); else what the model is for."),
    ] = None,
    attachment: Annotated[
        int, typer.Option(min=1024, max=65535, help="Number of the attachment to write.")
    ] = ATTACHMENT,
    interval: Annotated[
        float, typer.Option(min=0.5, max=3600, help="Seconds between two looks at the server.")
    ] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="Answer what is stable, and end.")] = False,
    from_now: Annotated[
        bool,
        typer.Option("--from-now", help="Without a state, leave out what the server holds now."),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, or cuda:0.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings, errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[  # noqa: ARG001  (its callback does the work)
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Give every series that becomes stable in Orthanc a model's answer. Research use only."""
    from medfs_orthanc.serve import Request, serve

    VERBOSITY.quiet, VERBOSITY.debug = quiet, debug
    # Whoever stops a service sends SIGTERM; scans in a temporary folder must not outlive it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    request = Request(
        model=model,
        state=state,
        url=url,
        credentials=_credentials(user),
        modalities=frozenset(modality or ()),
        attachment=attachment,
        interval=None if once else interval,
        from_now=from_now,
        device=device,
    )
    if serve(request, say, lambda text: warn([text]), _show_traceback):
        raise typer.Exit(SOME_FAILED)


def _credentials(user: str | None) -> tuple[str, str] | None:
    password = os.environ.get(_PASSWORD)
    if user is None and password is None:
        return None
    if user is None or password is None:
        raise UsageError(
            "a user and a password belong together",
            why=f"Without {'--user' if user is None else _PASSWORD} the other is of no use",
            todo=f"Give --user, and the password in the variable {_PASSWORD}, or neither",
        )
    return user, password


def _show_traceback() -> None:
    if VERBOSITY.debug:
        traceback.print_exc()


def main() -> None:
    """Run the command line; ends the process with one of the documented exit codes."""
    run(app)
