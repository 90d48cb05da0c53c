"""What acting on the probabilities would be worth."""

import numpy as np
from jaxtyping import Float

from medfs.metrics.decision_curve import decision_curve
from medfs.reporting.values import Block, Chart, Charts, Line, Paragraph, Section
from medfs.workflows.reporting.sections.wording import NOTHING_HELD_OUT, meant_for
from medfs.workflows.reporting.subject import HeldOut, Subject

_THRESHOLDS = np.arange(1, 96) / 100
_INTRO = (
    "Whoever acts from a probability of 20% on says that a false alarm is a quarter as bad as a "
    "miss. Net benefit counts both at that rate, per case, in units of one patient found; acting "
    "on nobody is worth 0. A model is of use where its curve lies above both others. "
    "Probabilities and net benefit are meant "
)


def worth(subject: Subject) -> Section:
    """Decision curves on held-out cases (Vickers & Elkin 2006)."""
    held_out = subject.held_out
    blocks: tuple[Block, ...] = (Paragraph(NOTHING_HELD_OUT),)
    if held_out is not None:
        charts = tuple(_chart(held_out, k, subject.class_names) for k in subject.watched)
        blocks = (Paragraph(f"{_INTRO}{meant_for(subject.predictor.prevalence)}."), Charts(charts))
    return Section("worth", "What would acting on it be worth?", blocks)


def _chart(held_out: HeldOut, label: int, names: tuple[str, ...]) -> Chart:
    share = float(held_out.shares[label])
    curve = decision_curve(
        held_out.probabilities[:, label],
        held_out.labels == label,
        _THRESHOLDS,
        share,
        held_out.weights,
    )
    better = curve.model > np.maximum(curve.everybody, 0.0) + 1e-12
    at = _THRESHOLDS[better]
    words = (
        f"The model is worth more than acting on all cases or on none at {len(at)} of "
        f"{len(better)} thresholds"
        + (f", between {at[0]:.0%} and {at[-1]:.0%}." if len(at) else ".")
    )
    y_range = (-0.25 * share, share)
    # Beyond the axes the falling line would run along their end.
    shown = curve.everybody >= y_range[0]
    layers = (
        Line(((0.0, 0.0), (1.0, 0.0)), "chance", "acting on nobody"),
        Line(_points(_THRESHOLDS[shown], curve.everybody[shown]), "other", "acting on everybody"),
        Line(_points(_THRESHOLDS, curve.model), "curve", "acting on the model"),
    )
    axes = ("Probability from which one acts", "Net benefit per case")
    return Chart(f"Decision curve of {names[label]}", words, *axes, layers, y_range=y_range)


def _points(
    x: Float[np.ndarray, "point"], y: Float[np.ndarray, "point"]
) -> tuple[tuple[float, float], ...]:
    return tuple(zip(x.tolist(), y.tolist(), strict=True))
