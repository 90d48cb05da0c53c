"""How well held-out probabilities separate the classes."""

import numpy as np
from jaxtyping import Bool, Float

from medfs.metrics.discrimination import auroc
from medfs.reporting.values import Block, Chart, Charts, Line, Paragraph, Section
from medfs.workflows.reporting.sections.wording import HELD_OUT, NOTHING_HELD_OUT
from medfs.workflows.reporting.subject import HeldOut, Subject


def ranking(subject: Subject) -> Section:
    """An ROC curve for each class against the others; one is enough for two classes."""
    held_out = subject.held_out
    blocks: tuple[Block, ...] = (Paragraph(NOTHING_HELD_OUT),)
    if held_out is not None:
        n_way = len(subject.class_names)
        positive = range(n_way) if n_way > 2 else (1,)
        charts = tuple(_roc(held_out, k, subject.class_names[k]) for k in positive)
        blocks = (Paragraph(HELD_OUT), Charts(charts))
    return Section("ranking", "Does it tell the classes apart?", blocks)


def _roc(held_out: HeldOut, label: int, name: str) -> Chart:
    scores, positive = held_out.probabilities[:, label], held_out.labels == label
    points = _rates(scores, positive)
    area = auroc(scores, positive)
    words = (
        f"Of {int(positive.sum())} cases of {name} the share found, against the share of "
        f"{int((~positive).sum())} other cases taken for it, at every threshold. Area {area:.2f}; "
        "guessing has 0.50. Scores of different rounds are compared here, so the area may differ "
        "a little from the one at the top."
    )
    layers = (
        Line(((0.0, 0.0), (1.0, 1.0)), "chance", "guessing"),
        Line(points, "curve", "held-out cases"),
    )
    axes = ("Others taken for it (1 − specificity)", "Found (sensitivity)")
    return Chart(f"ROC curve of {name}", words, *axes, layers)


def _rates(
    scores: Float[np.ndarray, "case"], positive: Bool[np.ndarray, "case"]
) -> tuple[tuple[float, float], ...]:
    """(1 − specificity, sensitivity) at every threshold, from none to all; ties move together."""
    thresholds = np.unique(scores)[::-1]
    found = [
        (float(np.mean(scores[~positive] >= t)), float(np.mean(scores[positive] >= t)))
        for t in thresholds
    ]
    return ((0.0, 0.0), *found)
