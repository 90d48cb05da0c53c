"""Simulate a small cohort, adapt to it, predict held-out scans, evaluate: all on this machine."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from medfs.metrics.discrimination import auroc
from medfs.scans.write_dicom import write_ct_series
from medfs.scans.write_seg import write_segmentation
from medfs.storage.files import check_new, new_folder, to_json, write_text
from medfs.synthesis.cohorts import SimulatedCase, simulate_cohort
from medfs.workflows.adapt import AdaptRequest, AdaptResult, adapt
from medfs.workflows.answers import to_csv
from medfs.workflows.evaluate import EvaluateRequest, evaluate
from medfs.workflows.predict import Prediction, load_predictor, predict
from medfs.workflows.recipes import AUTO

_PER_CLASS, _SUPPORT_PER_CLASS = 24, 10


@dataclass(frozen=True)
class DemoResult:
    """Where everything lies, and what the demo saw."""

    out: Path
    adapted: AdaptResult
    predictions: tuple[Prediction, ...]
    held_out_auroc: float
    results: dict[str, object]


def demo(out: Path, seed: int = 0, progress: Callable[[str], None] = lambda _: None) -> DemoResult:
    """Write `cases/`, `scans/`, `model/`, `predictions.csv` and `results.json` into `out`.

    Raises:
        OutputError: `out` exists already or cannot be written.
    """
    check_new(out)
    with new_folder(out) as folder:
        progress(f"simulating {2 * _PER_CLASS} CT crops with a smooth or a spiculated nodule")
        truth = _write_cohort(folder, seed)
        progress(f"adapting to {_SUPPORT_PER_CLASS} cases of each class")
        adapted = adapt(
            AdaptRequest(folder / "cases.csv", folder / "model", seed=seed, use_cache=False)
        )
        progress("predicting the other scans")
        predictor = load_predictor(folder / "model", use_cache=False)
        predictions = tuple(predict(predictor, folder / "scans.csv"))
        write_text(folder / "predictions.csv", to_csv(predictor, predictions))
        progress("evaluating with 1, 5 and 10 labelled cases of each class")
        results = evaluate(
            EvaluateRequest(
                cohort=folder / "all.csv",
                shots=(1, 5, 10),
                queries=10,
                episodes=20,
                seed=seed,
                mappers=(AUTO, "ridge"),
                use_cache=False,
            )
        ).results
        write_text(folder / "results.json", to_json(results))
    return DemoResult(out, adapted, predictions, _auroc(predictions, truth), results)


def _write_cohort(folder: Path, seed: int) -> dict[str, str]:
    """A folder per class and its manifest, the rest without labels; returns the truth of those.

    Scans are DICOM series and masks DICOM segmentations, as they come from a hospital.
    """
    rows: list[tuple[SimulatedCase, str]] = []
    support_patients: set[str] = set()
    with ThreadPoolExecutor(1) as writer:  # while the next case is simulated
        writing = []
        for case in islice(simulate_cohort(_PER_CLASS, seed), 2 * _PER_CLASS):
            in_support = len(rows) < 2 * _SUPPORT_PER_CLASS
            # Both nodules of a patient go to the same side.
            in_support = in_support or case.patient_id in support_patients
            if in_support:
                support_patients.add(case.patient_id)
            place = f"cases/{case.label}" if in_support else "scans"
            writing.append(writer.submit(_write_case, folder / place, case, f"demo {seed}"))
            rows.append((case, place))
        for written in writing:
            written.result()
    write_text(folder / "all.csv", _manifest(rows, labelled=True))
    support = [(case, place) for case, place in rows if place != "scans"]
    write_text(folder / "cases.csv", _manifest(support, labelled=True))
    held_out = [(case, place) for case, place in rows if place == "scans"]
    write_text(folder / "scans.csv", _manifest(held_out, labelled=False))
    return {case.case_id: case.label for case, _ in held_out}


def _write_case(place: Path, case: SimulatedCase, seed: str) -> None:
    series, mask = place / case.case_id, place / f"{case.case_id}.seg.dcm"
    write_ct_series(
        series,
        case.voxels,
        case.affine,
        patient=case.patient_id,
        description="Simulated CT of a nodule",
        seed=seed,
    )
    write_segmentation(mask, case.mask, case.affine, series, label="Nodule")


def _manifest(rows: list[tuple[SimulatedCase, str]], labelled: bool) -> str:
    lines = ["case,image,mask,patient" + (",label" if labelled else "")]
    for case, place in rows:
        stem = f"{place}/{case.case_id}"
        label = f",{case.label}" if labelled else ""
        lines.append(f"{case.case_id},{stem},{stem}.seg.dcm,{case.patient_id}{label}")
    return "\n".join(lines) + "\n"


def _auroc(predictions: tuple[Prediction, ...], truth: dict[str, str]) -> float:
    import numpy as np

    positive = max(truth.values())
    scored = [(p.probabilities[1], truth[p.case.case_id]) for p in predictions if p.probabilities]
    scores, labels = zip(*scored, strict=True)
    return auroc(np.array(scores), np.array([label == positive for label in labels]))
