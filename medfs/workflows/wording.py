"""Results in plain words, for people who read a terminal."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from medfs.workflows.support_verdict import verdict
from medfs.workflows.tables import Block, blocks

COLUMNS, GAP = 100, "  "
# The column that holds names, some of which are long: trained mappers are called NAME=FILE.
NAMES = 1


def in_words(report: Mapping[str, Any]) -> str:
    """What a model was made from, with what, and how well it ranks its own support."""
    used = report["components"]
    made = (
        f"{', '.join(used['features'])} + {used['mapper']} ({used['mapper_reason']}) + "
        f"calibrator {used['calibrator']} (temperature {report['temperature']:.2f}), "
        f"region: {'mask' if used['use_masks'] else 'found'}, "
        f"preset: {used['preset']} ({used['preset_reason']})"
    )
    choice = report.get("feature_choice")
    chosen = "" if choice is None else f"features: {choice['reason']}\n"
    return f"{chosen}used: {made}\n{verdict(report)}"


def results_table(results: Mapping[str, Any]) -> str:
    """What `medfs evaluate` found, as plain text of at most 100 columns."""
    return "\n\n".join(_plain(block) for block in blocks(results))


def _plain(block: Block) -> str:
    lines = _wrapped(block.title)
    if block.rows:
        lines += _aligned([block.head, *block.rows])
    return "\n".join([*lines, *(line for note in block.notes for line in _wrapped(note))])


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, break_on_hyphens=False) or [""]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side; a name that is too long goes on in the lines below."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    others = sum(widths) - widths[NAMES] + len(GAP) * (len(widths) - 1)
    widths[NAMES] = min(widths[NAMES], COLUMNS - others)
    lines = []
    for row in rows:
        cells = [textwrap.wrap(c, w) or [""] for c, w in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            lines.append(GAP.join(padded).rstrip())
    return lines
