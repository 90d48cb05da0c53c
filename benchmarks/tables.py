"""What every benchmark prints and writes: Markdown tables, and the same numbers as JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is aligned to the left, the others to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))


def section(title: str, *parts: str) -> None:
    """Print a heading and paragraphs or tables below it."""
    print(f"### {title}\n", *(f"{part}\n" for part in parts), sep="\n")


def progress(text: str) -> None:
    """Say on stderr what is going on."""
    print(text, file=sys.stderr, flush=True)


def write_json(path: Path | None, content: dict[str, Any]) -> None:
    """Write the numbers behind the tables, if a file is asked for."""
    if path is not None:
        path.write_text(json.dumps(content, indent=2, allow_nan=True) + "\n", encoding="utf-8")
