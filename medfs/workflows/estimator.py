"""The whole path as a scikit-learn estimator."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from medfs.calibration.guard import learn_guard
from medfs.core.cases import Case
from medfs.core.errors import CohortError, UsageError
from medfs.core.threads import single_thread
from medfs.core.volumes import Provenance, Volume
from medfs.scans.options import ReadOptions, parse_options
from medfs.storage.tensors import TensorCache
from medfs.workflows.candidates import at_home, candidates, extractors
from medfs.workflows.components import (
    build_encoders,
    choose_device,
    choose_preset,
)
from medfs.workflows.embed import Embedded, Embedder, embed_all
from medfs.workflows.feature_choice import choose
from medfs.workflows.fit import support_set
from medfs.workflows.recipes import AUTO
from medfs.workflows.sources import ArraySource, FileSource, ScanSource


class FewShotClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A few labelled scans in, calibrated probabilities out.

    A scan is a path (NIfTI file or DICOM folder), an array (x, y, z) with `spacing`, a
    `medfs.core.volumes.Volume`, or a mapping with `image` and `mask` of these kinds. Either all
    scans have a mask or none has.

    Args:
        mapper: name of a mapper, `medfs info` lists them; or `auto`, the one that comes with medfs.
        features: name or names of feature extractors; or `auto`: radiomics, with layout where
            nothing is marked, unless held-out cases clearly prefer others (docs/features.md).
        preset: name of a preset, a .yaml file, or `auto`.
        weights: file of weights by name of backbone.
        spacing: mm along x, y, z of scans given as arrays, whose axes must be in RAS order.
        device: `auto`, `cpu` or `cuda:N`.
        cache: keep features on disk for scans given as paths.
        reading: rules for DICOM series, as in docs/scans.md: `{"modality": "CT"}`.
        mask_label: name or number of the region, in masks that hold several.
        random_state: seed of everything drawn.
        calibrator: `auto`, `prior`, `temperature`, `vector`, `dirichlet` or `none`.

    Attributes:
        classes_: sorted, the order of the columns of `predict_proba`.
        preset_: the preset that was used.
        calibrated_: the classifier as a value.
        guard_: what tells scans that are unlike those it was fitted to.
        mapper_: which mapper made it; plain ridge where the support clearly preferred it.
        mapper_reason_: why that one.
        features_: names of the feature extractors that are used.
        features_reason_: why those, if they were chosen.
    """

    def __init__(
        self,
        mapper: str = AUTO,
        features: str | Sequence[str] = AUTO,
        preset: str = "auto",
        weights: Mapping[str, str | Path] | None = None,
        spacing: tuple[float, float, float] | None = None,
        device: str = "auto",
        cache: bool = False,
        reading: Mapping[str, Any] | None = None,
        mask_label: str | int | None = None,
        random_state: int = 0,
        calibrator: str = "auto",
    ) -> None:
        self.mapper = mapper
        self.features = features
        self.preset = preset
        self.weights = weights
        self.spacing = spacing
        self.device = device
        self.cache = cache
        self.reading = reading
        self.mask_label = mask_label
        self.random_state = random_state
        self.calibrator = calibrator

    def fit(
        self,
        X: Sequence[Any],
        y: Sequence[Any],
        groups: Sequence[Any] | None = None,
    ) -> "FewShotClassifier":
        """Adapt to labelled scans; `groups` are their patients (each scan its own if None).

        Raises:
            UserError: a scan cannot be read, or labels and groups do not fit.
        """
        labels, patients = self._checked(X, y, groups)
        sources = self._sources(X)
        self._masked = _all_or_none(sources)
        device = choose_device(self.device)
        files = {name: Path(path) for name, path in (self.weights or {}).items()}
        wanted = (self.features,) if isinstance(self.features, str) else tuple(self.features)
        encoders = build_encoders(extractors(wanted, files), files, device)
        asked = candidates(wanted, encoders, self.mapper)
        chosen, self.preset_reason_ = choose_preset(self.preset, sources)
        asked = at_home(asked, self._masked or chosen.knows_the_finding)
        self.preset_ = chosen.name if self.preset == "auto" else self.preset
        cache = TensorCache.default() if self.cache else TensorCache(None)
        embedder = Embedder(encoders, chosen, device=device, cache=cache)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        # Class columns are sorted as text inside; numbers keep their own order outside.
        width = len(str(len(self.classes_)))
        names = [f"{code:0{width}d}" for code in codes]
        done = _embed(embedder, sources)
        support = support_set([d.features for d in done], names, [str(p) for p in patients])
        with single_thread():
            choice = choose(support, asked, self.random_state, self.calibrator)
            self.guard_ = learn_guard(choice.support, [d.measured for d in done])
        self._embedder = replace(embedder, encoders=choice.encoders)
        self.features_, self.features_reason_ = choice.names, choice.reason
        fitted = choice.fitted
        self.calibrated_ = fitted.calibrated
        self.mapper_, self.mapper_reason_ = fitted.used.identity, fitted.reason
        return self

    def predict_proba(self, X: Sequence[Any]) -> Float[np.ndarray, "case way"]:
        """Calibrated probabilities, (case, class), columns in the order of `classes_`.

        They are numbers for every scan: `is_familiar` says which of them to believe.

        Raises:
            UserError: a scan cannot be read.
        """
        done = self._to_predict(X)
        rows = [self.calibrated_.predict_proba(d.features)[0].numpy() for d in done]
        return np.stack(rows) if rows else np.empty((0, len(self.classes_)))

    def is_familiar(self, X: Sequence[Any]) -> Bool[np.ndarray, "case"]:
        """Whether each scan is like those that the classifier was fitted to.

        Raises:
            UserError: a scan cannot be read.
        """
        done = self._to_predict(X)
        return np.array([self.guard_(d.features, d.measured).familiar for d in done], dtype=bool)

    def predict(self, X: Sequence[Any]) -> Shaped[np.ndarray, "case"]:
        """The most probable class of each scan."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Scans are paths or volumes of any size, not a table.
        tags.input_tags.two_d_array, tags.no_validation = False, True
        return tags

    def _checked(
        self, X: Sequence[Any], y: Sequence[Any], groups: Sequence[Any] | None
    ) -> tuple[Shaped[np.ndarray, "case"], Sequence[Any]]:
        patients = range(len(X)) if groups is None else groups
        if not len(X) == len(y) == len(patients):
            raise UsageError(
                f"{len(X)} scans, {len(y)} labels and {len(patients)} groups do not fit each other"
            )
        labels = np.asarray(y)
        if (count := len(np.unique(labels))) < 2:
            raise CohortError(
                f"a classifier tells at least two classes apart, found {count}",
                todo="Give scans of another class too",
            )
        return labels, patients

    def _sources(self, X: Sequence[Any]) -> list[ScanSource]:
        rules = parse_options(dict(self.reading or {}))
        label = None if self.mask_label is None else str(self.mask_label)
        return [
            _on_disk(scan, f"scan {i}", rules, label)
            or _in_memory(f"scan {i}", *_parts(scan), self.spacing)
            for i, scan in enumerate(X)
        ]

    def _to_predict(self, X: Sequence[Any]) -> list[Embedded]:
        check_is_fitted(self, "calibrated_")
        sources = self._sources(X)
        if sources and _all_or_none(sources) != self._masked:
            raise CohortError(
                "masks must be given for prediction exactly if they were given for fitting"
            )
        return _embed(self._embedder, sources)


def _embed(embedder: Embedder, sources: list[ScanSource]) -> list[Embedded]:
    done, failed = embed_all(embedder, sources)
    if failed:
        raise failed[0].error
    return done


def _parts(scan: Any) -> tuple[Any, Any]:
    return (scan["image"], scan.get("mask")) if isinstance(scan, Mapping) else (scan, None)


def _on_disk(scan: Any, name: str, rules: ReadOptions, label: str | None) -> ScanSource | None:
    """The source of a scan given as a path; None for one in memory."""
    image, mask = _parts(scan)
    if not isinstance(image, str | Path):
        return None
    if mask is not None and not isinstance(mask, str | Path):
        raise UsageError("an image given as a path needs its mask as a path", case=name)
    path, region = Path(image), Path(mask) if mask else None
    case = Case(path.name, name, path, region, mask_label=label)
    return FileSource(case, reading=rules)


def _in_memory(
    name: str, image: Any, mask: Any, spacing: tuple[float, float, float] | None
) -> ScanSource:
    volume = image if isinstance(image, Volume) else _volume(name, np.asarray(image), spacing)
    given = None if mask is None else np.asarray(mask)
    if given is not None and given.shape != volume.voxels.shape[1:]:
        raise CohortError(
            "mask and scan differ in shape",
            case=name,
            why=f"{given.shape} and {volume.voxels.shape[1:]}",
        )
    if given is not None and not given.any():
        raise CohortError("the mask is empty", case=name)
    return ArraySource(Case(name, name, Path(name)), volume, given)


def _volume(
    name: str, voxels: Shaped[np.ndarray, "..."], spacing: tuple[float, float, float] | None
) -> Volume:
    if spacing is None:
        raise UsageError(
            "a scan given as an array has no geometry",
            case=name,
            todo="Pass spacing=(x, y, z) in mm to FewShotClassifier, or give paths",
        )
    if voxels.ndim != 3 or 0 in voxels.shape or not np.isfinite(voxels).all():
        raise CohortError(
            "a scan must be a finite array (x, y, z)", case=name, why=f"Its shape is {voxels.shape}"
        )
    affine = np.diag([*map(float, spacing), 1.0])
    return Volume(voxels[None], affine, None, "arbitrary", Provenance("array", (), ""))


def _all_or_none(sources: Sequence[ScanSource]) -> bool:
    masked = [getattr(s, "mask", None) is not None or s.case.mask is not None for s in sources]
    if any(masked) and not all(masked):
        raise CohortError(
            f"{masked.count(False)} of {len(masked)} scans have no mask",
            todo="Give every scan a mask, or none",
        )
    return all(masked)
