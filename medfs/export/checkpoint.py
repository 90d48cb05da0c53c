"""Where meta-training stands, in one file that is replaced whole: a run can be killed at any time.

Nothing is pickled, so a file from elsewhere cannot run code.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from medfs.core.errors import IntegrityError, ScanReadError
from medfs.storage.described import described_from_bytes, described_to_bytes
from medfs.storage.files import write_bytes

_KIND, _VERSION = "medfs checkpoint", 1


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """All that the next step depends on.

    Attributes:
        step: number of steps made.
        config: the configuration, as plain data.
        stream: state of the stream of tasks: its generator and what it draws from.
        history: one entry of plain data for each validation so far.
        tensors: parameters, their averages, the best ones and the optimiser's moments, by name.
    """

    step: int
    config: dict[str, Any]
    stream: dict[str, Any]
    history: list[dict[str, Any]]
    tensors: dict[str, Tensor]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file in one step; OutputError if it cannot be written."""
    facts = asdict(_without_tensors(checkpoint)) | {"kind": _KIND, "version": _VERSION}
    del facts["tensors"]
    write_bytes(path, described_to_bytes(checkpoint.tensors, facts))


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint, verified.

    Raises:
        ScanReadError: there is none.
        IntegrityError: it is damaged, or not of this version of medfs.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ScanReadError(
            "there is no checkpoint here", case=str(path), why=error.strerror
        ) from error
    tensors, facts = described_from_bytes(content, str(path))
    found = facts.pop("kind", None), facts.pop("version", None)
    names = {f.name for f in fields(Checkpoint)} - {"tensors"}
    if found != (_KIND, _VERSION) or set(facts) != names:
        raise IntegrityError(
            "is no checkpoint of this version of medfs",
            case=str(path),
            why=f"It says {found[0]!r}, version {found[1]!r}",
            todo="Train anew into another folder",
        )
    return Checkpoint(**facts, tensors=tensors)


def _without_tensors(checkpoint: Checkpoint) -> Checkpoint:
    """`asdict` would copy every tensor."""
    known = {f.name: getattr(checkpoint, f.name) for f in fields(checkpoint)}
    return Checkpoint(**{**known, "tensors": {}})
