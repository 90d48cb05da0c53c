"""One region of several, by number or by name; never a guess."""

from collections.abc import Sequence
from dataclasses import dataclass

from medfs.core.errors import ScanReadError

Label = str | int | None

_CHOOSE = "Choose one by its number or name, or save a mask that holds only the region of interest"
_SHOWN = 20
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """A region that a file offers. `name` is empty where the file gives none."""

    number: float
    name: str = ""

    def __str__(self) -> str:
        return f"{self.number:g} ({printable(self.name)})" if self.name else f"{self.number:g}"

    def notes(self, noun: str, offered: Sequence["Choice"]) -> tuple[tuple[str, str], ...]:
        """Which of several regions was taken; its name apart, since people name regions."""
        if len(offered) == 1:
            return ()
        number = (noun, f"{self.number:g}")
        return (number, (f"{noun} name", printable(self.name))) if self.name else (number,)


def choose(offered: Sequence[Choice], label: Label, *, file: str, nouns: tuple[str, str]) -> Choice:
    """The region that `label` names, or the only one where there is no label.

    Args:
        offered: at least one region.
        label: number or name; a name wins over a number written as text.
        file: base name, for messages.
        nouns: what one region, and several, of this kind of file are called.

    Raises:
        ScanReadError: none or several regions fit; all are listed.
    """
    numbers = [c.number for c in offered]
    if len(set(numbers)) < len(numbers):
        raise ScanReadError(
            "a number stands for two regions of the mask",
            why=_listed(offered, file, nouns),
            todo="Export the mask again",
        )
    if label is None:
        if len(offered) == 1:
            return offered[0]
        raise ScanReadError(
            "the mask holds several labels", why=_listed(offered, file, nouns), todo=_CHOOSE
        )
    found = _fitting(offered, label)
    if len(found) == 1:
        return found[0]
    what = f"{printable(str(label))!r}"
    raise ScanReadError(
        f"the label {what} fits several regions of the mask"
        if found
        else f"the mask holds no label {what}",
        why=_listed(offered, file, nouns),
        todo=_CHOOSE,
    )


def printable(text: str) -> str:
    """Text of a header in one short line, for messages and notes."""
    clean = "".join(c if c.isprintable() else " " for c in text).strip()
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"


def _fitting(offered: Sequence[Choice], label: str | int) -> list[Choice]:
    if isinstance(label, str):
        wanted = _fold(label)
        named = [c for c in offered if wanted and _fold(c.name) == wanted]
        if named or not (wanted.isascii() and wanted.isdigit() and len(wanted) < 10):
            return named
    return [c for c in offered if c.number == int(label)]


def _fold(name: str) -> str:
    return name.strip().casefold()


def _listed(offered: Sequence[Choice], file: str, nouns: tuple[str, str]) -> str:
    shown = ", ".join(map(str, offered[:_SHOWN])) + (", …" if len(offered) > _SHOWN else "")
    noun = nouns[len(offered) != 1]
    return f"{file} holds {len(offered)} {noun}: {shown}"
