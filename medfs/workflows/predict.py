"""A model folder and scans → one row of probabilities per scan."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from medfs.core.cases import Case
from medfs.core.classifiers import CalibratedClassifier
from medfs.core.errors import ConfigError, DataError, IntegrityError
from medfs.export.model_folder import ModelContent, read_model
from medfs.preprocess.presets import parse_preset
from medfs.scans.options import ReadOptions, parse_options
from medfs.storage.tensors import TensorCache
from medfs.workflows.asked import ASKED_NOTHING, Asked
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.embed import Embedded, Embedder, Failed, embed
from medfs.workflows.sources import Digest, FileSource, ScanSource


@dataclass(frozen=True)
class Prediction:
    """Probabilities of one scan in the order of `Predictor.class_names`; None where it failed."""

    case: Case
    probabilities: tuple[float, ...] | None
    note: str

    def best(self, class_names: Sequence[str]) -> str | None:
        """The most probable class; None where the scan failed."""
        if self.probabilities is None:
            return None
        return class_names[max(range(len(class_names)), key=self.probabilities.__getitem__)]


@dataclass(frozen=True)
class Predictor:
    """A model ready to be applied."""

    embedder: Embedder
    calibrated: CalibratedClassifier
    use_masks: bool
    asked: Asked

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.calibrated.class_names

    def __call__(self, sources: Iterable[ScanSource]) -> Iterator[Prediction]:
        """One prediction per scan, in order, each computed by itself."""
        for result in embed(self.embedder, sources):
            yield self._prediction(result)

    def _prediction(self, result: Embedded | Failed) -> Prediction:
        if isinstance(result, Failed):
            return Prediction(result.case, None, str(result.error))
        probabilities = self.calibrated.predict_proba(result.features)[0].tolist()
        return Prediction(
            result.case, tuple(probabilities), "; ".join((*result.remarks, *result.notes))
        )


def load_predictor(model: Path, device: str = "auto", use_cache: bool = True) -> Predictor:
    """Verify and read a model folder.

    Raises:
        IntegrityError: the folder was changed, or its encoders are not those of this medfs.
    """
    content = read_model(model)
    chosen = choose_device(device)
    encoders = build_encoders(content.encoders, _weights_by_encoder(content), chosen)
    built = tuple(e.identity for e in encoders)
    needed = content.calibrated.classifier.encoders
    if built != needed:
        raise IntegrityError(
            "the model was made with other feature extractors than this medfs has",
            case=str(model),
            why=f"It needs {', '.join(needed)}; here are {', '.join(built)}",
            todo="Use the medfs version named in model.json, or adapt again",
        )
    cache = TensorCache.default() if use_cache else TensorCache(None)
    embedder = Embedder(encoders, parse_preset(content.preset), device=chosen, cache=cache)
    return Predictor(
        embedder, content.calibrated, bool(content.settings["use_masks"]), _asked(content, model)
    )


def predict(
    predictor: Predictor, scans: Path, asked: Asked = ASKED_NOTHING
) -> Iterator[Prediction]:
    """Predictions of one scan, a folder of scans or a list, as they are made.

    Args:
        predictor: the model.
        scans: where they are.
        asked: how to find and read them; what it leaves open is read as the support was.
    """
    asked = asked.or_else(predictor.asked)
    cohort = asked.cohort(scans, labelled=False)
    return predictor([_source(c, predictor.use_masks, asked.reading) for c in cohort.cases])


def to_csv(class_names: Sequence[str], predictions: Iterable[Prediction]) -> str:
    """`case,prediction,p_<class>…,note`, a row per scan; empty probabilities where it failed."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["case", "prediction", *(f"p_{name}" for name in class_names), "note"])
    for p in predictions:
        if p.probabilities is None:
            rows.writerow([p.case.case_id, "", *("" for _ in class_names), p.note])
            continue
        shown = [repr(value) for value in p.probabilities]
        rows.writerow([p.case.case_id, p.best(class_names), *shown, p.note])
    return text.getvalue()


def to_dict(class_names: Sequence[str], predictions: Sequence[Prediction]) -> dict[str, Any]:
    """The same for `--json`."""
    rows = [
        {
            "case": p.case.case_id,
            "prediction": p.best(class_names),
            "probabilities": dict(zip(class_names, p.probabilities, strict=True))
            if p.probabilities
            else None,
            "note": p.note,
        }
        for p in predictions
    ]
    return {"schema_version": 1, "classes": list(class_names), "predictions": rows}


@dataclass(frozen=True)
class _MaskMissing(FileSource):
    """A scan without the mask that the model needs."""

    def digest(self) -> Digest:
        raise DataError(
            "the scan has no mask",
            why="The model was made from scans with masks",
            todo="Put <case>_mask.nii.gz beside it, or name it in the manifest's mask column",
        )


def _asked(content: ModelContent, model: Path) -> Asked:
    """The model's own way of reading scans."""
    mask_label = content.settings.get("mask_label")
    if mask_label is not None and not isinstance(mask_label, str):
        raise IntegrityError("mask_label must be a text", case=str(model))
    try:
        return Asked(
            mask_label=mask_label, reading=parse_options(content.settings.get("reading", {}))
        )
    except ConfigError as error:
        raise IntegrityError(
            "the model's rules for reading scans are not valid", case=str(model), why=str(error)
        ) from error


def _source(case: Case, use_masks: bool, reading: ReadOptions) -> ScanSource:
    if use_masks and case.mask is None:
        return _MaskMissing(case)
    return FileSource(case, use_masks, reading)


def _weights_by_encoder(content: ModelContent) -> dict[str, dict[str, Tensor]]:
    grouped: dict[str, dict[str, Tensor]] = {}
    for key, tensor in content.encoder_weights.items():
        name, _, parameter = key.partition(".")
        grouped.setdefault(name, {})[parameter] = tensor
    return grouped
