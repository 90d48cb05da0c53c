"""Trained weights that come with the package."""

from pathlib import Path

from medfs.core.errors import IntegrityError

FOLDER = Path(__file__).parents[1] / "shipped"


def shipped_file(name: str) -> Path:
    """The file of that name; IntegrityError where the installation lacks it."""
    path = FOLDER / name
    if not path.is_file():
        raise IntegrityError(
            f"{name} does not come with this installation",
            why=f"{FOLDER} holds {', '.join(shipped_names()) or 'nothing'}",
            todo="Install medfs again",
        )
    return path


def shipped_names() -> tuple[str, ...]:
    """Names of all files, sorted."""
    return tuple(sorted(path.name for path in FOLDER.glob("*.*")))
