"""Whether probabilities mean what they say, on cases that were held out."""

import numpy as np

from medfs.metrics.calibration import (
    Reliability,
    brier,
    drawn_labels,
    ece_floor,
    nll,
    reliability_table,
)
from medfs.metrics.intervals import wilson_weighted
from medfs.reporting.values import (
    Band,
    Block,
    Cell,
    Chart,
    Charts,
    Dots,
    Line,
    Paragraph,
    Section,
    Table,
)
from medfs.workflows.reporting.sections.wording import (
    CHOSEN,
    HELD_OUT,
    NOTHING_HELD_OUT,
    meant_for,
)
from medfs.workflows.reporting.subject import HeldOut, Subject

_BINS = 10
_REDRAWS = 1000
_SEED = 0


def honesty(subject: Subject) -> Section:
    """Reliability diagram with its noise, and scores beside those of saying nothing."""
    held_out = subject.held_out
    blocks: tuple[Block, ...] = (Paragraph(NOTHING_HELD_OUT),)
    if held_out is not None:
        note = f"{HELD_OUT} {CHOSEN} {_meant(subject)}"
        blocks = (Paragraph(note), Charts((_diagram(held_out),)), _scores(held_out))
    return Section("reliability", "Do probabilities mean what they say?", blocks)


def _meant(subject: Subject) -> str:
    return (
        f"Probabilities are meant {meant_for(subject.predictor.prevalence)}; cases of each class "
        "count as much as that says, in every figure here."
    )


def _diagram(held_out: HeldOut) -> Chart:
    p, labels = held_out.probabilities, held_out.labels
    table = reliability_table(p, labels, _BINS, held_out.weights)
    floor = ece_floor(p, _SEED, _REDRAWS, _BINS, held_out.class_weights)
    filled = np.flatnonzero(table.count).tolist()
    dots = tuple(
        (float(table.confidence[b]), float(table.accuracy[b]), *_interval(table, b)) for b in filled
    )
    words = (
        f"Cases in {len(filled)} groups by the probability of the class they were given; a dot is "
        "the share that was given rightly, with its 95% interval. In the grey area lie 95% of "
        f"the dots of a perfect predictor with as few cases. Expected calibration error "
        f"{table.ece:.3f}; that of a perfect predictor would be {floor:.3f} by chance alone."
    )
    layers = (
        Band(_noise(held_out, table), "floor", "chance alone"),
        Line(((0.0, 0.0), (1.0, 1.0)), "chance", "perfect"),
        Dots(dots, "held-out cases"),
    )
    low = float(table.edges[filled[0]])
    names = ("Probability of the class that was given", "Share given rightly")
    return Chart("Reliability", words, *names, layers, x_range=(low, 1.0))


def _interval(table: Reliability, at: int) -> tuple[float, float]:
    return wilson_weighted(float(table.accuracy[at]), float(table.effective[at]))


def _noise(held_out: HeldOut, table: Reliability) -> tuple[tuple[float, float, float], ...]:
    """Where the accuracy of each bin lies if every label is drawn from its own probabilities."""
    p, by_class = held_out.probabilities, held_out.class_weights
    place = np.clip(np.searchsorted(table.edges, p.max(axis=1), side="left") - 1, 0, _BINS - 1)
    drawn = drawn_labels(p, np.random.default_rng(_SEED), _REDRAWS, by_class)
    right, weight = drawn == p.argmax(axis=1), by_class[drawn]
    found = []
    for b in np.flatnonzero(table.count):
        own = place == b
        shares = (right * weight)[:, own].sum(axis=1) / weight[:, own].sum(axis=1)
        low, high = np.quantile(shares, [0.025, 0.975])
        found.append((float(table.confidence[b]), float(low), float(high)))
    return tuple(found)


def _scores(held_out: HeldOut) -> Table:
    p, labels, w = held_out.probabilities, held_out.labels, held_out.weights
    known = np.broadcast_to(held_out.shares, p.shape)
    right = float(np.average(p.argmax(axis=1) == labels, weights=w))
    largest = float(held_out.shares.max())
    rows = (
        ("Cases given the right class", f"{right:.2f}", f"{largest:.2f}", "1 is best"),
        ("Log loss", f"{nll(p, labels, w):.3f}", f"{nll(known, labels, w):.3f}", "0 is best"),
        (
            "Brier score",
            f"{brier(p, labels, w):.3f}",
            f"{brier(known, labels, w):.3f}",
            "0 is best",
        ),
    )
    head = ("Score", "Held-out cases", "Knowing only how common classes are", "")
    cells = tuple((a, Cell(b, True), Cell(c, True), d) for a, b, c, d in rows)
    return Table(f"Scores of {len(labels)} held-out cases", head, cells)
