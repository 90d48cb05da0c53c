"""Which names are left out, and how names are shown."""

from collections.abc import Sequence


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is left out: `.name`, or what macOS adds to a zip."""
    return name.startswith(".") or name == "__MACOSX"


def printable(name: str) -> str:
    """The name with what a terminal would obey, or cannot show, replaced."""
    return name if name.isprintable() else "".join(c if c.isprintable() else "�" for c in name)


def first_few(names: Sequence[str], count: int = 3) -> str:
    """The first names, fit for a message, and that there are more."""
    return ", ".join(map(printable, names[:count])) + (", …" if len(names) > count else "")
