"""What the model said of new scans, as `medfs predict` wrote it."""

from collections.abc import Sequence

from medfs.reporting.values import Block, Cell, Entry, Paragraph, Section, Table
from medfs.workflows.reporting.predictions import Row
from medfs.workflows.reporting.sections.wording import meant_for, percent, plural
from medfs.workflows.reporting.subject import Subject

# Further columns that predict may write, and their heads here. Others are not shown.
_EXTRA = {
    "decision": "Decision",
    "set": "Cannot be ruled out",
    "familiar": "Like the support",
}


def new_scans(subject: Subject, rows: Sequence[Row], names: bool) -> Section:
    """A table of the scans, by number unless names are wanted."""
    extra = [name for name in _EXTRA if rows and name in rows[0].extra]
    head = ("Scan", *(f"p({name})" for name in subject.class_names), "Most probable")
    head += tuple(_EXTRA[name] for name in extra) + (("Note",) if names else ())
    n_way = len(subject.class_names)
    cells = tuple(_row(row, i, extra, names, n_way) for i, row in enumerate(rows, 1))
    table = Table(plural(len(rows), "new scan"), head, cells)
    blocks: list[Block] = [_words(rows), *_place(subject, rows)]
    if rows:
        blocks.append(table)
    return Section("predictions", "New scans", tuple(blocks))


def _words(rows: Sequence[Row]) -> Paragraph:
    without = sum(row.probabilities is None for row in rows)
    if not rows:
        return Paragraph("The file of predictions holds no scan.", "warn")
    if without == len(rows):
        return Paragraph("No scan was given a probability.", "bad")
    if without:
        return Paragraph(f"{plural(without, 'scan')} got no probability.", "warn")
    return Paragraph("Every scan got a probability.")


def _place(subject: Subject, rows: Sequence[Row]) -> list[Paragraph]:
    """Which place the probabilities are meant for; they come from a file, as they were written."""
    prevalence = subject.predictor.prevalence
    told = [row.meant_for(prevalence) for row in rows if row.probabilities is not None]
    if all(told):
        return [Paragraph(f"They are meant {meant_for(prevalence)}.")] if told else []
    return [
        Paragraph(
            f"{plural(told.count(False), 'scan')} got probabilities for another prevalence than "
            f"the rest of this page, which is meant {meant_for(prevalence)}: give `medfs predict` "
            "and `medfs report` the same `--prevalence`.",
            "warn",
        )
    ]


def _row(row: Row, number: int, extra: Sequence[str], names: bool, n_way: int) -> tuple[Entry, ...]:
    called = row.case if names else f"scan-{number:03d}"
    told = row.probabilities
    cells = [Cell("–" if told is None else percent(told[k]), True) for k in range(n_way)]
    best = Cell(row.prediction or "none", tone="" if row.prediction else "bad")
    more = [Cell(row.extra[n], tone="warn" if row.extra[n] == "no" else "") for n in extra]
    return (called, *cells, best, *more, *((row.note,) if names else ()))
