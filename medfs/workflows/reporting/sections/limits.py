"""What the model would not judge, and which sets of classes it can promise."""

from medfs.core.prediction_sets import PredictionSets, patients_needed
from medfs.reporting.values import Block, Cell, Paragraph, Section, Table
from medfs.workflows.reporting.subject import Subject
from medfs.workflows.unfamiliar import usual_ranges

_LEVELS = (0.5, 0.8, 0.9, 0.95)
_NO_SETS = (
    "No sets of classes can be given: a class has a single patient, the model was made with "
    "`--sets none`, or its folder `local/` stayed where it was made."
)
_FEW = (
    "There are too few cases to say how far the features of a scan may lie from them: only scans "
    "of which a single number is out of range are refused."
)
_FAR = (
    "Besides, a scan is refused when its features lie further from those of the support than "
    "scans of the same kind do. What is refused gets no probability unless it is asked for."
)


def limits(subject: Subject) -> Section:
    """Prediction sets by level, and the ranges of the guard."""
    sets = subject.sets
    blocks: list[Block] = [Paragraph(_NO_SETS) if sets is None else _levels(sets)]
    guard = subject.predictor.guard
    known = ", ".join(guard.modalities)
    blocks.append(
        Paragraph(
            f"Scans of another DICOM modality than {known} are refused."
            if known
            else "Files of the support name no DICOM modality, so none is refused."
        )
    )
    blocks += [_ranges(subject), Paragraph(_FEW if guard.near is None else _FAR)]
    return Section("limits", "Where does it say that it does not know?", tuple(blocks))


def _levels(sets: PredictionSets) -> Table:
    rows = []
    for level in _LEVELS:
        can = level <= sets.highest + 1e-9
        sure = f"{sets.guaranteed(level):.0%}" if can else "–"
        n = Cell(str(patients_needed(level)), True)
        can_ask = Cell("yes" if can else "no", tone="" if can else "warn")
        rows.append((f"{level:.0%}", n, can_ask, Cell(sure, True)))
    fewest = int(sets.n_patients.min())
    caption = (
        f"Sets that hold the true class ({sets.method}, {fewest} patients of the smallest class "
        "were held out)"
    )
    head = ("Of patients", "Needs, of every class", "Can be asked", "Guaranteed at least")
    return Table(caption, head, tuple(rows))


def _ranges(subject: Subject) -> Table:
    found = usual_ranges(subject.predictor.guard, subject.predictor.embedder.preset)
    rows = tuple((r.what, Cell(r.usual, True), Cell(r.allowed, True), Cell(r.unit)) for r in found)
    head = ("Of a scan", "In the support, about", "Refused beyond", "")
    return Table("Numbers of a scan that are looked at", head, rows)
