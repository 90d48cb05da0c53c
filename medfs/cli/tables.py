"""Tables on a terminal."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medfs.cli.console import VERBOSITY, harmless, say
from medfs.workflows.tables import Block, blocks

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = 100


def show_results(results: Mapping[str, Any]) -> None:
    """Drawn by rich on a terminal, plain text elsewhere; on stderr, as every other log."""
    from medfs.workflows.wording import results_table

    if VERBOSITY.quiet:
        return
    if not sys.stderr.isatty():
        say(results_table(results))
        return
    from rich.console import Console

    console = Console(stderr=True)
    console.width = min(console.width, _COLUMNS)
    draw(blocks(results), console)


def draw(tables: list[Block], console: "Console") -> None:
    """Blocks one below the other; what does not fit into the console's width is folded."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for block in tables:
        console.print(Text(harmless(block.title), style="bold"))
        if block.rows:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for name in block.head:
                table.add_column(Text(name), overflow="fold", no_wrap=False)
            for row in block.rows:
                table.add_row(*(Text(harmless(cell)) for cell in row))
            console.print(table)
        for note in block.notes:
            console.print(Text(harmless(note)))
        console.print()
