"""Laws of batches of tasks: who gets which label, which latent tells of it, and what repeats."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.errors import EpisodeError
from medfs.metrics.discrimination import auroc
from medfs.synthesis.designs import class_means
from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import ALL_FACTORS
from medfs.synthesis.scenes import ALL_SCENES, SCENES
from medfs.synthesis.tasks import SyntheticTasks, TaskPlan, sample_tasks

SMALL = TaskPlan(n_tasks=12, n_shot=3, n_query=2, shape=(16, 12, 10))
# Latents and labels need no fine volumes.
MANY = TaskPlan(
    n_tasks=60,
    n_shot=1,
    n_query=29,
    shape=(8, 8, 8),
    scenes=("shape", "organ-shape"),
    n_class_factors=(1, 1),
    separation=(2.0, 2.0),
)


def drawn(plan: TaskPlan, seed: int = 0) -> SyntheticTasks:
    return sample_tasks(plan, torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def tasks():
    """Two-way tasks of which one factor defines the classes."""
    return drawn(MANY)


def within_tasks(tasks, values, which):
    """Mean AUROC of `values` over some tasks, and its standard error."""
    found = [auroc(values[t].double().numpy(), (tasks.labels[t] == 1).numpy()) for t in which]
    rows = torch.tensor(found)
    return float(rows.mean()), float(rows.std() / len(rows) ** 0.5)


def defining(tasks):
    """AUROC of each task's defining latent."""
    rows = enumerate(tasks.class_factors)
    values = [tasks.latents[factors[0]][task].double().numpy() for task, factors in rows]
    return [auroc(v, (y == 1).numpy()) for v, y in zip(values, tasks.labels, strict=True)]


