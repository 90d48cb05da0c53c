"""How often each class is recognised, and whether more cases would help."""

import math
from collections.abc import Mapping
from typing import Any

from medfs.reporting.values import (
    Block,
    Cell,
    Chart,
    Charts,
    Line,
    Paragraph,
    Section,
    Table,
)
from medfs.workflows.reporting.sections.wording import NOTHING_HELD_OUT
from medfs.workflows.reporting.subject import Subject

_NO_CURVE = (
    "No learning curve: it takes at least five patients of every class, each with cases of one "
    "class."
)
_NO_POINT = (
    "No threshold was asked for: `medfs adapt --target-sensitivity 0.9 --positive CLASS` chooses "
    "one for a class that must not be missed."
)


def growth(subject: Subject) -> Section:
    """Recalls, the threshold if one was asked for, the learning curve."""
    report = subject.report
    recalls = report.get("recall_of_left_out_cases")
    blocks: list[Block] = [_recalls(recalls) if recalls else Paragraph(NOTHING_HELD_OUT)]
    point, curve = report.get("operating_point"), report.get("learning_curve")
    blocks.append(_point(point) if point else Paragraph(_NO_POINT))
    blocks.append(Charts((_learning(curve),)) if curve else Paragraph(_NO_CURVE))
    return Section("growth", "How many does it find, and would more cases help?", tuple(blocks))


def _recalls(found: Mapping[str, Any]) -> Table:
    rows = tuple(
        (name, Cell(f"{s['value']:.0%}", True), _between(s), Cell(str(s["patients"]), True))
        for name, s in found.items()
    )
    head = ("Class", "Recognised", "95% interval", "Patients")
    caption = (
        "Left-out cases to which their own class was the most probable one, all classes taken as "
        "equally common"
    )
    return Table(caption, head, rows)


def _point(point: Mapping[str, Any]) -> Table:
    named = {"found": "sensitivity", "others spared": "specificity"}
    rows = tuple(
        (
            f"{point['positive']}: {called}" if key == "sensitivity" else called,
            Cell(f"{point[key]['value']:.0%}", True),
            _between(point[key]),
            Cell(str(point[key]["patients"]), True),
        )
        for called, key in named.items()
    )
    caption = (
        f"Called {point['positive']} from a probability of {point['threshold']:.3f} at even "
        f"prevalence, chosen to find {point['target']:.0%} of new patients with it"
    )
    return Table(caption, ("At this threshold", "Share", "95% interval", "Patients"), rows)


def _between(share: Mapping[str, Any]) -> Cell:
    return Cell(f"{share['low']:.0%} to {share['high']:.0%}", True)


def _learning(curve: Mapping[str, Any]) -> Chart:
    points = tuple(
        (float(n), float(a)) for n, a in zip(curve["patients"], curve["aurocs"], strict=True)
    )
    told = "more cases are likely to help" if curve["low"] > 0 else "it cannot be told"
    words = (
        "Mean AUROC on patients put aside, of classifiers made from more and more of the others. "
        f"From the first to the last it changed by {curve['change']:+.2f} (95% interval "
        f"{curve['low']:+.2f} to {curve['high']:+.2f}). Would more cases help? {told}."
    )
    x_range = (0.0, 5.0 * math.ceil(points[-1][0] / 5))
    low = min(0.5, *(a for _, a in points))
    layers = (
        Line(((x_range[0], 0.5), (x_range[1], 0.5)), "chance", "guessing"),
        Line(points, "curve", "patients put aside"),
    )
    names = ("Patients of each class", "AUROC")
    return Chart("Learning curve", words, *names, layers, x_range, (low, 1.0))
