"""A model folder and scans → one row per scan: probabilities, or why there are none."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from medfs.core.cases import Case
from medfs.core.classifiers import CalibratedClassifier
from medfs.core.errors import ConfigError, DataError, IntegrityError, MissingExtraError
from medfs.core.features import Features
from medfs.core.guards import N_OF_TISSUE, ScanGuard
from medfs.export.model_folder import ModelContent, read_model
from medfs.preprocess.presets import parse_preset
from medfs.scans.options import ReadOptions, parse_options
from medfs.storage.tensors import TensorCache
from medfs.workflows.asked import ASKED_NOTHING, Asked
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.decision import Decision, read_decision
from medfs.workflows.embed import Embedded, Embedder, Failed, embed
from medfs.workflows.prevalence import as_tensor, in_words, parse_prevalence
from medfs.workflows.registries import BACKBONES
from medfs.workflows.sets import AskedSets, ask_sets
from medfs.workflows.sources import Digest, FileSource, ScanSource
from medfs.workflows.unfamiliar import reasons


@dataclass(frozen=True)
class Prediction:
    """What is said of one scan.

    Attributes:
        case: the scan.
        probabilities: in the order of `Predictor.class_names`; None where it failed, or where it is
            unlike the support.
        note: why there are none, and what was done to the scan.
        familiar: whether it is like the support; None where it failed.
        classes: the set that holds the true class at the level that was asked for; None if none
            was, or without probabilities.
        decision: what the model's operating point says; None where it has none, or without
            probabilities.
    """

    case: Case
    probabilities: tuple[float, ...] | None
    note: str
    familiar: bool | None
    classes: tuple[str, ...] | None = None
    decision: str | None = None

    @property
    def failed(self) -> bool:
        """The scan could not be read."""
        return self.familiar is None

    def best(self, class_names: Sequence[str]) -> str | None:
        """The most probable class; None without probabilities."""
        if self.probabilities is None:
            return None
        return class_names[max(range(len(class_names)), key=self.probabilities.__getitem__)]


@dataclass(frozen=True)
class Predictor:
    """A model ready to be applied.

    Scans unlike the support get no probabilities, unless `keep_unfamiliar`.
    """

    embedder: Embedder
    calibrated: CalibratedClassifier
    guard: ScanGuard
    use_masks: bool
    asked: Asked
    keep_unfamiliar: bool = False
    prevalence: Mapping[str, float] | None = None
    sets: AskedSets | None = None
    decision: Decision | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.calibrated.class_names

    def at_prevalence(self, text: str | None) -> "Predictor":
        """For a place where classes are not equally common.

        Args:
            text: `CLASS=NUMBER,…`; None leaves everything as it is.

        Raises:
            UsageError: it does not name every class once, or does not sum to 1.
        """
        if text is None:
            return self
        found = parse_prevalence(text, self.class_names)
        calibrated = self.calibrated.at_prevalence(as_tensor(found))
        return replace(self, calibrated=calibrated, prevalence=found)

    def __call__(self, sources: Iterable[ScanSource]) -> Iterator[Prediction]:
        """One prediction per scan, in order, each computed by itself."""
        for result in embed(self.embedder, sources):
            yield self._prediction(result)

    def _prediction(self, result: Embedded | Failed) -> Prediction:
        if isinstance(result, Failed):
            return Prediction(result.case, None, str(result.error), None)
        verdict = self.guard(result.features, result.measured)
        why = reasons(verdict, self.embedder.preset)
        note = "; ".join((*([why] if why else []), *result.remarks, *result.notes))
        if not (verdict.familiar or self.keep_unfamiliar):
            return Prediction(result.case, None, note, False)
        probabilities = self.calibrated.predict_proba(result.features)[0].tolist()
        if self.prevalence is not None:
            note = "; ".join(part for part in (note, in_words(self.prevalence)) if part)
        top = max(range(len(probabilities)), key=probabilities.__getitem__)
        return Prediction(
            result.case,
            tuple(probabilities),
            note,
            verdict.familiar,
            self._classes(result.features, top),
            None if self.decision is None else self.decision.of(result.features),
        )

    def _classes(self, features: Features, top: int) -> tuple[str, ...] | None:
        if self.sets is None:
            return None
        return tuple(self.class_names[k] for k in self.sets.of(features, top))


def load_predictor(
    model: Path,
    device: str = "auto",
    use_cache: bool = True,
    keep_unfamiliar: bool = False,
    coverage: float | None = None,
) -> Predictor:
    """Verify and read a model folder.

    Args:
        model: the folder.
        device: where encoders run.
        use_cache: read and keep features.
        keep_unfamiliar: give probabilities to scans unlike the support too.
        coverage: nominal level of prediction sets, if they are wanted.

    Raises:
        UsageError: the labelled patients do not support that coverage.
        IntegrityError: the folder was changed, or its encoders are not those of this medfs.
        MissingExtraError: a package that brings one of its encoders is not installed.
    """
    content = read_model(model)
    _check_packages(content, model)
    chosen = choose_device(device)
    encoders = build_encoders(content.encoders, weights_by_encoder(content), chosen)
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
    _check_guard(content.guard, sum(len(e.feature_names) for e in encoders), model)
    return Predictor(
        embedder,
        content.calibrated,
        content.guard,
        bool(content.settings["use_masks"]),
        _asked(content, model),
        keep_unfamiliar,
        sets=ask_sets(content, model, coverage),
        decision=read_decision(content, model),
    )


def _check_packages(content: ModelContent, model: Path) -> None:
    known = BACKBONES.entries()
    if absent := [name for name in content.encoders if name not in known]:
        packages = content.settings.get("packages") or {"the package that brings it": ""}
        raise MissingExtraError(
            f"the model reads features called {absent[0]!r}, which nothing installed brings",
            case=str(model),
            why="It was made with a plugin of medfs",
            todo=f"Install {' and '.join(f'{k} {v}'.strip() for k, v in packages.items())}",
        )


def _check_guard(guard: ScanGuard, n_features: int, model: Path) -> None:
    if guard.near is not None and len(guard.near.middle) != n_features + N_OF_TISSUE:
        raise IntegrityError("the guard reads other features than the model has", case=str(model))


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


def weights_by_encoder(content: ModelContent) -> dict[str, dict[str, Tensor]]:
    """The weights that a model keeps, by the name of the encoder that is built from them."""
    grouped: dict[str, dict[str, Tensor]] = {}
    for key, tensor in content.encoder_weights.items():
        name, _, parameter = key.partition(".")
        grouped.setdefault(name, {})[parameter] = tensor
    return grouped
