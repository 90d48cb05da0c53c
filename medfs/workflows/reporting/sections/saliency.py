"""Where in the scan the probability comes from, for the cases that deserve a look."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medfs.reporting.values import Card, Gallery, Paragraph, Section
from medfs.workflows.reporting.occlusion import Occlusion, occlude
from medfs.workflows.reporting.reading import patch_of
from medfs.workflows.reporting.sections.wording import meant_for, percent
from medfs.workflows.reporting.slices import Look, slices
from medfs.workflows.reporting.subject import Subject
from medfs.workflows.sources import ScanSource

_WORDS = (
    "The region and its surroundings are covered cube by cube with what lies around, as if this "
    "part of the finding were not there, and the model is asked again each time, from voxels to "
    "probability. Orange: the probability falls without this part, so it speaks for the class; "
    "blue: it rises, so the part speaks against it. Colours are relative to the largest change in "
    "a case. Covering a part changes size and shape of what is left, so a map does not tell "
    "density from outline. The model has seen these cases; they are the ones most wrong and most "
    "uncertain when held out."
)


@dataclass(frozen=True)
class Chosen:
    """A case to look at, and why."""

    at: int
    why: str


def choose_cases(subject: Subject, count: int) -> tuple[Chosen, ...]:
    """The most certain of the wrong, up to half of them, and the most uncertain of the others."""
    held_out = subject.held_out
    if held_out is None:
        return tuple(Chosen(i, "held out: never") for i in range(min(count, len(subject.cases))))
    p, wrong = held_out.probabilities, held_out.probabilities.argmax(axis=1) != held_out.labels
    sure = np.sort(p, axis=1)
    margin = sure[:, -1] - sure[:, -2]
    mistakes = sorted(np.flatnonzero(wrong).tolist(), key=lambda i: (-margin[i], i))[: count // 2]
    others = sorted(set(range(len(p))) - set(mistakes), key=lambda i: (margin[i], i))
    chosen = [(i, "wrong when held out") for i in mistakes]
    chosen += [(i, "uncertain when held out") for i in others[: count - len(mistakes)]]
    return tuple(Chosen(int(held_out.at[i]), why) for i, why in chosen)


def saliency(
    subject: Subject,
    chosen: tuple[Chosen, ...],
    source_of: Callable[[int], ScanSource],
    look: Look,
    progress: Callable[[int], None],
) -> Section:
    """Maps of a few cases.

    Args:
        subject: the model and its support.
        chosen: which of them; none at all is said so.
        source_of: where the case at a position is read from.
        look: how it is shown.
        progress: told of every case.
    """
    title = "What the probability rests on"
    if not chosen:
        return Section("saliency", title, (Paragraph("No maps were asked for."),))
    cards = []
    for one in chosen:
        cards.append(_card(subject, one, source_of(one.at), look))
        progress(1)
    words = f"{_WORDS} Probabilities are meant {meant_for(subject.predictor.prevalence)}."
    return Section("saliency", title, (Paragraph(words), Gallery(tuple(cards))))


def _card(subject: Subject, one: Chosen, source: ScanSource, look: Look) -> Card:
    case = subject.cases[one.at]
    patch = patch_of(subject.predictor, source)
    told = subject.predictor.calibrated.predict_proba(case.features)[0]
    best = int(told.argmax())
    found = occlude(subject.predictor, patch, best, case.ordinal)
    name = subject.class_names[best]
    notes = (f"p({name}) = {percent(float(told[best]))}", _change(found, name))
    shown = slices(patch, look, found.weight)
    return Card(case.ordinal, case.title, f"{case.label}; {one.why}", shown, notes)


def _change(found: Occlusion, name: str) -> str:
    covered = f"without one of {found.cubes} cubes of {found.edge_mm:.0f} mm"
    low, high = round(-100 * float(found.drop.max())), round(-100 * float(found.drop.min()))
    if low == high == 0:
        return f"{covered} p({name}) changes by less than a point"
    return f"{covered} p({name}) changes by {min(low, 0)} to +{max(high, 0)} points"
