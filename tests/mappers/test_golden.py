"""Logits written down once, in float64 and far from any decision boundary."""

import pytest
import torch

from medfs.workflows.registries import MAPPERS

GOLDEN = {
    "prototype": [
        [3.6756398343238845, -4.554044171903871, -10.215857738985214],
        [-6.295240253690197, 2.7083646172014557, -7.50738644007646],
        [-10.2634049271029, -5.790408249255036, 4.959551099792745],
    ],
    "ridge": [
        [4.101899525799311, -1.8012999924882045, -2.300599533311108],
        [-2.0983875377521746, 3.949572390048781, -1.8511848522966066],
        [-2.4004424832402065, -2.0247258708957574, 4.425168354135966],
    ],
}


def test_every_mapper_of_medfs_has_golden_values():
    assert set(GOLDEN) == {e.name for e in MAPPERS.entries().values() if e.provider == "medfs"}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_logits_are_those_of_the_first_release(tasks, name):
    mapper = MAPPERS.load(name)(4).double()
    logits = mapper(tasks.support()).logits(tasks.query)
    assert logits.dtype == torch.float64
    torch.testing.assert_close(
        logits, torch.tensor(GOLDEN[name], dtype=torch.float64), rtol=1e-6, atol=1e-6
    )
    assert logits.argmax(dim=1).tolist() == [0, 1, 2]
