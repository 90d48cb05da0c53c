"""How far the watch has come, in a file that is written whole or not at all."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medfs.core.errors import DataError, OutputError, UsageError
from medfs.storage.files import to_json, write_bytes

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class State:
    """What has been dealt with.

    Attributes:
        url: of the server.
        model: SHA-256 of the model.
        last: number of the last change that needs no more work.
        tries: how often the next one was tried in vain because the server did not answer.
    """

    url: str
    model: str
    last: int = 0
    tries: int = 0

    def at(self, last: int) -> "State":
        """The same, further on."""
        return replace(self, last=last, tries=0)


def read_state(path: Path, url: str, model: str) -> State | None:
    """The state that an earlier watch of this server with this model left; None without a file.

    Raises:
        UsageError: it is about another server or model.
        DataError: it cannot be read.
    """
    try:
        state = _parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            "this is no state of medfs-orthanc",
            case=str(path),
            why=getattr(error, "strerror", None) or "It is not what this version writes",
            todo="Give another --state; series that are answered already are not predicted again",
        ) from error
    for what, found, given in (("server", state.url, url), ("model", state.model, model)):
        if found != given:
            raise UsageError(
                f"the state is that of another {what}",
                case=str(path),
                why=f"It is about {found}, and this is {given}",
                todo="Give another --state: one file for each server and model",
            )
    return state


def write_state(path: Path, state: State) -> None:
    """Keep the state.

    Raises:
        OutputError: the file cannot be written.
    """
    text = to_json({"schema_version": SCHEMA_VERSION, **asdict(state)})
    try:
        write_bytes(path, text.encode(), private=True)
    except OutputError as error:
        raise OutputError(
            "the state cannot be written",
            case=str(path),
            why=error.why,
            todo="Choose another --state, or free space and permission there",
        ) from error


def _parse(content: Any) -> State:
    if not isinstance(content, dict) or content.pop("schema_version") != SCHEMA_VERSION:
        raise ValueError
    state = State(**content)
    texts, numbers = (state.url, state.model), (state.last, state.tries)
    fits = all(isinstance(t, str) for t in texts) and all(type(n) is int for n in numbers)
    if not fits or min(numbers) < 0:
        raise ValueError
    return state
