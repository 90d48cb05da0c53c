"""Scans → features, one scan in memory at a time, with a cache."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from medfs.core.cases import Case
from medfs.core.errors import DataError, UserError
from medfs.core.features import Encoder, Features
from medfs.core.measured import Measured
from medfs.core.patches import Patch
from medfs.core.threads import single_thread
from medfs.core.volumes import Provenance
from medfs.features.encode import encode
from medfs.preprocess.auto import check
from medfs.preprocess.measure import measure
from medfs.preprocess.patching import make_field_patch, make_patch
from medfs.preprocess.presets import Preset
from medfs.scans.files.names import printable
from medfs.storage.tensors import TensorCache
from medfs.workflows.facts import ScanFacts, scan_facts
from medfs.workflows.sources import Digest, ScanSource

_LOOK_AHEAD = 2
_REMARKS = 5
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Embedder:
    """Everything that decides the features of a scan.

    Attributes:
        encoders: in the order of the feature blocks.
        preset: how a scan becomes a patch.
        field_mm: a fixed central field of view instead of one around a region.
        device: where encoders run.
        cache: of features, by content.
    """

    encoders: tuple[Encoder, ...]
    preset: Preset
    field_mm: tuple[float, float, float] | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    cache: TensorCache = field(default_factory=lambda: TensorCache(None))

    @property
    def weightless(self) -> bool:
        """No encoder is a network: all operations are small."""
        return not any(
            isinstance(e, torch.nn.Module) and any(True for _ in e.parameters())
            for e in self.encoders
        )

    def key(self, digest: Digest) -> str:
        identities = [e.identity for e in self.encoders]
        return self.cache.key(*digest, self.preset.identity, repr(self.field_mm), *identities)


@dataclass(frozen=True, eq=False)
class Embedded:
    """Features of one case (one row per block) and how they came about.

    `notes` say what was done to the scan; `remarks`, what was left out of its files: they may hold
    file names. `facts` are known without looking at the tissue, `digest` is the hash of the scan's
    bytes, `origin` where the volume came from, without a name of anything; `measured` is what the
    guard looks at beside features.
    """

    case: Case
    features: Features
    notes: tuple[str, ...]
    remarks: tuple[str, ...]
    facts: ScanFacts
    digest: Digest
    origin: Mapping[str, Any]
    measured: Measured


@dataclass(frozen=True)
class Failed:
    """A case that could not be read, and why."""

    case: Case
    error: UserError


def embed(embedder: Embedder, sources: Iterable[ScanSource]) -> Iterator[Embedded | Failed]:
    """Features of every scan, in order; a scan that cannot be used becomes a `Failed`.

    The next scans are read while one is encoded; memory does not grow with the number of scans.
    """
    stream = iter(sources)
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = [pool.submit(_prepare, embedder, s) for s in islice(stream, _LOOK_AHEAD)]
        while waiting:
            prepared = waiting.pop(0).result()
            waiting += [pool.submit(_prepare, embedder, s) for s in islice(stream, 1)]
            yield _finish(embedder, prepared)


def embed_all(
    embedder: Embedder, sources: Sequence[ScanSource], progress: Progress = lambda _: None
) -> tuple[list[Embedded], list[Failed]]:
    """`embed`, sorted into what worked and what failed."""
    done: list[Embedded] = []
    failed: list[Failed] = []
    for result in embed(embedder, sources):
        (failed if isinstance(result, Failed) else done).append(result)  # type: ignore[arg-type]
        progress(1)
    return done, failed


@dataclass(frozen=True, eq=False)
class _Prepared:
    case: Case
    digest: Digest
    patch: Patch
    notes: tuple[str, ...]
    remarks: tuple[str, ...]
    facts: ScanFacts
    origin: Mapping[str, Any]
    measured: Measured


def _prepare(embedder: Embedder, source: ScanSource) -> _Prepared | Embedded | Failed:
    try:
        digest = source.digest()
        stored = embedder.cache.get(embedder.key(digest))
        if stored is not None and (known := _from_cache(source.case, digest, stored)) is not None:
            return known
        volume, mask = source.load()
        check(volume, embedder.preset)
        if embedder.field_mm is not None:
            patch = make_field_patch(volume, embedder.field_mm, embedder.preset)
        else:
            patch = make_patch(volume, mask, embedder.preset)
        told, origin = _remarks(volume.provenance), volume.provenance.nameless()
        facts, seen = scan_facts(volume, mask, patch), measure(volume, patch)
        return _Prepared(source.case, digest, patch, patch.notes, told, facts, origin, seen)
    except UserError as error:
        return Failed(source.case, error.about(source.case.case_id))


def _remarks(provenance: Provenance) -> tuple[str, ...]:
    """What was found and left out; a whole archive of other series is only counted."""
    told = [printable(f"{n}: {why}") for n, why in (*provenance.notes, *provenance.skipped)]
    more = len(told) - _REMARKS
    return (*told[:_REMARKS], *((f"and {more} more files or series left out",) if more > 0 else ()))


def _finish(embedder: Embedder, prepared: _Prepared | Embedded | Failed) -> Embedded | Failed:
    if not isinstance(prepared, _Prepared):
        return prepared
    try:
        with single_thread() if embedder.weightless else nullcontext():
            features = encode(embedder.encoders, prepared.patch, embedder.device)
    except FloatingPointError as error:
        why = DataError(
            "features could not be computed", case=prepared.case.case_id, why=str(error)
        )
        return Failed(prepared.case, why)
    p = prepared
    done = Embedded(p.case, features, p.notes, p.remarks, p.facts, p.digest, p.origin, p.measured)
    embedder.cache.put(embedder.key(prepared.digest), _to_cache(done))
    return done


def _to_cache(done: Embedded) -> dict[str, Tensor]:
    known = {
        "notes": done.notes,
        "remarks": done.remarks,
        "origin": done.origin,
        **done.facts.plain(),
        **done.measured.plain(),
    }
    facts = json.dumps(known).encode()
    blocks = {f"block.{name}": block for name, block in done.features.blocks.items()}
    # The order of the blocks is kept apart: safetensors sorts its names.
    order = json.dumps(list(done.features.blocks)).encode()
    return {"facts": _bytes(facts), "order": _bytes(order), **blocks}


def _from_cache(case: Case, digest: Digest, stored: dict[str, Tensor]) -> Embedded | None:
    """What was stored; None if anything is missing, as in the entry of another version."""
    try:
        known = json.loads(bytes(stored["facts"].tolist()))
        order = json.loads(bytes(stored["order"].tolist()))
        features = Features({name: stored[f"block.{name}"] for name in order})
        notes, remarks = tuple(known["notes"]), tuple(known["remarks"])
        facts, origin, seen = (
            ScanFacts.from_plain(known),
            known["origin"],
            Measured.from_plain(known),
        )
        return Embedded(case, features, notes, remarks, facts, digest, origin, seen)
    except (KeyError, TypeError, ValueError, UserError):
        return None


def _bytes(content: bytes) -> Tensor:
    return torch.tensor(list(content), dtype=torch.uint8)
