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