def test_same_seed_same_tasks():
    one, other = drawn(SMALL, 3), drawn(SMALL, 3)
    for name in ("image", "roi", "spacing", "labels", "given_labels"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    assert (one.scenes, one.class_factors) == (other.scenes, other.class_factors)
    assert all(torch.equal(one.latents[f], other.latents[f]) for f in ALL_FACTORS)


def test_seeds_and_successive_draws_differ():
    generator = torch.Generator().manual_seed(3)
    first, second = (sample_tasks(SMALL, generator) for _ in range(2))
    assert not torch.equal(first.image, second.image)
    assert not torch.equal(first.image, drawn(SMALL, 4).image)


def test_global_random_numbers_are_not_touched():
    before = torch.get_rng_state()
    drawn(SMALL)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_scene_is_drawn_and_factors_are_those_it_shows():
    found = drawn(replace(SMALL, n_tasks=80, n_shot=1, n_query=1, shape=(8, 8, 8)))
    assert set(found.scenes) == set(ALL_SCENES)
    for scene, factors in zip(found.scenes, found.class_factors, strict=True):
        assert set(factors) <= set(SCENES[scene].visible)
        assert 1 <= len(set(factors)) == len(factors) <= 3


@pytest.mark.parametrize("scene", ALL_SCENES)
def test_masks_are_never_empty_and_images_are_finite_and_in_range(scene):
    found = drawn(replace(SMALL, scenes=(scene,), n_tasks=4))
    assert set(found.roi.unique().tolist()) == {0.0, 1.0}
    sizes = found.roi.flatten(2).sum(dim=2)
    assert float(sizes.min()) >= 1
    assert float(sizes.max()) < 0.6 * found.roi[0, 0].numel()
    low, high = {"window": (-1, 1), "zscore": (-5, 5)}.get(
        getattr(SCENES[scene].modality, "kind", "shape"), (0, 1)
    )
    assert bool(found.image.isfinite().all())
    assert float(found.image.min()) >= low
    assert float(found.image.max()) <= high
    assert float(found.image.flatten(2).std(dim=2).min()) > 0.01


def test_the_field_of_view_varies_by_a_fifth_and_is_that_of_the_scene():
    found = drawn(SMALL)
    sides = found.spacing * torch.tensor(SMALL.shape)
    for scene, side in zip(found.scenes, sides, strict=True):
        assert bool((side >= 0.89 * SCENES[scene].field_mm).all())
        assert bool((side <= 1.13 * SCENES[scene].field_mm).all())


def test_the_defining_latent_separates_as_asked_for(tasks):
    # Means are in an order of their own: the latent rises or falls with the label.
    found = defining(tasks)
    folded = torch.tensor(found).sub(0.5).abs().mean() + 0.5
    expected = torch.special.ndtr(torch.tensor(2 / 2**0.5))
    assert float(folded) == pytest.approx(float(expected), abs=0.02)
    assert {f > 0.5 for f in found} == {True, False}


@pytest.mark.parametrize("factor", ALL_FACTORS)
def test_no_other_latent_tells_the_classes_apart(tasks, factor):
    which = [t for t, found in enumerate(tasks.class_factors) if factor not in found]
    mean, error = within_tasks(tasks, tasks.latents[factor], which)
    assert mean == pytest.approx(0.5, abs=3.5 * error)
    assert error < 0.02


def test_neither_volume_nor_field_of_view_tells_the_classes_apart():
    factors = tuple(f for f in ALL_FACTORS if f not in ("size", "calibre"))
    found = drawn(replace(MANY, shape=(16, 16, 16), factors=factors, scenes=ALL_SCENES))
    volumes = found.roi.flatten(2).sum(dim=2) * found.spacing.prod(dim=2)
    for values in (volumes, found.spacing[..., 0], found.spacing[..., 2]):
        mean, error = within_tasks(found, values, range(len(found)))
        assert mean == pytest.approx(0.5, abs=3.5 * error)
        assert error < 0.02


def test_latents_of_a_class_have_unit_variance(tasks):
    values = torch.stack([tasks.latents[f[0]][t] for t, f in enumerate(tasks.class_factors)])
    for label in (0, 1):
        variances = [v[y == label].var() for v, y in zip(values, tasks.labels, strict=True)]
        assert float(torch.stack(variances).mean()) == pytest.approx(1, abs=0.12)


@given(st.integers(2, 6), st.integers(1, 3), st.floats(0.5, 5), st.integers(0, 10**6))
def test_the_two_nearest_class_means_are_as_far_apart_as_asked_for(ways, factors, apart, seed):
    dice = Dice.of(torch.Generator().manual_seed(seed))
    means = class_means(ways, factors, apart, dice)
    assert means.shape == (factors, ways)
    assert float(torch.pdist(means.T).min()) == pytest.approx(apart, rel=1e-4)
    torch.testing.assert_close(means.mean(dim=1), torch.zeros(factors), atol=1e-5, rtol=0)


def test_a_harder_plan_is_harder():
    def separability(apart):
        found = defining(drawn(replace(MANY, separation=(apart, apart), n_tasks=20)))
        return sum(abs(f - 0.5) for f in found)

    assert separability(0.5) < separability(1.5) < separability(3.0)


def test_padding_rows_are_empty_and_balanced_weights_ignore_them():
    plan = replace(SMALL, n_way=3, n_shot=(1, 4), imbalance=0.8)
    found = drawn(plan)
    padding = found.given_labels < 0
    assert bool(padding.any())
    assert not bool(padding[:, ~found.is_support].any())
    assert float(found.image[padding].abs().max()) == 0
    assert float(found.roi[padding].max()) == 0
    assert bool((found.roi[~padding].flatten(1).sum(dim=1) > 0).all())
    weights = found.batch().support_weights
    assert bool((weights[padding[:, : found.n_support]] == 0).all())
    assert bool((weights[~padding[:, : found.n_support]] > 0).all())


def counts(found):
    """Support cases of each class of each task."""
    given = found.given_labels[:, : found.n_support]
    return torch.stack([(given == c).sum(dim=1) for c in range(found.n_way)], dim=1)


def test_without_imbalance_every_class_has_its_shots():
    assert bool((counts(drawn(replace(SMALL, n_way=3))) == 3).all())
    found = counts(drawn(replace(SMALL, n_shot=(1, 2, 5), n_tasks=20)))
    assert set(found.flatten().tolist()) == {1, 2, 5}
    assert bool((found == found[:, :1]).all())


def test_with_imbalance_a_class_has_any_number_of_cases_from_one():
    found = counts(drawn(replace(MANY, n_tasks=150, n_shot=4, n_query=1, imbalance=1.0)))
    shares = torch.bincount(found.flatten(), minlength=5)[1:] / found.numel()
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.09, rtol=0)


