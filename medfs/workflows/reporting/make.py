"""MODEL, CASES and maybe predictions → one HTML file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medfs.core.cases import Cohort
from medfs.export.model_folder import model_hashes, read_model
from medfs.reporting.page import render
from medfs.reporting.values import Page, Section
from medfs.storage.files import write_text
from medfs.workflows.asked import Asked
from medfs.workflows.predict import Predictor, load_predictor
from medfs.workflows.prevalence import shifted
from medfs.workflows.reporting.local import Local, read_local
from medfs.workflows.reporting.matched import Matched
from medfs.workflows.reporting.predictions import Row, read_predictions
from medfs.workflows.reporting.reading import Seen, read_all
from medfs.workflows.reporting.sections.case_table import case_table
from medfs.workflows.reporting.sections.cohort import cohort, montage
from medfs.workflows.reporting.sections.growth import growth
from medfs.workflows.reporting.sections.honesty import honesty
from medfs.workflows.reporting.sections.limits import limits
from medfs.workflows.reporting.sections.new_scans import new_scans
from medfs.workflows.reporting.sections.provenance import provenance
from medfs.workflows.reporting.sections.ranking import ranking
from medfs.workflows.reporting.sections.saliency import choose_cases, saliency
from medfs.workflows.reporting.sections.verdict import verdict
from medfs.workflows.reporting.sections.wording import plural
from medfs.workflows.reporting.sections.worth import worth
from medfs.workflows.reporting.slices import Look
from medfs.workflows.reporting.subject import Subject, SupportCase
from medfs.workflows.reporting.support import match
from medfs.workflows.sets import stored_sets

NOTICE = "For research use only. Not a medical device: not for diagnosis or treatment."
_WHY = {
    "ScanReadError": "its file cannot be read",
    "GeometryError": "where its voxels lie is unclear",
    "FieldError": "it is smaller than the field of view",
}


@dataclass(frozen=True)
class ReportRequest:
    """What `medfs report` is asked for; defaults are those of the command line.

    Attributes:
        names: call cases and scans what the user calls them.
        deface: crop pictures to the region.
        saliency: how many cases get a map.
        prevalence: how common each class is, `CLASS=NUMBER,…`; None if all are alike.
    """

    model: Path
    support: Path
    out: Path
    predictions: Path | None = None
    asked: Asked = field(default_factory=Asked)
    names: bool = False
    deface: bool = False
    saliency: int = 6
    device: str = "auto"
    prevalence: str | None = None


def make_report(request: ReportRequest, progress: Callable[[int], None] = lambda _: None) -> int:
    """Check the model and its support, look at them, write the page.

    Args:
        request: what is wanted.
        progress: told of every case that was read and every map that was made.

    Returns:
        Bytes written. The same inputs give the same ones: there is no date in them.

    Raises:
        UserError: what cannot be used, and why; CohortError if these are not the model's cases.
    """
    predictor = load_predictor(request.model, request.device, use_cache=False)
    predictor = predictor.at_prevalence(request.prevalence)
    content, local = read_model(request.model), read_local(request.model)
    rows = _predictions(request, predictor)
    given = _cases(request, predictor)
    matched = match(predictor, content.report, given.cases, local.names)
    look = Look(predictor.embedder.preset.intensity, request.deface)
    seen = read_all(predictor, matched, look, progress)
    subject = Subject(
        predictor,
        content.report,
        content.settings,
        model_hashes(request.model),
        tuple(
            _support_case(m, s, content.report, request.names, predictor.prevalence)
            for m, s in zip(matched, seen, strict=True)
        ),
        _excluded(content.report, local, request.names),
        stored_sets(content, request.model),
    )
    chosen = choose_cases(subject, request.saliency)
    maps = saliency(subject, chosen, lambda at: matched[at].source, look, progress)
    sections = (
        verdict(subject),
        cohort(subject),
        ranking(subject),
        growth(subject),
        honesty(subject),
        worth(subject),
        limits(subject),
        case_table(subject),
        maps,
        *(() if rows is None else (new_scans(subject, rows, request.names),)),
        montage(subject, tuple(s.extent_mm for s in seen), request.deface),
        provenance(subject),
    )
    text = render(_page(subject, sections))
    write_text(request.out, text)
    return len(text.encode())


def _cases(request: ReportRequest, predictor: Predictor) -> Cohort:
    return request.asked.or_else(predictor.asked).cohort(request.support)


def _predictions(request: ReportRequest, predictor: Predictor) -> tuple[Row, ...] | None:
    if request.predictions is None:
        return None
    return read_predictions(request.predictions, predictor.class_names)


def _support_case(
    matched: Matched,
    seen: Seen,
    report: dict[str, Any],
    names: bool,
    prevalence: Mapping[str, float] | None,
) -> SupportCase:
    ordinal, case = matched.ordinal, matched.case
    told = (report.get("held_out") or {}).get(ordinal)
    return SupportCase(
        ordinal,
        f"{ordinal} ({case.case_id})" if names else ordinal,
        str(case.label),
        case.patient_id,
        matched.notes,
        seen.slices,
        seen.features,
        None if told is None else shifted(told, prevalence),
    )


def _excluded(
    report: dict[str, Any], local: Local, names: bool
) -> tuple[tuple[str, str, str], ...]:
    found = []
    for entry in report["excluded"]:
        ordinal = entry["case"]
        why = _WHY.get(entry["error"], "it cannot be used")
        if names and ordinal in local.names:
            called = f"{ordinal} ({local.names[ordinal]})"
            found.append((called, entry["class"], local.reasons[ordinal] or why))
        else:
            found.append((ordinal, entry["class"], why))
    return tuple(found)


def _page(subject: Subject, sections: tuple[Section, ...]) -> Page:
    classes = subject.report["classes"]
    title = "Few-shot model: " + " or ".join(classes)
    made = " and ".join(f"{plural(c['cases'], 'case')} of {name}" for name, c in classes.items())
    return Page(title, f"Made by medfs {subject.report['medfs']} from {made}.", NOTICE, sections)
