"""JSON of unknown origin to plain values."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from medfs.core.errors import CohortError
from medfs.scans.cohorts.text import read_source

_AGAIN = "Open it in a text editor, or write it again with the program it comes from"


def read_json(path: Path) -> Any:
    """The content of a JSON file (RFC 8259), in UTF-8, UTF-16 or UTF-32.

    Raises:
        CohortError: not JSON, nested without end, or a key that occurs twice in one object.
    """
    content = read_source(path)
    try:
        return json.loads(content, object_pairs_hook=_unique)
    except CohortError as error:
        raise error.about(path.name) from error
    except RecursionError as error:
        raise CohortError(
            "the datalist is nested too deeply",
            case=path.name,
            why="Lists within lists go on beyond any use",
            todo=_AGAIN,
        ) from error
    except ValueError as error:  # of json, of a wrong encoding, or of a number of 5,000 digits
        raise CohortError(
            "the datalist is not JSON" if content.strip() else "the datalist is empty",
            case=path.name,
            why=str(error),
            todo=_AGAIN,
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise CohortError(
            f"the key {twice[:80]!r} occurs twice in one object of the datalist",
            why="Which of the two is meant is not clear",
            todo="Remove one of them",
        )
    return found
