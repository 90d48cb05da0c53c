"""What may be believed of the model, before any number."""

from collections.abc import Mapping
from typing import Any

from medfs.reporting.values import Paragraph, Section
from medfs.workflows.reporting.sections.wording import meant_for
from medfs.workflows.reporting.subject import Subject
from medfs.workflows.wording import in_words

_FEW = 5


def verdict(subject: Subject) -> Section:
    """Ranking, calibration and doubts, in plain words."""
    report = subject.report
    made = [Paragraph(line) for line in in_words(report).splitlines()[:-1]]
    blocks = [_ranking(report), *_place(subject), *_doubts(report), *made]
    return Section("verdict", "In short", tuple(blocks))


def _place(subject: Subject) -> list[Paragraph]:
    known = subject.predictor.prevalence
    if known is None:
        return []
    return [
        Paragraph(
            f"Probabilities on this page are meant {meant_for(known)}. AUROC, the shares "
            "recognised, thresholds, sets of classes and the learning curve do not depend on it."
        )
    ]


def _ranking(report: Mapping[str, Any]) -> Paragraph:
    found = report["performance_on_support"]
    if found is None:
        return Paragraph(
            "How well this model tells the classes apart is unknown: a class has a single patient, "
            "so no case can be held out.",
            "bad",
        )
    told = (
        f"Shown one new case of each class, the model is expected to rank them right in "
        f"{found['auroc']:.0%} of all pairs (AUROC {found['auroc']:.2f})"
    )
    worst = "" if len(found["pairs"]) == 1 else " for the pair of classes that is told apart worst"
    sure = f"with 95% confidence between {found['low']:.2f} and {found['high']:.2f}{worst}"
    if found["low"] > 0.5:
        return Paragraph(f"{told}, {sure}. Guessing would reach 0.50.", "good")
    return Paragraph(f"{told}, {sure}: it may be no better than guessing, 0.50.", "warn")


def _doubts(report: Mapping[str, Any]) -> list[Paragraph]:
    fewest = min(c["patients"] for c in report["classes"].values())
    guard = report["components"].get("task_guard") or {}
    doubts = []
    if fewest < _FEW:
        doubts.append(
            f"A class has {fewest} patient(s): everything below is hardly more than a hint."
        )
    doubts += [f"Unfamiliar cases: {text}." for text in guard.get("beyond", [])]
    if guard.get("signal") is False:
        doubts.append(
            "Left-out cases are predicted no better than by chance: the labels may carry no signal "
            "that these features can see."
        )
    if not report["components"]["use_masks"]:
        doubts.append(
            "Regions were found, not marked: look at the outlines below before anything else."
        )
    return [Paragraph(text, "warn") for text in doubts]
