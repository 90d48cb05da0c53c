"""Predictions as a table and as JSON."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from medfs.workflows.predict import Prediction, Predictor


def to_csv(predictor: Predictor, predictions: Iterable[Prediction]) -> str:
    """`case,prediction,p_<class>…,familiar,note`, a row per scan; empty where nothing is said.

    Before `familiar` a column `decision` where the model has an operating point, and `set` (classes
    joined by `|`) where sets were asked for.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    names = predictor.class_names
    decided, held = predictor.decision is not None, predictor.sets is not None
    extra = [*(["decision"] if decided else []), *(["set"] if held else [])]
    rows.writerow(
        ["case", "prediction", *(f"p_{name}" for name in names), *extra, "familiar", "note"]
    )
    for p in predictions:
        shown = ["" for _ in names] if p.probabilities is None else map(repr, p.probabilities)
        familiar = {None: "", True: "yes", False: "no"}[p.familiar]
        said = [p.decision or ""] if decided else []
        said += ["|".join(p.classes or ())] if held else []
        rows.writerow([p.case.case_id, p.best(names) or "", *shown, *said, familiar, p.note])
    return text.getvalue()


def to_dict(predictor: Predictor, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """The same for `--json`; what was not asked for, or the model does not have, is null."""
    rows = [_row(predictor.class_names, p) for p in predictions]
    prevalence, sets, decision = predictor.prevalence, predictor.sets, predictor.decision
    return {
        "schema_version": 1,
        "classes": list(predictor.class_names),
        "prevalence": None if prevalence is None else dict(prevalence),
        "sets": None if sets is None else sets.described(),
        "operating_point": None if decision is None else decision.described(),
        "predictions": rows,
    }


def _row(class_names: Sequence[str], p: Prediction) -> dict[str, Any]:
    told = p.probabilities
    return {
        "case": p.case.case_id,
        "prediction": p.best(class_names),
        "probabilities": dict(zip(class_names, told, strict=True)) if told else None,
        "decision": p.decision,
        "set": None if p.classes is None else list(p.classes),
        "familiar": p.familiar,
        "note": p.note,
    }
