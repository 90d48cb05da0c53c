"""The bytes of a manifest or datalist, within limits."""

from pathlib import Path

from medfs.core.errors import CohortError

MAX_BYTES = 64 << 20


def read_source(path: Path) -> bytes:
    """All bytes.

    Raises:
        CohortError: it cannot be read, or is too large to be a list of cases.
    """
    try:
        size = path.stat().st_size
        if size <= MAX_BYTES:
            return path.read_bytes()
    except OSError as error:
        raise CohortError(
            "the manifest cannot be read",
            case=path.name,
            why=error.strerror or str(error),
            todo="Check the permissions, and that the disk or share is connected",
        ) from error
    raise CohortError(
        "the manifest is too large",
        case=path.name,
        why=f"It has {size} bytes; up to {MAX_BYTES} are read",
        todo="Check that it is a list of cases",
    )


def check_text(text: str, where: str, source: Path) -> str:
    """The text, stripped.

    Raises:
        CohortError: it holds a zero byte or half a character, which no path can.
    """
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise CohortError(
            f"{where} holds a character that no name can have",
            case=source.name,
            why=f"It says {text[:80]!r}",
            todo="Write it again",
        )
    return text.strip()
