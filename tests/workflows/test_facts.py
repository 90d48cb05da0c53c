"""What is known of a scan without its tissue, and that it outlives the cache."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medfs.core.cases import Case
from medfs.core.volumes import Provenance, Volume
from medfs.features.radiomics import Radiomics
from medfs.preprocess.patching import make_field_patch, make_patch
from medfs.preprocess.presets import load_preset
from medfs.storage.tensors import TensorCache
from medfs.workflows.embed import Embedder, embed_all
from medfs.workflows.facts import ScanFacts, scan_facts
from medfs.workflows.sources import ArraySource

CT = load_preset("ct-lung")
FIELD = np.asarray(CT.spacing_mm) * CT.shape


def scan_of(shape, spacing, shear=0.0):
    voxels = np.random.default_rng(0).integers(-900, 300, (1, *shape)).astype(np.int16)
    affine = np.diag([*spacing, 1.0])
    affine[1, 2] = shear * spacing[2]
    return Volume(voxels, affine, "CT", "HU", Provenance("array", (), ""))


def central(shape, margin):
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(m, n - m) for m, n in zip(margin, shape, strict=True))] = True
    return mask


def test_facts_are_those_of_the_scan_as_it_was_read():
    shape, spacing = (40, 50, 20), (0.5, 0.5, 2.0)
    scan, mask = scan_of(shape, spacing), central(shape, (10, 15, 5))
    facts = scan_facts(scan, mask, make_patch(scan, mask, CT))
    assert (facts.extent_mm, facts.spacing_mm, facts.shape) == ((20, 25, 40), spacing, shape)
    assert facts.roi_mm3 == pytest.approx(10 * 10 * 20)
    assert scan_facts(scan, None, make_patch(scan, None, CT)).roi_mm3 is None


def test_a_tilted_gantry_changes_no_volume():
    shape, mask = (40, 50, 20), central((40, 50, 20), (10, 15, 5))
    scan = scan_of(shape, (0.5, 0.5, 2.0), shear=0.3)
    assert scan_facts(scan, mask, make_patch(scan, mask, CT)).roi_mm3 == pytest.approx(2000)


def test_nothing_is_padded_in_a_large_scan():
    shape = tuple(int(n) for n in np.ceil(FIELD) + 8)
    scan, mask = scan_of(shape, (1, 1, 1)), central(shape, [n // 2 - 3 for n in shape])
    assert make_patch(scan, mask, CT).padding == 0


@pytest.mark.parametrize("halved", [(0,), (2,), (0, 1), (0, 1, 2)])
def test_half_of_the_field_per_axis_is_padded(halved):
    """A scan that ends half-way between the border of the field and its centre, on both sides."""
    shape = np.asarray(CT.shape) * 2
    shape[list(halved)] //= 4
    spacing = tuple(CT.spacing_mm)
    scan = scan_of(tuple(shape), spacing)
    mask = central(tuple(shape), [max(0, n // 2 - 2) for n in shape])
    assert make_patch(scan, mask, CT).padding == pytest.approx(1 - 0.5 ** len(halved))


def test_a_fixed_field_is_never_padded():
    scan = scan_of((40, 40, 40), (1, 1, 1))
    assert make_field_patch(scan, (20.0, 20.0, 20.0), CT).padding == 0


@pytest.mark.parametrize("roi", [None, 123.5])
def test_facts_survive_json(roi):
    facts = ScanFacts((1.5, 2.0, 3.0), (0.1, 0.2, 0.3), (4, 5, 6), 0.25, roi)
    assert ScanFacts.from_plain(json.loads(json.dumps(facts.plain()))) == facts


class Counted(Radiomics):
    """Radiomics that count how often they were asked."""

    asked = 0

    def __call__(self, *args, **kwargs):
        type(self).asked += 1
        return super().__call__(*args, **kwargs)


@pytest.fixture
def embedder(tmp_path, monkeypatch):
    monkeypatch.setattr(Counted, "asked", 0)
    return Embedder((Counted(),), CT, cache=TensorCache(tmp_path))


@pytest.fixture
def source():
    shape = (40, 40, 20)
    mask = central(shape, (12, 12, 6))
    return ArraySource(Case("a", "a", Path("a.nii")), scan_of(shape, (0.7, 0.7, 2.0)), mask)


def spoil(embedder, source, change):
    """Write the entry as another version of medfs might have left it."""
    key = embedder.key(source.digest())
    entry = embedder.cache.get(key)
    assert entry is not None
    embedder.cache.put(key, change(entry))


def without_fact(name):
    def change(entry):
        facts = json.loads(bytes(entry["facts"].tolist()))
        del facts[name]
        content = torch.tensor(list(json.dumps(facts).encode()), dtype=torch.uint8)
        return {**entry, "facts": content}

    return change


def without(name):
    return lambda entry: {n: tensor for n, tensor in entry.items() if not n.startswith(name)}


def as_list(entry):
    return {**entry, "facts": torch.tensor(list(b"[]"), dtype=torch.uint8)}


CHANGES = {
    **{name: without_fact(name) for name in ("notes", "remarks", "origin", "extent_mm")},
    **{name: without_fact(name) for name in ("spacing_mm", "shape", "padding", "roi_mm3")},
    **{f"all {name}": without(name) for name in ("facts", "order", "block.")},
    "no dictionary": as_list,
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_entry_that_lacks_anything_counts_as_absent(embedder, source, name):
    ((first,), _) = embed_all(embedder, [source])
    spoil(embedder, source, CHANGES[name])
    ((again,), failed) = embed_all(embedder, [source])
    assert not failed
    assert Counted.asked == 2
    assert (again.facts, again.origin) == (first.facts, first.origin)
    assert torch.equal(again.features.joined(), first.features.joined())
    embed_all(embedder, [source])
    assert Counted.asked == 2, "the entry was not mended"


def test_a_whole_entry_gives_everything_back(embedder, source):
    ((first,), _) = embed_all(embedder, [source])
    ((again,), _) = embed_all(embedder, [source])
    assert Counted.asked == 1
    for name in ("notes", "remarks", "facts", "digest", "origin"):
        assert getattr(again, name) == getattr(first, name)


def test_a_mask_is_part_of_what_is_remembered(embedder, source):
    ((marked,), _) = embed_all(embedder, [source])
    ((found,), _) = embed_all(embedder, [replace(source, mask=None)])
    assert marked.facts.roi_mm3 is not None
    assert found.facts.roi_mm3 is None
