"""Every case with what was said of it when it was held out, and the cases it looks like."""

from medfs.core.features import Features
from medfs.reporting.values import Cell, Entry, Likeness, Paragraph, Section, Table
from medfs.workflows.reporting.neighbours import distances, nearest
from medfs.workflows.reporting.sections.wording import HELD_OUT, meant_for, percent
from medfs.workflows.reporting.subject import Subject, SupportCase

_ALIKE = 3


def case_table(subject: Subject) -> Section:
    """The cases, those most wrong first."""
    between = distances(
        subject.predictor.calibrated, Features.stack([c.features for c in subject.cases])
    )
    alike = nearest(between, [c.patient for c in subject.cases], _ALIKE)
    order = sorted(range(len(subject.cases)), key=lambda i: (_of_truth(subject, i), i))
    columns = (f"p({name})" for name in subject.class_names)
    head = ("Case and class", *columns, "Most probable", "Looks like")
    rows = tuple(_row(subject, i, alike[i]) for i in order)
    place = meant_for(subject.predictor.prevalence)
    words = (
        f"{HELD_OUT} They are meant {place}. The cases most wrong come first: look at them, and "
        "at their labels. “Looks like” are the nearest cases of other patients, as far as the "
        "features go that the model reads."
    )
    table = Table("Probabilities of support cases when held out", head, rows)
    return Section("cases", "Case by case", (Paragraph(words), table))


def _of_truth(subject: Subject, at: int) -> float:
    case = subject.cases[at]
    return 2.0 if case.held_out is None else case.held_out[subject.class_names.index(case.label)]


def _row(subject: Subject, at: int, alike: tuple[int, ...]) -> tuple[Entry, ...]:
    case, names = subject.cases[at], subject.class_names
    likes = tuple(_like(subject.cases[j]) for j in alike)
    first = (_like(case),)
    if case.held_out is None:
        return (first, *(Cell("–", True) for _ in names), "not held out", likes)
    told = tuple(Cell(percent(p), number=True) for p in case.held_out)
    given = names[max(range(len(names)), key=case.held_out.__getitem__)]
    right = given == case.label
    mark = Cell(f"✓ {given}" if right else f"✗ {given}", tone="good" if right else "bad")
    return (first, *told, mark, likes)


def _like(case: SupportCase) -> Likeness:
    return Likeness(case.ordinal, case.title, case.label, case.slices[0])
