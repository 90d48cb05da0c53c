"""Tasks that medfs-base does not know: said in words, and the fallback is nearer at hand."""

import json
import math
from dataclasses import replace

import pytest
import torch

from medfs.core.features import Features
from medfs.core.tasks import TaskBatch, balanced
from medfs.mappers.familiarity import familiarity_of
from medfs.mappers.ridge import Ridge
from medfs.testing.samples import random_support
from medfs.workflows import fit as fitting
from medfs.workflows.adapt import AdaptRequest, adapt
from medfs.workflows.components import build_encoders
from medfs.workflows.fit import fit
from medfs.workflows.guard import describe, look, signal, warnings_of
from medfs.workflows.recipes import PLAIN, SHIPPED, Recipe, recipe

WIDTH = 12


def task_batch(n_tasks, n_shot, seed):
    supports = [random_support((n_shot, n_shot), seed + i) for i in range(n_tasks)]
    x = torch.stack([s.features.joined() for s in supports])
    labels = torch.stack([s.labels for s in supports])
    weights = balanced(labels, 2)
    return TaskBatch(x, labels, weights, x, labels, weights, 2)


@pytest.fixture(scope="module")
def known():
    return familiarity_of([task_batch(300, k, 1000 * k) for k in (2, 6, 12)])


def scaled(support, by):
    blocks = {n: by * rows for n, rows in support.features.blocks.items()}
    return replace(support, features=Features(blocks))


def test_a_usual_support_is_familiar_and_nothing_is_said(known):
    verdict = look(random_support((6, 6), 5), known, "mine")
    assert verdict.familiar
    assert verdict.needed == math.log(20)
    assert warnings_of(verdict, None) == ()


@pytest.mark.parametrize(
    ("by", "said"), [(0.01, "more alike than"), (30.0, "further from each other")]
)
def test_an_unusual_one_is_named_with_the_mapper_and_the_share(known, by, said):
    verdict = look(scaled(random_support((6, 6), 5), by), known, "mine")
    assert verdict.familiar is False
    assert verdict.needed == math.log(3)
    (warning, *_) = warnings_of(verdict, None)
    for part in (said, "99.5 %", "mine", "unfamiliar"):
        assert part in warning


def test_values_beyond_the_range_of_training_are_counted(known):
    verdict = look(scaled(random_support((6, 6), 5), 30.0), known, "mine")
    assert any(
        text.endswith("outside the range of what mine was trained on") for text in verdict.beyond
    )


def test_a_mapper_that_was_not_trained_knows_of_no_tasks():
    verdict = look(random_support((6, 6), 5), None, PLAIN)
    assert (verdict.familiar, verdict.beyond, verdict.needed) == (None, (), math.log(20))


@pytest.mark.parametrize(("preference", "used"), [(0.9, "mine"), (1.5, PLAIN), (3.5, PLAIN)])
def test_an_unfamiliar_support_falls_back_at_three_to_one(known, monkeypatch, preference, used):
    """ln 3 = 1.1, ln 20 = 3.0; the held-out likelihoods are given."""
    found = {"mine": -5.0, PLAIN: -5.0 + preference}
    real = fitting._fit
    monkeypatch.setattr(
        fitting,
        "_fit",
        lambda s, r, *rest: replace(real(s, r, *rest), log_likelihood=found[r.name]),
    )
    plain = Recipe(PLAIN, PLAIN, Ridge(WIDTH), "stands by")
    mine = Recipe("mine", "mine-1", Ridge(WIDTH), "on trial", plain, known)
    support = random_support((6, 6), 5)
    assert fit(scaled(support, 0.01), mine, 0).used.name == used
    assert fit(support, mine, 0).used.name == (PLAIN if preference > math.log(20) else "mine")


def test_at_one_case_of_each_class_nothing_is_decided(known):
    support = scaled(random_support((1, 1), 5), 100.0)
    plain = Recipe(PLAIN, PLAIN, Ridge(WIDTH), "stands by")
    fitted = fit(support, Recipe("mine", "mine-1", Ridge(WIDTH), "on trial", plain, known), 0)
    assert (fitted.used.name, fitted.verdict.familiar) == ("mine", False)
    assert signal(support, fitted.log_likelihood) is None


