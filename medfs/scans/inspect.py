"""Read every case of a cohort and say what was found, without torch or MONAI."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from medfs.core.cases import Case, Cohort
from medfs.core.errors import UserError
from medfs.scans.files.names import printable
from medfs.scans.masks import read_roi
from medfs.scans.options import DEFAULT, ReadOptions
from medfs.scans.read import read_volume

_WORKERS = 2
# How the readers begin to speak of a series, as against a file, that was left out.
_A_SERIES = "series "


@dataclass(frozen=True, slots=True)
class CaseFinding:
    """What reading one case gave.

    Attributes:
        error: the message for the user, or None where the case can be used.
        shape: voxels along x, y and z (RAS order).
        spacing: mm along x, y and z.
        sha256: over the bytes of the scan's files, without the mask.
        choice: why this series was taken, where there were several; empty where there were not.
        left_out: the other series of the case, each with the reason.
        mask_voxels: number of voxels inside the mask; None without a mask.
        warnings: what does not prevent use but should be known.
    """

    case_id: str
    ok: bool
    error: str | None = None
    shape: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    modality: str | None = None
    unit: str | None = None
    sha256: str | None = None
    mask_voxels: int | None = None
    choice: str = ""
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def inspect_case(case: Case, options: ReadOptions = DEFAULT) -> CaseFinding:
    """Read the scan and the mask of one case; what the user can put right becomes `error`."""
    found = CaseFinding(case.case_id, ok=True)
    try:
        volume = read_volume(case.image, options)
        _, x, y, z = volume.voxels.shape
        pairs = (*volume.provenance.notes, *volume.provenance.skipped)
        told = [printable(f"{name}: {why}") for name, why in pairs]
        left_out = tuple(text for text in told if text.startswith(_A_SERIES))
        found = replace(
            found,
            shape=(x, y, z),
            spacing=volume.spacing,
            modality=volume.modality,
            unit=volume.unit,
            sha256=volume.provenance.sha256,
            choice=volume.provenance.choice if left_out else "",
            left_out=left_out,
            warnings=tuple(text for text in told if text not in left_out),
        )
        if volume.voxels.min() == volume.voxels.max():
            constant = f"all voxels have the same value ({volume.voxels.flat[0]:g})"
            found = replace(found, warnings=(*found.warnings, constant))
        if case.mask is not None:
            roi = read_roi(case.mask, volume, label=case.mask_label)
            drawn = tuple(f"{name}: {why}" for name, why in roi.notes)
            found = replace(
                found, mask_voxels=int(roi.mask.sum()), warnings=(*found.warnings, *drawn)
            )
    except UserError as error:
        return replace(found, ok=False, error=str(error.about(case.case_id)))
    return found


def inspect_cohort(
    cohort: Cohort,
    on_progress: Callable[[int, int], None] | None = None,
    options: ReadOptions = DEFAULT,
) -> list[CaseFinding]:
    """Findings in the order of the cohort's cases.

    The same scan, byte for byte, in two classes is an error of both cases; the same scan of two
    patients is a warning.

    Args:
        cohort: the cases.
        on_progress: called with (cases done, all cases) after each.
        options: rules for DICOM series.
    """
    findings: list[CaseFinding] = []
    with ThreadPoolExecutor(_WORKERS) as pool:
        for finding in pool.map(partial(inspect_case, options=options), cohort.cases):
            findings.append(finding)
            if on_progress is not None:
                on_progress(len(findings), len(cohort.cases))
    return _mark_copies(cohort, findings)


def _mark_copies(cohort: Cohort, findings: list[CaseFinding]) -> list[CaseFinding]:
    same: dict[str, list[Case]] = {}
    for case, finding in zip(cohort.cases, findings, strict=True):
        if finding.sha256 is not None:
            same.setdefault(finding.sha256, []).append(case)
    return [
        _mark_copy(case, finding, same.get(finding.sha256 or "", []))
        for case, finding in zip(cohort.cases, findings, strict=True)
    ]


def _mark_copy(case: Case, finding: CaseFinding, copies: list[Case]) -> CaseFinding:
    labelled = [c for c in copies if c.label is not None and case.label is not None]
    elsewhere = [c for c in labelled if c.label != case.label]
    if elsewhere and finding.ok:
        other = elsewhere[0]
        error = UserError(
            f"the same scan is in class {case.label!r} and in class {other.label!r}",
            case=case.case_id,
            why=f"Its files are byte for byte those of case {other.case_id}",
            todo="Keep it in the class it belongs to and remove the other",
        )
        return replace(finding, ok=False, error=str(error))
    # One scan may hold several cases of a patient (two nodules, two masks); never two patients.
    strangers = [c for c in copies if c.patient_id != case.patient_id]
    if strangers:
        text = f"the same scan, byte for byte, belongs to another patient: {strangers[0].case_id}"
        return replace(finding, warnings=(*finding.warnings, text))
    return finding
