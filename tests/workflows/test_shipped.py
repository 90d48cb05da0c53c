"""The mapper that comes with medfs: what it is, what it learned, and when it holds back."""

import math

import pytest
import torch

from medfs.core.tasks import TaskBatch, balanced
from medfs.features.radiomics import Radiomics
from medfs.mappers.base import query_logits
from medfs.mappers.familiarity import familiarity_in
from medfs.mappers.ridge import Ridge
from medfs.storage.files import sha256
from medfs.storage.shipped import shipped_file, shipped_names
from medfs.storage.tensors import tensors_to_bytes
from medfs.synthesis.plans import TaskPlan
from medfs.synthesis.tasks import sample_tasks
from medfs.workflows.components import build_encoders
from medfs.workflows.meta.pool import _encoded
from medfs.workflows.recipes import SHIPPED, recipe, shipped_identity, shipped_mapper

MEGABYTES = 25
PHI = "11bdb5e5a22a852168a8a7bf659047114cb08f4dfaa5106904c0aafb1946a576"


@pytest.fixture(scope="module")
def mapper():
    return recipe(SHIPPED, build_encoders(("radiomics",), {}, torch.device("cpu"))).mapper


def test_all_that_is_shipped_is_small_and_holds_no_code():
    for name in shipped_names():
        assert name.endswith((".safetensors", ".md")), name
    assert sum(shipped_file(name).stat().st_size for name in shipped_names()) < MEGABYTES * 2**20


def test_it_says_what_it_was_trained_on():
    file = shipped_mapper()
    assert file.encoders == (Radiomics.identity,)
    assert {"factors", "directions", "chance"} <= set(file.training["config"]["train"])
    card = shipped_file(f"{SHIPPED}.md").read_text(encoding="utf-8")
    assert shipped_identity(file) in card
    content = shipped_file(f"{SHIPPED}.safetensors").read_bytes()
    assert sha256(content) in card
    assert f"{len(content):,} bytes" in card
    assert f"{sum(t.numel() for t in file.tensors.values()):,} numbers" in card
    for part in ("CC BY 3.0", "CC BY 4.0", "Apache-2.0", "Research use only", "Where it fails"):
        assert part in card, part


def test_phi_is_that_of_the_published_figures():
    """What is known of its training tasks lies beside φ: figures stay true as long as φ does."""
    tensors = shipped_mapper().tensors
    phi = {name: t for name, t in tensors.items() if name.startswith("mapper.")}
    assert sha256(tensors_to_bytes(phi)) == PHI
    assert set(tensors) - set(phi) == set(familiarity_in(tensors).tensors())


@pytest.mark.parametrize("n_shot", [1, 5, 15])
@pytest.mark.parametrize("n_way", [2, 5])
def test_labels_without_meaning_give_probabilities_near_the_balance(mapper, n_shot, n_way):
    generator = torch.Generator().manual_seed(n_shot)
    width, n_query, n_tasks = mapper.n_features, 10, 60

    def rows(n):
        return mapper.spread * torch.randn(n_tasks, n, width, generator=generator).double()

    labels = torch.arange(n_way).repeat(n_shot).expand(n_tasks, -1)
    asked = torch.arange(n_way).repeat(n_query).expand(n_tasks, -1)
    members = torch.nn.functional.one_hot(labels, n_way).double() / labels.shape[1]
    with torch.no_grad():
        logits = query_logits(mapper, rows(labels.shape[1]), members, rows(asked.shape[1]))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), asked.flatten())
    assert loss < math.log(n_way) + 0.15


@pytest.fixture(scope="module")
def tasks():
    """Tasks of all scenes that no training has seen, as radiomics."""
    plan = TaskPlan(n_tasks=1, n_way=2, n_shot=5, n_query=5, separation=(2.0, 3.0))
    generator = torch.Generator().manual_seed(20_000)
    drawn = [sample_tasks(plan, generator) for _ in range(24)]
    x = torch.stack([_encoded(task, [Radiomics()]) for task in drawn]).double()
    labels, s = torch.stack([task.labels[0] for task in drawn]), plan.n_support
    return TaskBatch(
        x[:, :s],
        labels[:, :s],
        balanced(labels[:, :s], 2).double(),
        x[:, s:],
        labels[:, s:],
        balanced(labels[:, s:], 2).double(),
        2,
    )


def test_new_synthetic_tasks_are_familiar_and_dealt_out_features_are_not(tasks):
    known = familiarity_in(shipped_mapper().tensors)
    low, high = known.limits(tasks.support.shape[1]).T

    def alarms(supports):
        told = torch.stack([known.statistics(rows) for rows in supports])
        return int(((told < low) | (told > high)).any(dim=1).sum())

    # Columns of all tasks together, each dealt out for itself: nothing goes with anything.
    flat, generator = tasks.support.flatten(0, 1), torch.Generator().manual_seed(0)
    dealt = torch.stack(
        [column[torch.randperm(len(column), generator=generator)] for column in flat.T], dim=1
    )
    assert alarms(tasks.support) <= 1
    assert alarms(dealt.view_as(tasks.support)) == len(tasks)


def test_it_tells_new_synthetic_tasks_apart_better_than_chance_and_plain_ridge(mapper, tasks):
    with torch.no_grad():
        logits = query_logits(mapper, tasks.support, tasks.members, tasks.query)
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), tasks.query_labels.flatten()
    ).item()
    right = (logits.argmax(dim=2) == tasks.query_labels).double().mean().item()
    plain = _accuracy_of_ridge(tasks)
    assert loss < 0.6
    assert right > max(0.65, plain)


def _accuracy_of_ridge(tasks):
    from medfs.core.episodes import SupportSet
    from medfs.core.features import Features

    rights = []
    for t in range(len(tasks)):
        support = SupportSet(
            Features({Radiomics.identity: tasks.support[t]}),
            tasks.support_labels[t],
            torch.arange(tasks.support.shape[1]),
            ("a", "b"),
        )
        logits = Ridge(tasks.support.shape[2])(support).logits(
            Features({Radiomics.identity: tasks.query[t]})
        )
        rights.append((logits.argmax(dim=1) == tasks.query_labels[t]).double().mean().item())
    return sum(rights) / len(rights)