def test_no_better_than_the_balance_is_said_and_better_is_not():
    support = random_support((6, 6), 5)
    balance = -12 * math.log(2)
    nothing = look(support, None, PLAIN)
    (said,) = warnings_of(nothing, signal(support, balance - 0.1))
    assert said.startswith("left-out cases are predicted no better than by chance")
    assert warnings_of(nothing, signal(support, balance + 0.1)) == ()
    assert describe(nothing, signal(support, balance - 0.1))["signal"] is False


@pytest.fixture(scope="module")
def shipped():
    return recipe(SHIPPED, build_encoders(("radiomics",), {}, torch.device("cpu")))


@pytest.mark.parametrize("n_way", [2, 3])
@pytest.mark.parametrize("n_shot", [5, 10])
def test_labels_by_chance_give_probabilities_near_the_balance(shipped, n_way, n_shot):
    """With held-out cases and calibration: what a user of labels without signal gets."""
    largest, loss, unseen, n_tasks = [], [], [], 15
    with torch.no_grad():
        for seed in range(n_tasks):
            width, n = shipped.mapper.n_features, n_way * n_shot
            drawn = torch.randn(n + 40, width, generator=torch.Generator().manual_seed(seed))
            rows = shipped.mapper.spread.float() * drawn
            base = random_support((n_shot,) * n_way, seed, n_features=width)
            fitted = fit(replace(base, features=Features({"r": rows[:n]})), shipped, seed)
            p = fitted.calibrated.predict_proba(Features({"r": rows[n:]}))
            largest.append(p.amax(dim=1).mean())
            loss.append(-p.log().mean())
            unseen.append(signal(base, fitted.log_likelihood).none_seen)
    assert torch.stack(largest).mean() < 1 / n_way + 0.16
    assert torch.stack(loss).mean() < math.log(n_way) + 0.1
    assert sum(unseen) > n_tasks / 2


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Labels by chance on volumes of noise."""
    import numpy as np

    from medfs.scans.write import write_nifti

    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    mask = np.zeros((20, 20, 20), dtype="uint8")
    mask[6:14, 6:14, 6:14] = 1
    for i in range(10):
        side = folder / "ab"[i % 2]
        side.mkdir(exist_ok=True)
        voxels = rng.normal(-200, 400, size=mask.shape).astype("int16")
        write_nifti(side / f"{i}.nii.gz", voxels, np.eye(4), "int16")
        write_nifti(side / f"{i}_mask.nii.gz", mask, np.eye(4), "uint8")
    return folder


def test_adapt_warns_and_the_report_tells_why(cohort, tmp_path):
    made = adapt(AdaptRequest(cohort, tmp_path / "model", preset="ct-lung", use_cache=False))
    guard = json.loads((tmp_path / "model" / "report.json").read_text())["components"]["task_guard"]
    assert guard["familiar"] is False
    assert guard["fallback_needs_odds"] == 3
    assert {"value", "low", "high"} == set(guard["statistics"]["differences"])
    assert any(w.startswith("unfamiliar cases") and SHIPPED in w for w in made.warnings)
    assert guard["log_likelihood_of_the_balance"] == pytest.approx(-10 * math.log(2))


def test_adapt_says_nothing_of_the_kind_of_a_usual_task(simulated, tmp_path):
    for label, image, mask in zip(simulated.labels, simulated.images, simulated.masks, strict=True):
        side = tmp_path / "cases" / label
        side.mkdir(parents=True, exist_ok=True)
        (side / image.name).write_bytes(image.read_bytes())
        (side / mask.name).write_bytes(mask.read_bytes())
    made = adapt(AdaptRequest(tmp_path / "cases", tmp_path / "model", use_cache=False))
    assert made.report["components"]["task_guard"]["familiar"]
    assert not [w for w in made.warnings if "unfamiliar" in w]
