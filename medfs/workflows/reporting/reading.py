"""Support cases → what a report shows of them: features and a few slices, one case in memory."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice

from medfs.core.errors import DataError, UserError
from medfs.core.features import Features
from medfs.core.patches import Patch
from medfs.core.threads import single_thread
from medfs.features.encode import encode
from medfs.preprocess.patching import make_patch
from medfs.reporting.values import Slice
from medfs.workflows.embed import Embedder
from medfs.workflows.predict import Predictor
from medfs.workflows.reporting.matched import Matched
from medfs.workflows.reporting.slices import Look, slices
from medfs.workflows.sources import ScanSource

_LOOK_AHEAD = 2


@dataclass(frozen=True, eq=False)
class Seen:
    """What was read of a case: its features (one row), its planes, how far its grid reaches."""

    features: Features
    slices: tuple[Slice, ...]
    extent_mm: tuple[float, float, float]


def patch_of(predictor: Predictor, source: ScanSource) -> Patch:
    """The case as the model's encoders see it.

    Raises:
        UserError: it cannot be used.
    """
    volume, mask = source.load()
    return make_patch(volume, mask, predictor.embedder.preset)


def features_of(embedder: Embedder, patch: Patch, case_id: str) -> Features:
    """One row of features; DataError where they are not numbers."""
    try:
        with single_thread() if embedder.weightless else nullcontext():
            return encode(embedder.encoders, patch, embedder.device)
    except FloatingPointError as error:
        raise DataError("features could not be computed", case=case_id, why=str(error)) from error


def read_all(
    predictor: Predictor,
    cases: Sequence[Matched],
    look: Look,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Seen, ...]:
    """Every case; the next ones are read while one is encoded.

    Raises:
        UserError: a case cannot be read any more.
    """
    found = []
    for case, patch in zip(cases, _patches(predictor, cases), strict=True):
        features = features_of(predictor.embedder, patch, case.case.case_id)
        x, y, z = (
            float(n * mm) for n, mm in zip(patch.image.shape[1:], patch.spacing, strict=True)
        )
        found.append(Seen(features, slices(patch, look), (x, y, z)))
        progress(1)
    return tuple(found)


def _patches(predictor: Predictor, cases: Sequence[Matched]) -> Iterator[Patch]:
    def load(case: Matched) -> Patch:
        try:
            return patch_of(predictor, case.source)
        except UserError as error:
            raise error.about(case.case.case_id) from error

    left = iter(cases)
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = [pool.submit(load, case) for case in islice(left, _LOOK_AHEAD)]
        while waiting:
            patch = waiting.pop(0).result()
            waiting += [pool.submit(load, case) for case in islice(left, 1)]
            yield patch
