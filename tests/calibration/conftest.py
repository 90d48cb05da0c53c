"""Support sets of known difficulty."""

import pytest
import torch

from medfs.core.episodes import SupportSet
from medfs.core.features import Features


def make_support(seed, n_way=2, n_patients=6, n_features=8, gap=0.0, cases_per_patient=1):
    """Normal features; class means `gap` apart along the first feature."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n_way).repeat_interleave(n_patients * cases_per_patient)
    patients = torch.arange(n_way * n_patients).repeat_interleave(cases_per_patient)
    block = torch.randn(len(labels), n_features, generator=generator, dtype=torch.float64)
    block[:, 0] += gap * labels
    names = tuple("abcde"[:n_way])
    return SupportSet(Features({"made": block}), labels, patients, names)


@pytest.fixture(scope="session")
def support():
    return make_support


class Watched:
    """A mapper that remembers which rows it saw each time."""

    def __init__(self, mapper):
        self.mapper, self.seen = mapper, []

    def __call__(self, support):
        self.seen.append({tuple(row) for row in support.features.joined().tolist()})
        return self.mapper(support)


@pytest.fixture(scope="session")
def watched():
    return Watched