def test_a_share_of_support_labels_is_wrong_and_no_query():
    found = drawn(replace(MANY, n_tasks=60, n_way=3, n_shot=10, n_query=1, label_noise=(0.2, 0.2)))
    wrong = (found.given_labels != found.labels).float()
    assert float(wrong[:, : found.n_support].mean()) == pytest.approx(0.2, abs=0.03)
    assert float(wrong[:, found.n_support :].sum()) == 0
    # The first case of each class keeps its label, so no class ever is empty.
    assert float(wrong[:, : found.n_way].sum()) == 0
    errors = (found.given_labels - found.labels)[wrong > 0] % 3
    assert torch.bincount(errors, minlength=3)[1:].min() > 0.4 * len(errors)


def test_a_batch_holds_image_and_region_of_support_and_query():
    plan = replace(SMALL, n_way=3, label_noise=(0.3, 0.4), imbalance=0.5)
    found = drawn(plan)
    batch = found.batch()
    assert batch.support.shape == (12, 9, 2, *plan.shape)
    assert batch.query.shape == (12, 6, 2, *plan.shape)
    assert torch.equal(torch.cat([batch.support, batch.query], dim=1)[:, :, :1], found.image)
    assert torch.equal(torch.cat([batch.support, batch.query], dim=1)[:, :, 1:], found.roi)
    assert torch.equal(batch.query_labels, found.labels[:, found.n_support :])
    torch.testing.assert_close(batch.members.sum(dim=1), torch.full((12, 3), 1 / 3))
    torch.testing.assert_close(batch.query_weights, torch.full((12, 6), 1 / 6))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"n_tasks": 0}, "n_tasks"),
        ({"n_way": 1}, "n_way"),
        ({"n_shot": 0}, "n_shot"),
        ({"n_shot": ()}, "n_shot"),
        ({"n_shot": (3, 0)}, "n_shot"),
        ({"n_query": 0}, "n_query"),
        ({"shape": (32, 32, 4)}, "8 voxels"),
        ({"scenes": ()}, "scenes"),
        ({"scenes": ("heart-ct",)}, "heart-ct"),
        ({"factors": ("colour",)}, "colour"),
        ({"scenes": ("vessel-ct", "shape"), "factors": ("calibre",)}, "'shape'"),
        ({"n_class_factors": (0, 1)}, "n_class_factors"),
        ({"n_class_factors": (3, 2)}, "n_class_factors"),
        ({"separation": (0.0, 1.0)}, "separation"),
        ({"separation": (float("nan"), 1.0)}, "separation"),
        ({"label_noise": (0.0, 0.7)}, "label_noise"),
        ({"imbalance": 1.5}, "imbalance"),
    ],
)
def test_plans_that_make_no_task_are_refused(change, why):
    with pytest.raises(EpisodeError, match=why):
        replace(SMALL, **change)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_draws_the_same_tasks_but_for_the_noise():
    device = torch.device("cuda")
    there = sample_tasks(SMALL, torch.Generator().manual_seed(0), device)
    here = drawn(SMALL)
    assert there.image.device.type == "cuda"
    assert torch.equal(there.labels.cpu(), here.labels)
    assert (there.scenes, there.class_factors) == (here.scenes, here.class_factors)
    torch.testing.assert_close(there.spacing.cpu(), here.spacing)
    assert float((there.roi.cpu() != here.roi).float().mean()) < 1e-3
