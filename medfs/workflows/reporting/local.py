"""MODEL/local: names of cases and why some were left out. Shown only to who asks for names."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from medfs.core.errors import IntegrityError


@dataclass(frozen=True)
class Local:
    """By ordinal: the user's name of a case, and why it was left out (empty for those used)."""

    names: dict[str, str]
    reasons: dict[str, str]


def read_local(model: Path) -> Local:
    """Nothing where the model was copied without that folder.

    Raises:
        IntegrityError: the table is there, but is not what `medfs adapt` writes.
    """
    path = model / "local" / "cases.csv"
    if not path.is_file():
        return Local({}, {})
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        names = {row["ordinal"]: row["case"] for row in rows}
        return Local(names, {row["ordinal"]: row["excluded"] for row in rows})
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise IntegrityError(
            "the table of cases cannot be read", case=str(path), todo="Adapt again"
        ) from error
