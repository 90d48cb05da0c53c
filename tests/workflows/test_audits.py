"""Planted shortcuts are found and said; where there is none, nothing is said."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medfs.core.cases import Case, Cohort
from medfs.core.classifiers import Classifier
from medfs.core.features import Features
from medfs.core.theta import LinearHead, Theta
from medfs.episodes.sampler import sample_episodes
from medfs.metrics.paired import replicate
from medfs.storage.files import to_json
from medfs.workflows import audits
from medfs.workflows.audits import audit_permuted, audit_shortcuts, clues
from medfs.workflows.components import build_mapper
from medfs.workflows.facts import ScanFacts
from medfs.workflows.judging import Known, answers, calibrated, uncalibrated
from medfs.workflows.recipes import recipe
from medfs.workflows.registries import MAPPERS
from medfs.workflows.verdicts import verdicts

PER_CLASS, SHOTS, QUERIES, WIDTH = 24, 4, 6, 5


@dataclass(frozen=True)
class Numbers:
    """Stands for the encoder whose features were drawn below."""

    name: str = "numbers"
    identity: str = "numbers 1"
    feature_names: tuple[str, ...] = tuple(f"x{i}" for i in range(WIDTH))


@dataclass(frozen=True)
class World:
    """Cases of `way` classes whose features tell them apart by `signal` standard deviations."""

    known: Known
    facts: dict[str, ScanFacts]
    label_of: dict[str, int]
    cohort: Cohort

    def episodes(self, count=60):
        return sample_episodes(self.cohort, SHOTS, QUERIES, count, 0)


def make_world(way=2, signal=1.0, seed=0) -> World:
    rng = np.random.default_rng(seed)
    names = [f"class {c}" for c in range(way)]
    label_of = {f"case {c}-{i}": c for c in range(way) for i in range(PER_CLASS)}
    features, facts = {}, {}
    for case, label in label_of.items():
        row = rng.normal(size=WIDTH)
        row[label % WIDTH] += signal
        features[case] = Features({Numbers().identity: torch.tensor(row[None])})
        extent = tuple(np.exp(rng.normal(4, 0.2, 3)).tolist())
        facts[case] = ScanFacts(extent, (0.7, 0.7, 2.5), (64, 64, 30), 0.0, None)
    cases = tuple(
        Case(case, f"patient {case}", Path(f"{case}.nii"), label=names[label])
        for case, label in label_of.items()
    )
    patients = {case.case_id: case.patient_id for case in cases}
    return World(Known(tuple(names), patients, features), facts, label_of, Cohort(cases))


def with_facts(world: World, change) -> World:
    """Facts changed case by case: `change` gets the facts, the label and a generator."""
    rng = np.random.default_rng(1)
    facts = {c: change(f, world.label_of[c], rng) for c, f in world.facts.items()}
    return replace(world, facts=facts)


def audited(world: World, mapper: str = "ridge"):
    """A row of results, the audit and the verdict for one mapper at one shot count."""
    episodes = world.episodes()
    built = build_mapper(mapper, (Numbers(),))
    answered = {mapper: replicate(answers(world.known, episodes, uncalibrated(built)))}
    found = clues(world.facts)
    audit = {
        "task": "t",
        "shots": SHOTS,
        "shortcuts": audit_shortcuts(found, world.known, episodes, answered, 0),
        "same_in_every_case": list(found.same_in_every_case),
        "permuted_labels": {mapper: audit_permuted(world.known, episodes, built, 0)},
    }
    mean, low, high = answered[mapper].interval("auroc")
    auroc = {"mean": mean, "low": low, "high": high}
    row = {"task": "t", "shots": SHOTS, "mapper": mapper, "auroc": auroc}
    (verdict,) = verdicts([row], [audit], "numbers")
    json.loads(to_json({"audit": audit, "verdict": verdict}))
    return row, audit, verdict


@pytest.fixture(scope="module")
def honest():
    return make_world(signal=2.5)


def tell_spacing(facts, label, rng):
    return replace(facts, spacing_mm=(0.7, 0.7, float(rng.uniform(1, 2) + 1.5 * label)))


def tell_volume(facts, label, rng):
    return replace(facts, roi_mm3=float(np.exp(rng.normal(5 + 3 * label))))


def tell_padding(facts, label, rng):
    return replace(facts, padding=float(rng.uniform(0, 0.3) + 0.25 * label))


def tell_array_size(facts, label, rng):
    return replace(facts, shape=(64, 64, int(rng.integers(20, 30) + 12 * label)))


def tell_extent(facts, label, rng):
    return replace(facts, extent_mm=(50.0, 50.0, float(rng.uniform(40, 60) + 30 * label)))


@pytest.mark.parametrize(
    ("name", "plant", "said"),
    [
        ("spacing", tell_spacing, "Voxel spacing alone"),
        ("roi_volume", tell_volume, "may only measure size"),
        ("padding", tell_padding, "Padding alone"),
        ("array_size", tell_array_size, "Array size alone"),
        ("extent", tell_extent, "how the scans were cropped"),
    ],
)
def test_a_planted_shortcut_is_found_and_named(name, plant, said):
    row, audit, verdict = audited(with_facts(make_world(signal=1.0), plant))
    found = audit["shortcuts"][name]
    assert found["auroc"]["mean"] > 0.95
    assert found["classifier_minus_shortcut"]["ridge"]["high"] < 0
    assert verdict["not_beaten"] == {str(SHOTS): [name]}
    assert said in verdict["sentence"]
    assert f"ridge on numbers ({row['auroc']['mean']:.2f}) does not beat it" in verdict["sentence"]


def test_without_a_shortcut_there_is_praise(honest):
    row, audit, verdict = audited(honest)
    alone = audit["shortcuts"]["extent"]
    assert alone["auroc"]["low"] < 0.5 < alone["auroc"]["high"]
    assert alone["classifier_minus_shortcut"]["ridge"]["low"] > 0
    assert audit["same_in_every_case"] == ["spacing", "array_size", "padding"]
    assert verdict["not_beaten"] == {}
    assert "nothing known without looking at the tissue ranks these cases" in verdict["sentence"]
    assert row["auroc"]["mean"] > 0.9


def test_a_weak_shortcut_is_beaten_and_named(honest):
    def weak(facts, label, rng):
        return replace(facts, roi_mm3=float(np.exp(rng.normal(5 + 1.2 * label))))

    _, audit, verdict = audited(with_facts(honest, weak))
    assert audit["shortcuts"]["roi_volume"]["auroc"]["low"] > 0.5
    assert verdict["not_beaten"] == {}
    assert "beats every shortcut; the best one, ROI volume alone" in verdict["sentence"]


def test_features_that_know_nothing_are_called_chance():
    _, _, verdict = audited(make_world(signal=0.0))
    assert "no better than chance" in verdict["sentence"]


def test_rounding_in_headers_is_no_difference(honest):
    def rounded(facts, label, rng):
        return replace(facts, spacing_mm=(0.7, 0.7, 2.5 + 1e-5 * label))

    assert "spacing" in clues(with_facts(honest, rounded).facts).same_in_every_case


def test_a_volume_that_some_cases_lack_is_no_shortcut(honest):
    facts = dict(honest.facts)
    first = next(iter(facts))
    facts[first] = replace(facts[first], roi_mm3=12.0)
    found = clues(facts)
    assert "roi_volume" not in {*found.telling, *found.same_in_every_case}


def row_and_audit(shots, classifier, alone, gap):
    """One row of results and its audit, from (mean, low, high) of what it is about."""
    auroc, shortcut, between = (
        dict(zip(("mean", "low", "high"), n, strict=True)) for n in (classifier, alone, gap)
    )
    shortcuts = {"padding": {"auroc": shortcut, "classifier_minus_shortcut": {"m": between}}}
    labels = {"m": {"mean": 0.5, "low": 0.4, "high": 0.6, "at_chance": True}}
    head = {"task": "t", "shots": shots}
    row = {**head, "mapper": "m", "auroc": auroc}
    return row, {**head, "shortcuts": shortcuts, "permuted_labels": labels}


BEATEN = ((0.9, 0.85, 0.95), (0.7, 0.6, 0.8), (0.2, 0.1, 0.3))
OPEN = ((0.8, 0.7, 0.9), (0.78, 0.7, 0.86), (0.02, -0.1, 0.14))


@pytest.mark.parametrize(
    ("at", "not_beaten", "said"),
    [
        ({1: OPEN, 5: OPEN, 9: BEATEN}, {"1", "5"}, "With 1 and 5 it does not beat padding."),
        ({1: BEATEN, 9: OPEN}, {"9"}, "With 1 it beats every shortcut."),
        ({1: OPEN, 9: OPEN}, {"1", "9"}, "With 1 there is a shortcut that it does not beat either"),
        ({9: OPEN}, {"9"}, "m on x (0.80) does not clearly beat it"),
        ({9: BEATEN}, set(), "0.70 (paired difference +0.200, +0.100 to +0.300)."),
    ],
)
def test_the_verdict_speaks_of_every_shot_count(at, not_beaten, said):
    made = [row_and_audit(shots, *numbers) for shots, numbers in at.items()]
    (verdict,) = verdicts([row for row, _ in made], [audit for _, audit in made], "x")
    assert set(verdict["not_beaten"]) == not_beaten
    assert said in verdict["sentence"]
    assert "with 9 cases per class" in verdict["sentence"]


@pytest.mark.parametrize("way", [2, 3])
@pytest.mark.parametrize("name", sorted(n for n, e in MAPPERS.entries().items() if e.target))
def test_permuted_labels_bring_every_mapper_to_chance(name, way):
    world = make_world(way=way, signal=2.5)
    seen = audit_permuted(world.known, world.episodes(), build_mapper(name, (Numbers(),)), 0)
    assert seen["at_chance"], seen
    assert 0.4 < seen["mean"] < 0.6


@pytest.mark.parametrize("name", sorted(n for n, e in MAPPERS.entries().items() if e.target))
def test_every_mapper_can_be_judged(honest, name):
    """Those with learned numbers too, whose tensors want gradients."""
    chosen = recipe(name, (Numbers(),))
    said = answers(honest.known, honest.episodes(3), calibrated(chosen, 0))
    mean, _, _ = replicate(said, 50).interval("auroc")
    assert mean > 0.85


def test_a_mapper_that_knows_the_classes_without_labels_is_given_away(honest):
    """As one meta-trained on this very task would be."""

    def cheat(support):
        weight = torch.zeros(2, WIDTH, dtype=torch.float64)
        weight[0, 0] = weight[1, 1] = 1
        theta = Theta((), LinearHead(weight, torch.zeros(2, dtype=torch.float64)))
        return Classifier(support.features.identities, theta, support.class_names)

    episodes = honest.episodes()
    seen = audit_permuted(honest.known, episodes, cheat, 0)
    assert seen["at_chance"] is False
    assert seen["low"] > 0.8
    row, audit, _ = audited(honest)
    (verdict,) = verdicts([row], [{**audit, "permuted_labels": {"ridge": seen}}], "numbers")
    assert "from elsewhere than the labelled cases" in verdict["sentence"]


def test_an_honest_mapper_is_not_accused_by_luck(monkeypatch):
    """Where every case is told apart, an episode of one shot is a coin flip: 0 or 1."""
    looks, look = [], audits._permuted_auroc
    monkeypatch.setattr(audits, "_permuted_auroc", lambda *a, **k: looks.append(0) or look(*a, **k))
    easy = make_world(signal=30)
    mapper = build_mapper("prototype", (Numbers(),))
    episodes = sample_episodes(easy.cohort, 1, 2, 20, 0)
    seen = [audit_permuted(easy.known, episodes, mapper, seed) for seed in range(150)]
    assert len(looks) > len(seen), "no first look was off, so that nothing was tried here"
    assert all(audit["at_chance"] for audit in seen)


def test_few_episodes_are_not_judged(honest):
    episodes = honest.episodes(19)
    seen = audit_permuted(honest.known, episodes, build_mapper("ridge", (Numbers(),)), 0)
    assert seen["at_chance"] is None
    assert 0 <= seen["mean"] <= 1


def test_the_seed_decides_the_permutations(honest):
    mapper = build_mapper("ridge", (Numbers(),))
    first, again, other = (
        audit_permuted(honest.known, honest.episodes(), mapper, s) for s in (0, 0, 1)
    )
    assert first == again != other
