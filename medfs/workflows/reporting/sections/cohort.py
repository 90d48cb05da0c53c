"""Who the model was made from."""

from medfs.reporting.values import Block, Card, Cell, Gallery, Paragraph, Section, Table
from medfs.workflows.reporting.sections.wording import plural
from medfs.workflows.reporting.subject import Subject

# Beyond this in at least two directions a picture of a head shows a face.
_FACE_MM = 100.0


def cohort(subject: Subject) -> Section:
    """Classes with their counts, and what was left out."""
    classes = subject.report["classes"]
    left_out = {name: sum(label == name for _, label, _ in subject.excluded) for name in classes}
    rows = tuple(
        (name, _count(c["cases"]), _count(c["patients"]), _count(left_out[name]))
        for name, c in classes.items()
    )
    blocks: list[Block] = [
        Table("Labelled cases", ("Class", "Cases used", "Patients", "Cases left out"), rows)
    ]
    if subject.excluded:
        head = ("Case", "Class", "Why it was left out")
        blocks.append(Table("Cases that were left out", head, subject.excluded))
    else:
        blocks.append(Paragraph("No case was left out."))
    return Section("cohort", "Cases", tuple(blocks))


def montage(
    subject: Subject, extents_mm: tuple[tuple[float, float, float], ...], deface: bool
) -> Section:
    """Three planes of every case."""
    preset = subject.predictor.embedder.preset
    shown = (
        f"Each case as the model sees it ({preset.summary}): in each plane the slice with the most "
        "of the region, whose outline is yellow. R, A and S are the patient's right, front and "
        "head; the bar is 10 mm."
    )
    blocks: list[Block] = [Paragraph(shown), *_faces(extents_mm, deface)]
    for name in subject.class_names:
        cards = tuple(
            Card(c.ordinal, c.title, c.label, c.slices, c.notes, c.ordinal)
            for c in subject.cases
            if c.label == name
        )
        blocks += [Paragraph(f"{name}: {plural(len(cards), 'case')}"), Gallery(cards)]
    return Section("pictures", "What the model was shown", tuple(blocks))


def _faces(extents_mm: tuple[tuple[float, float, float], ...], deface: bool) -> list[Block]:
    wide = sum(sorted(extent)[1] >= _FACE_MM for extent in extents_mm)
    if deface:
        said = "Pictures are cropped to the region and what lies within two steps of it."
        more = f" {plural(wide, 'region')} may still be as wide as a head." if wide else ""
        return [Paragraph(said + more, "warn" if wide else "")]
    if not wide:
        return []
    return [
        Paragraph(
            f"{plural(wide, 'picture')} reach over {_FACE_MM:.0f} mm and more. If these are scans "
            "of the head, faces may be recognisable: treat this file as patient data, or write it "
            "again with --deface, which crops pictures to the region.",
            "warn",
        )
    ]


def _count(value: int) -> Cell:
    return Cell(str(value), number=True)
