"""Slices as SVG: the pixels as PNG within, the region's outline as a path on top, lengths in mm."""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from markupsafe import Markup

from medfs.reporting.png import data_uri, png
from medfs.reporting.svg import element, number
from medfs.reporting.values import Slice

# Towards the predicted class, and away from it: told apart by people who do not see red or green.
_FOR, _AGAINST = (213, 94, 0), (0, 114, 178)
_MOST_OPAQUE = 0.6
_BAR_MM = 10.0


def picture(shown: Slice, words: str, *, bare: bool = False) -> Markup:
    """A slice with its outline, letters of its sides and a bar of 10 mm; `bare` without these two.

    Args:
        shown: the slice; where `weight` is positive it is laid over in orange, where negative in
            blue, as opaque as it is large.
        words: the alternative text.
        bare: for pictures too small for letters.
    """
    height, width = shown.grey.shape[0] * shown.mm[0], shown.grey.shape[1] * shown.mm[1]
    parts = [_image(shown.grey, width, height)]
    if shown.weight is not None:
        parts.append(_image(_overlay(shown.weight), width, height, "overlay"))
    if shown.roi.any():
        parts.append(element("path", d=outline(shown.roi, shown.mm), class_="roi"))
    if not bare:
        parts += _marks(shown, width, height)
    box = f"0 0 {number(width)} {number(height)}"
    return element("svg", *parts, viewBox=box, class_="slice", role="img", aria_label=words)


def outline(roi: Bool[np.ndarray, "row column"], mm: tuple[float, float]) -> str:
    """The border between pixels inside and outside, as the data of an SVG path in mm."""
    padded = np.pad(roi, 1)
    lines = []
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]
    for row, first, last in _runs(across):
        lines.append(f"M{number(first * mm[1])} {number(row * mm[0])}H{number(last * mm[1])}")
    down = padded[1:-1, 1:] != padded[1:-1, :-1]
    for column, first, last in _runs(down.T):
        lines.append(f"M{number(column * mm[1])} {number(first * mm[0])}V{number(last * mm[0])}")
    return "".join(lines)


def _runs(edges: Bool[np.ndarray, "line place"]) -> list[tuple[int, int, int]]:
    """(line, first, one past the last) of every stretch of True."""
    wider = np.pad(edges, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(wider, axis=1)
    starts, ends = np.argwhere(change == 1), np.argwhere(change == -1)
    return [(int(s[0]), int(s[1]), int(e[1])) for s, e in zip(starts, ends, strict=True)]


def _image(
    pixels: UInt8[np.ndarray, "row column *channel"],
    width: float,
    height: float,
    kind: str | None = None,
) -> Markup:
    return element(
        "image",
        href=data_uri(png(pixels)),
        width=width,
        height=height,
        preserveAspectRatio="none",
        class_=kind,
    )


def _overlay(weight: Float[np.ndarray, "row column"]) -> UInt8[np.ndarray, "row column 4"]:
    shown = np.zeros((*weight.shape, 4), dtype=np.uint8)
    shown[..., :3] = np.where((weight > 0)[..., None], _FOR, _AGAINST)
    shown[..., 3] = np.round(255 * _MOST_OPAQUE * np.minimum(np.abs(weight), 1))
    return shown


def _marks(shown: Slice, width: float, height: float) -> list[Markup]:
    left, top = shown.sides
    size = max(width, height) / 14
    marks = [
        element("text", text, x=x, y=y, font_size=size, class_="side")
        for text, x, y in (
            (left, size / 4, height / 2 + size / 3),
            (top, width / 2 - size / 3, size),
        )
        if text
    ]
    if width > 2 * _BAR_MM:
        y = height - size / 2
        ends = {"x1": size / 2, "x2": size / 2 + _BAR_MM, "y1": y, "y2": y}
        marks.append(element("line", **ends, stroke_width=size / 6, class_="bar"))
    return marks
