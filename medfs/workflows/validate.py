"""What is in a folder of cases, and what is wrong with it. Imports neither torch nor MONAI."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medfs.core.cases import Cohort
from medfs.scans.inspect import CaseFinding, inspect_cohort
from medfs.workflows.asked import ASKED_NOTHING, Asked

_REMARKS = 8


@dataclass(frozen=True)
class ValidationResult:
    """What was found.

    Attributes:
        findings: per case, in the order of the cohort.
        problems: of cases, and of the cohort as a whole.
        warnings: remarks; of each case the first few, all of them are in its finding.
    """

    cohort: Cohort
    findings: tuple[CaseFinding, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "schema_version": 1,
            "ok": self.ok,
            "classes": class_table(self.cohort),
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "cases": [asdict(finding) for finding in self.findings],
        }


def validate(
    cases: Path,
    asked: Asked = ASKED_NOTHING,
    progress: Callable[[int, int], None] | None = None,
) -> ValidationResult:
    """Read every scan and mask.

    Raises:
        CohortError: there is nothing that could be read case by case.
    """
    cohort = asked.cohort(cases)
    findings = inspect_cohort(cohort, progress, asked.reading)
    problems = [str(f.error) for f in findings if not f.ok]
    if len(cohort.class_names) < 2:
        problems.append("all cases are of one class: a classifier tells at least two apart")
    without_mask = [c.case_id for c in cohort.cases if c.mask is None]
    if 0 < len(without_mask) < len(cohort.cases):
        problems.append(
            f"{len(without_mask)} of {len(cohort.cases)} cases have no mask "
            f"({', '.join(without_mask[:3])}): give all of them one, or none"
        )
    return ValidationResult(
        cohort,
        tuple(findings),
        tuple(problems),
        (*cohort.warnings(), *(text for f in findings for text in _remarks(f)), *_few(cohort)),
    )


def _remarks(finding: CaseFinding) -> list[str]:
    """A case may be a whole disc, of which most is no image."""
    told = [f"{finding.case_id}: {text}" for text in finding.warnings[:_REMARKS]]
    more = len(finding.warnings) - len(told)
    return [*told, f"{finding.case_id}: and {more} more (see --json)"] if more else told


def class_table(cohort: Cohort) -> dict[str, dict[str, int]]:
    """Cases, patients and masks per class."""
    table = {}
    for name in cohort.class_names:
        cases = cohort.of_class(name)
        table[name] = {
            "cases": len(cases),
            "patients": len({c.patient_id for c in cases}),
            "masks": sum(c.mask is not None for c in cases),
        }
    return table


def _few(cohort: Cohort) -> list[str]:
    patients = Counter(label for label, _ in {(str(c.label), c.patient_id) for c in cohort.cases})
    return [
        f"class {name!r} has a single patient: probabilities cannot be calibrated"
        for name, count in sorted(patients.items())
        if count == 1
    ]
