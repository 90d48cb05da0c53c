"""Slope, intercept and reliability diagrams of predicted probabilities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from medfs.metrics.calibration import reliability_table

_SIDE, _GAP, _LEFT, _TOP = 170, 34, 40, 30
_COLOURS = ("#1b6ca8", "#c1440e")


def slope_and_intercept(
    probabilities: Float[np.ndarray, "case way"],
    labels: Int[np.ndarray, "case"],
    weights: Float[np.ndarray, "replicate case"],
) -> Float[np.ndarray, "replicate 2"]:
    """Of logistic recalibration, logit P(y = k) = a + b logit p_k (Cox 1958): b and a.

    b = 1 is right, below 1 too sure; a = 0 is right. k is the second of two classes, or all of
    several pooled. One pair per row of `weights`.
    """
    first = 1 if probabilities.shape[1] == 2 else 0
    p = np.clip(probabilities[:, first:], 1e-9, 1 - 1e-9)
    x = np.log(p / (1 - p)).ravel()
    y = (labels[:, None] == np.arange(first, probabilities.shape[1])).astype(float).ravel()
    w = np.repeat(weights, p.shape[1], axis=1)
    found = np.tile([1.0, 0.0], (len(w), 1))
    for _ in range(60):
        q = 1 / (1 + np.exp(-np.clip(found[:, :1] * x + found[:, 1:], -40, 40)))
        g = w * (q - y)
        h = w * q * (1 - q) + 1e-12
        gradient = np.stack([g @ x, g.sum(axis=1)], axis=1)
        curvature = np.stack(
            [np.stack([h @ x**2, h @ x], axis=1), np.stack([h @ x, h.sum(axis=1)], axis=1)], axis=1
        )
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        found = found - np.clip(step, -0.5, 0.5)
    return found


def reliability_svg(
    path: Path,
    panels: Sequence[tuple[str, Sequence[tuple[str, np.ndarray, np.ndarray]]]],
) -> None:
    """One panel beside the other: accuracy against confidence in ten bins, points by count.

    Args:
        path: the file.
        panels: title and curves of each; a curve is a name, probabilities and labels.
    """
    width = _LEFT + len(panels) * (_SIDE + _GAP)
    parts = [
        _panel(title, curves, _LEFT + i * (_SIDE + _GAP))
        for i, (title, curves) in enumerate(panels)
    ]
    names = [name for name, _, _ in panels[0][1]]
    legend = "".join(
        f'<text x="{_LEFT + 110 * i}" y="{_TOP + _SIDE + 44}" fill="{_COLOURS[i]}">● {name}</text>'
        for i, name in enumerate(names)
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_TOP + _SIDE + 56}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + "".join(parts)
        + legend
        + "</svg>\n",
        encoding="utf-8",
    )


def _panel(title: str, curves: Sequence[tuple[str, np.ndarray, np.ndarray]], left: int) -> str:
    bottom = _TOP + _SIDE
    drawn = [
        f'<text x="{left}" y="{_TOP - 10}">{title}</text>',
        f'<rect x="{left}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#999"/>',
        f'<path d="M{left} {bottom}L{left + _SIDE} {_TOP}" stroke="#bbb" stroke-dasharray="4"/>',
        f'<text x="{left}" y="{bottom + 16}">0</text>',
        f'<text x="{left + 50}" y="{bottom + 16}">confidence</text>',
        f'<text x="{left + _SIDE - 7}" y="{bottom + 16}">1</text>',
    ]
    for colour, (_, probabilities, labels) in zip(_COLOURS, curves, strict=False):
        table = reliability_table(probabilities, labels)
        filled = table.count > 0
        xs = left + _SIDE * table.confidence[filled]
        ys = bottom - _SIDE * table.accuracy[filled]
        radii = 1.5 + 7 * np.sqrt(table.count[filled] / table.count.sum())
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        drawn += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{colour}" fill-opacity="0.6"/>'
            for x, y, r in zip(xs, ys, radii, strict=True)
        ]
    return "".join(drawn)
