"""Neighbours are the nearest in the classifier's own space, and never of the same patient."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.workflows.reporting.neighbours import nearest


@given(st.integers(2, 8), st.integers(0, 1000))
def test_they_are_sorted_and_of_other_patients(n, seed):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=rng)
    patients = [str(int(v)) for v in torch.randint(0, 3, (n,), generator=rng)]
    between = torch.cdist(x, x)
    for i, found in enumerate(nearest(between, patients, 3)):
        others = [j for j in range(n) if patients[j] != patients[i]]
        assert len(found) == min(3, len(others))
        assert set(found) <= set(others)
        away = [float(between[i, j]) for j in found]
        assert away == sorted(away)
        assert all(float(between[i, j]) >= max(away, default=0) for j in set(others) - set(found))
