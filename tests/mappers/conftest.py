"""Small support sets written out in numbers, handed to the tests as `tasks`."""

from types import SimpleNamespace

import pytest
import torch

from medfs.core.episodes import SupportSet
from medfs.core.features import Features

# Four features of nine cases: far from any decision boundary, and every column varies.
ROWS = [
    [0.1, 2.0, -1.0, 10.0],
    [0.3, 1.5, -1.2, 11.0],
    [0.2, 1.8, -0.7, 9.0],
    [1.1, -0.4, 0.6, 10.5],
    [0.9, -0.2, 0.8, 10.2],
    [1.3, -0.6, 1.0, 9.7],
    [-1.0, 0.4, 2.1, 12.0],
    [-1.2, 0.1, 2.4, 12.5],
    [-0.9, 0.3, 1.9, 11.6],
]
LABELS = [0, 0, 0, 1, 1, 1, 2, 2, 2]
# Two patients of the first class have one case and one has two; so have the others.
PATIENTS = [0, 0, 1, 2, 3, 3, 4, 5, 5]
QUERY = [[0.25, 1.7, -1.1, 10.1], [1.0, -0.5, 0.9, 10.0], [-1.1, 0.2, 2.0, 12.2]]


def features(rows):
    return Features({"written": torch.tensor(rows, dtype=torch.float64)})


def support(rows=ROWS, labels=LABELS, patients=PATIENTS):
    names = tuple("abcde"[: max(labels) + 1])
    return SupportSet(features(rows), torch.tensor(labels), torch.tensor(patients), names)


def random_support(seed, n_features=30, n_way=2, n_patients=5):
    """Patients with one to three cases each, float64."""
    generator = torch.Generator().manual_seed(seed)
    rows, labels, patients = [], [], []
    for label in range(n_way):
        for patient in range(n_patients):
            for _ in range(1 + patient % 3):
                rows.append(torch.randn(n_features, generator=generator) + 0.4 * label)
                labels.append(label)
                patients.append(10 * label + patient)
    return support(torch.stack(rows).double().tolist(), labels, patients)


@pytest.fixture(scope="session")
def tasks():
    return SimpleNamespace(
        features=features, support=support, random_support=random_support, query=features(QUERY)
    )


# Every way in which a method can see features: the embedding's kind and the width of its residual.
SEEN = {
    "none": {"embedding": "none"},
    "support": {"embedding": "support"},
    "population": {"embedding": "population"},
    "population-hidden": {"embedding": "population", "hidden": 8},
}


def disturb(module, size=0.2, seed=11):
    """φ moved by normal noise: a layer that begins at zero hides whatever lies behind it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(size * noise.to(parameter.dtype))
        if hasattr(getattr(module, "embedding", None), "mean"):
            n_features = module.embedding.n_features
            module.embedding.mean.copy_(0.3 * torch.randn(n_features, generator=generator))
            spread = 0.5 + torch.rand(n_features, generator=generator)
            module.embedding.spread.copy_(spread)
    if hasattr(module, "base_known"):
        # All but a few base classes are known.
        module.base_means.copy_(torch.randn(module.base_means.shape, generator=generator))
        module.base_spreads.copy_(torch.rand(module.base_spreads.shape, generator=generator))
        module.base_known[3:] = 1
    return module


def build(name, seen="support", n_features=6, dtype=torch.float64, **options):
    """A registered mapper on plain tensors, disturbed. Small where its width can be chosen."""
    from medfs.workflows.registries import MAPPERS

    kind = MAPPERS.load(name)
    if name in ("simple-cnaps", "maml", "meta-sgd", "hyper", "mixture"):
        options = {"width": 6, **options}
    # A mixture has units of its own.
    own = {"experts": 5} if name == "mixture" else SEEN[seen]
    if name == "distribution-calibration":
        # Gaussians do not go through a hidden layer.
        own = {"embedding": own["embedding"], "base": 12}
    return disturb(kind(n_features, **own, **options).to(dtype))


def task_batch(shots, n_query=4, n_tasks=3, n_features=6, seed=0, dtype=torch.float64):
    """Tasks whose classes overlap, `shots` cases per class, rows of support and query shuffled."""
    from medfs.core.tasks import TaskBatch

    generator = torch.Generator().manual_seed(seed)
    n_way = len(shots)

    def draw(counts):
        labels = torch.arange(n_way).repeat_interleave(torch.tensor(counts))
        orders = [torch.randperm(len(labels), generator=generator) for _ in range(n_tasks)]
        return torch.stack([labels[order] for order in orders])

    labels, queries = draw(list(shots)), draw([n_query] * n_way)
    centres = torch.randn(n_tasks, n_way, n_features, generator=generator, dtype=dtype)

    def rows(of):
        noise = torch.randn(*of.shape, n_features, generator=generator, dtype=dtype)
        return noise + 1.5 * torch.gather(centres, 1, of[..., None].expand(-1, -1, n_features))

    def weights(of, counts):
        return 1 / (n_way * torch.tensor(counts, dtype=dtype)[of])

    return TaskBatch(
        rows(labels),
        labels,
        weights(labels, list(shots)),
        rows(queries),
        queries,
        weights(queries, [n_query] * n_way),
        n_way,
    )


@pytest.fixture(scope="session")
def methods():
    return SimpleNamespace(build=build, task_batch=task_batch, disturb=disturb)
