"""What goes where: data to stdout, everything else to stderr, progress only on a terminal."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import typer

SOME_FAILED = 5


@dataclass
class Verbosity:
    """Set once from the global options."""

    quiet: bool = False
    debug: bool = False


VERBOSITY = Verbosity()


def say(text: str) -> None:
    """A line of log."""
    if not VERBOSITY.quiet:
        typer.echo(harmless(text), err=True)


def warn(texts: Sequence[str]) -> None:
    """Warnings are shown even with --quiet."""
    for text in texts:
        typer.echo(f"warning: {harmless(text)}", err=True)


def harmless(text: str) -> str:
    """The text without what a terminal would obey: headers of scans are quoted in it."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def data(text: str) -> None:
    """The result itself."""
    typer.echo(text, nl=not text.endswith("\n"))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns; the first row is the header."""
    rows = [[harmless(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


@contextmanager
def counter(label: str) -> Iterator[Callable[[int], None]]:
    """Counts steps on one line of a terminal, and is silent elsewhere."""
    done = 0
    shown = sys.stderr.isatty() and not VERBOSITY.quiet

    def step(count: int) -> None:
        nonlocal done
        done += count
        if shown:
            typer.echo(f"\r{label}: {done}", err=True, nl=False)

    yield step
    if shown and done:
        typer.echo("", err=True)
