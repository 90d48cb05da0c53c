"""What a report consists of, as plain values: sections of blocks. Nothing here knows of models."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

Tone = Literal["", "good", "bad", "warn"]


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One plane of a case, as it is shown: rows from top to bottom, columns from left to right.

    Attributes:
        plane: its name.
        grey: brightness.
        roi: the region.
        mm: height and width of a pixel.
        sides: letters of the patient's sides at the left and at the top, "" where unknown.
        weight: what is laid over it, −1 to 1 (see `pictures.py`); None for nothing.
    """

    plane: str
    grey: UInt8[np.ndarray, "row column"]
    roi: Bool[np.ndarray, "row column"]
    mm: tuple[float, float]
    sides: tuple[str, str] = ("", "")
    weight: Float[np.ndarray, "row column"] | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text; a tone makes a box of it."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a table, numbers to the right; `link` is the anchor of a case."""

    text: str
    number: bool = False
    tone: Tone = ""
    link: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """A small picture that leads to a case: its anchor, what it is called, its class."""

    case: str
    title: str
    label: str
    slice: Slice


Entry = str | Cell | tuple[Likeness, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows below a head; the first column heads its row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """Pictures of one case with a few words."""

    case: str
    title: str
    subtitle: str
    slices: tuple[Slice, ...]
    notes: tuple[str, ...] = ()
    anchor: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Cards side by side."""

    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """Points joined in order; `style` is one of the chart's (`curve`, `chance`, `other`)."""

    points: tuple[tuple[float, float], ...]
    style: str = "curve"
    name: str = ""
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """An area between a lower and an upper line, point by point of (x, low, high)."""

    points: tuple[tuple[float, float, float], ...]
    style: str = "band"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Dots:
    """Points with an interval, of (x, y, low, high)."""

    points: tuple[tuple[float, float, float, float], ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A diagram on two linear axes; what is in words below it says the same as it shows."""

    title: str
    in_words: str
    x_name: str
    y_name: str
    layers: tuple[Line | Band | Dots, ...]
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts side by side."""

    charts: tuple[Chart, ...]


Block = Paragraph | Table | Gallery | Charts


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report."""

    title: str
    subtitle: str
    notice: str
    sections: tuple[Section, ...]
