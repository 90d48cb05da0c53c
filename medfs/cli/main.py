"""Entry point: the commands, the global options, and errors as sentences with an exit code."""

import sys
import traceback
from typing import Annotated

import typer

from medfs.cli import bundle
from medfs.cli.adapt import adapt
from medfs.cli.console import VERBOSITY
from medfs.cli.demo import demo
from medfs.cli.evaluate import evaluate
from medfs.cli.export import export
from medfs.cli.info import info
from medfs.cli.meta_train import meta_train
from medfs.cli.predict import predict
from medfs.cli.report import report
from medfs.cli.scans import scans
from medfs.cli.validate import validate
from medfs.cli.verify import sign, verify
from medfs.core.errors import MedfsError

USAGE, INTERRUPTED = 2, 130

app = typer.Typer(
    name="medfs",
    no_args_is_help=True,
    # Local variables of a traceback may hold patient data.
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
)
_ADAPTING = (demo, scans, validate, adapt, predict, report, evaluate, meta_train)
_LEAVING = (export, verify, sign, info)
for command in (*_ADAPTING, *_LEAVING):
    app.command()(command)
app.add_typer(bundle.app, name="bundle")


def _print_version(wanted: bool) -> None:
    if wanted:
        import medfs

        typer.echo(medfs.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[  # noqa: ARG001  (its callback does the work)
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only data, warnings, errors.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """From a handful of labelled 3D scans to a calibrated classifier. Research use only."""
    VERBOSITY.quiet, VERBOSITY.debug = quiet, debug


def main() -> None:
    """Run the command line; ends the process with one of the documented exit codes."""
    run(app)


def run(commands: typer.Typer) -> None:
    """`main`, with commands of another package."""
    try:
        code = commands(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except MedfsError as error:
        code = _fail(f"error: {error}", error.exit_code)
    except Exception as error:
        code = _usage(error) or _stumbled(error)
    if code == INTERRUPTED:
        _fail("interrupted", code)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Exception) -> int | None:
    """The exit code of what the parser of the command line raised; None if it was not the parser.

    Older typers use the package click and newer ones bring their own copy of it, so the class of
    its errors has no fixed place; only they can show themselves.
    """
    show = getattr(error, "show", None)
    if show is None:
        return None
    show()
    return int(getattr(error, "exit_code", USAGE))


def _stumbled(error: Exception) -> int:
    return _fail(
        f"error: medfs stumbled over something it does not expect ({type(error).__name__}). "
        "Run again with --debug before the command and report what it prints, "
        "without patient data.",
        1,
    )


def _fail(text: str, code: int) -> int:
    if VERBOSITY.debug and sys.exc_info()[0] is not None:
        traceback.print_exc()
    typer.echo(text, err=True)
    return code
