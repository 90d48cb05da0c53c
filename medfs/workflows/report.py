"""What a model was made from, in words and in JSON. Support cases appear as ordinals only."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from medfs.calibration.performance import SupportPerformance
from medfs.core.cases import Cohort
from medfs.core.classifiers import CalibratedClassifier
from medfs.core.episodes import SupportSet
from medfs.workflows.embed import Embedded, Failed

# Below this many patients per class the interval of any estimate spans most of the scale.
_FEW_PATIENTS = 5


def warn_of(
    cohort: Cohort,
    performance: SupportPerformance | None,
    failed: Sequence[Failed],
    use_masks: bool,
) -> tuple[str, ...]:
    """What a user should know before trusting the model; may name cases, so it is not exported."""
    warnings = list(cohort.warnings())
    if failed:
        warnings.append(f"{len(failed)} case(s) could not be used and were left out")
    if performance is None:
        warnings.append(
            "a class has a single patient: nothing can be held out, so the probabilities are "
            "damped by a prior only and nothing is known of how well the classifier ranks"
        )
    elif min(min(p.n_first, p.n_second) for p in performance.pairs) < _FEW_PATIENTS:
        warnings.append(
            f"fewer than {_FEW_PATIENTS} patients in a class: "
            "the estimate of performance is hardly more than a hint"
        )
    if not use_masks:
        warnings.append(
            "no masks: if the scans were cropped around the finding, the field of view alone may "
            "give the label away; compare with `medfs evaluate --no-masks --field X,Y,Z`"
        )
    return tuple(warnings)


def describe_support(
    support: SupportSet,
    calibrated: CalibratedClassifier,
    performance: SupportPerformance | None,
    settings: dict[str, Any],
    warnings: Sequence[str],
    done: Sequence[Embedded],
    failed: Sequence[Failed],
) -> dict[str, Any]:
    """The content of `report.json`: no file name, case id or patient id."""
    classes = {
        name: {"cases": shots, "patients": len(support.patients_of(label))}
        for label, (name, shots) in enumerate(zip(support.class_names, support.n_shot, strict=True))
    }
    return {
        "schema_version": 1,
        "medfs": version("medfs"),
        "intended_use": "Research use only; not a medical device.",
        "classes": classes,
        "components": {"features": list(calibrated.classifier.encoders), **settings},
        "temperature": float(calibrated.temperature),
        "performance_on_support": None if performance is None else asdict(performance),
        "n_warnings": len(warnings),
        "cases": [
            {
                "case": ordinal(i),
                "class": d.case.label,
                "notes": list(d.notes),
                "provenance": dict(d.origin),
                "digest": d.digest.short,
            }
            for i, d in enumerate(done, 1)
        ],
        "excluded": [
            {"case": ordinal(i), "class": f.case.label, "error": type(f.error).__name__}
            for i, f in enumerate(failed, len(done) + 1)
        ],
    }


def list_cases(done: Sequence[Embedded], failed: Sequence[Failed]) -> str:
    """CSV from ordinals to case ids, patients and reasons of exclusion: patient data."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["ordinal", "case", "patient", "label", "remarks", "excluded"])
    for i, d in enumerate(done, 1):
        rows.writerow(
            [ordinal(i), d.case.case_id, d.case.patient_id, d.case.label, "; ".join(d.remarks), ""]
        )
    for i, f in enumerate(failed, len(done) + 1):
        rows.writerow(
            [ordinal(i), f.case.case_id, f.case.patient_id, f.case.label, "", str(f.error)]
        )
    return text.getvalue()


def ordinal(position: int) -> str:
    """What a model calls its case at a position, from 1."""
    return f"case-{position:03d}"
