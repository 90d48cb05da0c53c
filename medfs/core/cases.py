"""Cases and cohorts: which scan belongs to which patient and class. No file is opened here."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from medfs.core.errors import CohortError


@dataclass(frozen=True, slots=True)
class Case:
    """One scan of one patient.

    `image` is a file, a zip, or a folder that holds one DICOM series; `mask` marks the region of
    interest; `label` is None where the class is unknown; `mask_label` is the name or number of the
    region within a mask that holds several.
    """

    case_id: str
    patient_id: str
    image: Path
    mask: Path | None = None
    label: str | None = None
    site: str | None = None
    mask_label: str | None = None


@dataclass(frozen=True)
class Cohort:
    """Cases with their class names, sorted by name: the order of every probability column.

    Raises:
        CohortError: no cases, a case id used twice, or one image in two classes.
    """

    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.cases:
            raise CohortError(
                "no cases were found", todo="Give a folder of scans or a manifest with rows"
            )
        self._refuse_repeated_ids()
        self._refuse_image_in_two_classes()

    def _refuse_repeated_ids(self) -> None:
        seen: set[str] = set()
        for case in self.cases:
            if case.case_id in seen:
                raise CohortError(
                    "the case id is used twice",
                    case=case.case_id,
                    todo="Give every row or file its own case id",
                )
            seen.add(case.case_id)

    def _refuse_image_in_two_classes(self) -> None:
        first: dict[Path, Case] = {}
        for case in self.cases:
            other = first.setdefault(case.image, case)
            if other.label != case.label:
                raise CohortError(
                    f"the same image is in class {other.label!r} and in class {case.label!r}",
                    case=case.case_id,
                    why=f"{case.image.name} is also case {other.case_id}",
                    todo="Keep it in the class it belongs to and remove the other entry",
                )

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        return tuple(sorted({c.label for c in self.cases if c.label is not None}))

    @cached_property
    def patients(self) -> tuple[str, ...]:
        """Patient ids, in order of first appearance."""
        return tuple(dict.fromkeys(c.patient_id for c in self.cases))

    @cached_property
    def by_id(self) -> dict[str, Case]:
        return {c.case_id: c for c in self.cases}

    def of_class(self, name: str) -> tuple[Case, ...]:
        return tuple(c for c in self.cases if c.label == name)

    def without(self, case_ids: set[str]) -> "Cohort":
        """The cohort less some cases; CohortError if none are left."""
        return Cohort(tuple(c for c in self.cases if c.case_id not in case_ids), self.notes)

    def warnings(self) -> tuple[str, ...]:
        """What a user should know before trusting anything built on this cohort."""
        labels: dict[str, set[str]] = defaultdict(set)
        for case in self.cases:
            if case.label is not None:
                labels[case.patient_id].add(case.label)
        shared = sorted(p for p, names in labels.items() if len(names) > 1)
        if not shared:
            return self.notes
        some = ", ".join(shared[:3]) + (" and others" if len(shared) > 3 else "")
        return (
            *self.notes,
            f"{len(shared)} patient(s) have cases in more than one class ({some}): "
            "all cases of a patient stay on the same side of every split",
        )
