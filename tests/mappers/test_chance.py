"""Where the support's labels are permuted nothing is left to learn, and nothing is learned.

A method that reads anything but the support (a query, an earlier task) shows here.
"""

import pytest
import torch

from medfs.core.tasks import TaskBatch
from medfs.mappers.base import query_logits
from medfs.workflows.registries import MAPPERS

N_EPISODES, N_WAY, N_SHOT, N_FEATURES = 400, 3, 5, 6
# Ridge reads patients and mixture has units of its own: both have tests of their own.
ON_TENSORS = sorted(
    e.name
    for e in MAPPERS.entries().values()
    if e.provider == "medfs" and e.name not in ("ridge", "mixture")
)


@pytest.fixture(scope="module")
def separable(methods):
    """Tasks, each with classes of its own, that a method gets right."""
    return methods.task_batch(
        (N_SHOT,) * N_WAY, 6, N_EPISODES, N_FEATURES, seed=1, dtype=torch.float32
    )


def _permuted(tasks):
    """Labels of every support drawn anew, class sizes kept."""
    generator = torch.Generator().manual_seed(2)
    n = tasks.support_labels.shape[1]
    order = torch.stack([torch.randperm(n, generator=generator) for _ in range(len(tasks))])
    parts = [torch.gather(t, 1, order) for t in (tasks.support_labels, tasks.support_weights)]
    queries = (tasks.query, tasks.query_labels, tasks.query_weights)
    return TaskBatch(tasks.support, *parts, *queries, tasks.n_way)


def _scores(logits, tasks):
    """Accuracy and AUROC, macro one against the rest, of each episode."""
    labels = tasks.query_labels
    accuracy = (logits.argmax(dim=2) == labels).double().mean(dim=1)
    aurocs = []
    for k in range(tasks.n_way):
        own = torch.softmax(logits, dim=2)[..., k]
        pair = own[:, :, None] - own[:, None, :]
        wins = (pair > 0).double() + 0.5 * (pair == 0).double()
        counts = ((labels == k)[:, :, None] & (labels != k)[:, None, :]).double()
        aurocs.append((wins * counts).sum(dim=(1, 2)) / counts.sum(dim=(1, 2)))
    return accuracy, torch.stack(aurocs).mean(dim=0)


def _logits(mapper, tasks):
    return query_logits(mapper, tasks.support, tasks.members, tasks.query).detach()


def _assert_by_chance(scores, chance):
    error = float(scores.std() / len(scores) ** 0.5)
    assert abs(float(scores.mean()) - chance) < 3 * error
    assert error < 0.02


@pytest.mark.parametrize("moved", [False, True], ids=["as it starts", "moved"])
@pytest.mark.parametrize("name", ON_TENSORS)
def test_permuted_labels_bring_every_method_to_chance(methods, separable, name, moved):
    mapper = (
        methods.build(name, "population", N_FEATURES, torch.float32)
        if moved
        else MAPPERS.load(name)(N_FEATURES, "population")
    )
    accuracy, auroc = _scores(_logits(mapper, separable), separable)
    assert float(accuracy.mean()) > 0.6
    assert float(auroc.mean()) > 0.8
    accuracy, auroc = _scores(_logits(mapper, _permuted(separable)), separable)
    _assert_by_chance(accuracy, 1 / N_WAY)
    _assert_by_chance(auroc, 0.5)


def test_permuted_labels_bring_ridge_to_chance(methods, tasks, separable):
    def scores(batch):
        mapper = MAPPERS.load("ridge")(N_FEATURES)
        logits = []
        for x, labels, query in zip(batch.support, batch.support_labels, batch.query, strict=True):
            order = torch.argsort(labels, stable=True)
            patients = list(range(len(labels)))
            support = tasks.support(x[order].tolist(), labels[order].tolist(), patients)
            logits.append(mapper(support).logits(tasks.features(query.tolist())))
        return _scores(torch.stack(logits), batch)

    accuracy, auroc = scores(separable)
    assert float(accuracy.mean()) > 0.6
    assert float(auroc.mean()) > 0.8
    accuracy, auroc = scores(_permuted(separable))
    _assert_by_chance(accuracy, 1 / N_WAY)
    _assert_by_chance(auroc, 0.5)


def test_a_method_that_reads_its_queries_would_be_found(separable):
    """The check itself: with a hint of the answer the mean leaves the band."""
    hint = torch.nn.functional.one_hot(separable.query_labels, N_WAY).float()
    noise = torch.randn(hint.shape, generator=torch.Generator().manual_seed(3))
    accuracy, _ = _scores(noise + 0.15 * hint, separable)
    with pytest.raises(AssertionError):
        _assert_by_chance(accuracy, 1 / N_WAY)
