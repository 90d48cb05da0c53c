"""The CSV that `medfs predict` wrote, read strictly."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medfs.core.errors import DataError
from medfs.workflows.prevalence import ANY_PREVALENCE, in_words

_TODO = "Give the file that `medfs predict` wrote with this model"
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Row:
    """One scan: probabilities in the order of the classes, or None where there are none.

    `extra` holds further columns by name (`familiar`, the prediction set), as they were written.
    """

    case: str
    prediction: str
    probabilities: tuple[float, ...] | None
    note: str
    extra: Mapping[str, str]

    def meant_for(self, prevalence: Mapping[str, float] | None) -> bool:
        """Whether its note says this prevalence; None: that it says none."""
        if prevalence is None:
            return ANY_PREVALENCE not in self.note
        return self.note.endswith(in_words(prevalence))


def read_predictions(path: Path, class_names: Sequence[str]) -> tuple[Row, ...]:
    """The rows in their order.

    Raises:
        DataError: the file is not what `medfs predict` writes with a model of these classes.
    """
    lines = _lines(path)
    head, rows = (lines[0], lines[1:]) if lines else ([], [])
    wanted = ["case", "prediction", *(f"p_{name}" for name in class_names), "note"]
    missing = [name for name in wanted if name not in head]
    if missing:
        raise _bad(path, f"It has no column {missing[0]!r}")
    foreign = [name for name in head if name.startswith("p_") and name not in wanted]
    if foreign or len(set(head)) != len(head):
        raise _bad(path, f"Column {(foreign or ['twice'])[0]!r} is not of this model")
    return tuple(_row(path, n, head, row, class_names) for n, row in enumerate(rows, 2) if row)


def _lines(path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")), strict=True))
    except OSError as error:
        raise _bad(path, error.strerror or "It cannot be opened") from error
    except UnicodeDecodeError as error:
        raise _bad(path, "It is no text in UTF-8") from error
    except csv.Error as error:
        raise _bad(path, f"It is no CSV: {error}") from error


def _row(
    path: Path, number: int, head: Sequence[str], row: Sequence[str], class_names: Sequence[str]
) -> Row:
    if len(row) != len(head):
        raise _bad(path, f"Line {number} has {len(row)} cells, the head has {len(head)}")
    cells = dict(zip(head, row, strict=True))
    told = [cells.pop(f"p_{name}") for name in class_names]
    case, prediction, note = (cells.pop(name) for name in ("case", "prediction", "note"))
    if prediction and prediction not in class_names:
        raise _bad(path, f"Line {number} predicts {prediction!r}, which is no class of the model")
    probabilities = _probabilities(path, number, told) if any(told) else None
    if (probabilities is None) != (not prediction):
        raise _bad(path, f"Line {number} has a prediction or probabilities, not both")
    return Row(case, prediction, probabilities, note, cells)


def _probabilities(path: Path, number: int, told: Sequence[str]) -> tuple[float, ...]:
    try:
        found = tuple(float(text) for text in told)
    except ValueError as error:
        raise _bad(path, f"Line {number} has a probability that is no number") from error
    if not all(0 <= p <= 1 for p in found) or math.fabs(sum(found) - 1) > _ROUNDING:
        raise _bad(path, f"Probabilities of line {number} are not within 0 and 1, summing to 1")
    return found


def _bad(path: Path, why: str) -> DataError:
    return DataError("the predictions cannot be read", case=str(path), why=why, todo=_TODO)
