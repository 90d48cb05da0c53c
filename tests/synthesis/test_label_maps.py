"""Real label maps as surroundings: they show, they are turned, and they stay out of the classes."""

from dataclasses import replace

import pytest
import torch

from medfs.core.errors import EpisodeError
from medfs.synthesis.dice import Dice
from medfs.synthesis.label_maps import LabelMaps
from medfs.synthesis.tasks import TaskPlan, sample_tasks

PLAN = TaskPlan(n_tasks=4, n_shot=2, n_query=2, shape=(20, 18, 16), scenes=("organ-mr",))


def dice(seed=0):
    return Dice.of(torch.Generator().manual_seed(seed))


def halves():
    """One map, low x labelled 0 and high x labelled 7."""
    labels = torch.zeros(1, 24, 20, 16, dtype=torch.int64)
    labels[:, 12:] = 7
    return labels


def drawn(shapes, plan=PLAN):
    return sample_tasks(replace(plan, shapes=shapes), torch.Generator().manual_seed(5))


def test_images_depend_on_the_maps_and_stay_in_range():
    noise = torch.randint(0, 9, (2, 24, 20, 16), generator=torch.Generator().manual_seed(1))
    without, one, other, again = (drawn(m) for m in (None, halves(), noise, halves()))
    assert torch.equal(one.image, again.image)
    assert not torch.allclose(one.image, other.image, atol=0.05)
    assert not torch.allclose(one.image, without.image, atol=0.05)
    for found in (one, other):
        assert bool(found.image.isfinite().all())
        assert float(found.image.abs().max()) <= 5
        # The region is drawn before its surroundings.
        assert torch.equal(found.roi, without.roi)
        assert torch.equal(found.labels, without.labels)


def test_a_painted_map_has_one_value_per_label_and_edges_where_the_map_has():
    maps = LabelMaps.of(halves(), (20, 20, 20), torch.device("cpu"))
    painted = maps.paint(200, (20, 20, 20), dice())
    low, high = painted.flatten(1).aminmax(dim=1)
    spans = (high - low)[:, None]
    flat = painted.flatten(1)
    at_either = ((flat - low[:, None]) < 0.02 * spans) | ((high[:, None] - flat) < 0.02 * spans)
    both = spans[:, 0] > 0.5
    assert int(both.sum()) > 100
    assert float(at_either[both].float().mean()) > 0.75
    # Only one axis of the map has an edge; each axis of the volume gets it in a third of the cases.
    edges = [painted.diff(dim=a).abs().amax(dim=(1, 2, 3)) > 0.1 * spans[:, 0] for a in (1, 2, 3)]
    assert bool((torch.stack(edges).sum(dim=0)[both] == 1).all())
    assert all(0.2 < float(e[both].float().mean()) < 0.47 for e in edges)


def test_every_map_is_used_and_intensities_are_standard_normal():
    labels = torch.arange(3)[:, None, None, None].expand(3, 8, 8, 8)
    painted = LabelMaps.of(labels, (8, 8, 8), torch.device("cpu")).paint(3000, (8, 8, 8), dice())
    flat = painted.flatten(1)
    torch.testing.assert_close(flat, flat[:, :1].expand_as(flat), atol=1e-4, rtol=1e-4)
    assert float(flat[:, 0].mean()) == pytest.approx(0, abs=0.06)
    assert float(flat[:, 0].std()) == pytest.approx(1, abs=0.05)


def test_fine_maps_are_thinned():
    fine = torch.zeros(1, 200, 65, 30, dtype=torch.uint8)
    fine[:, 100:] = 255
    maps = LabelMaps.of(fine, (16, 16, 16), torch.device("cpu"))
    assert max(maps.labels.shape[1:]) <= 2 * 16 + 16
    assert maps.n_labels == 256


@pytest.mark.parametrize(
    ("shapes", "why"),
    [
        (torch.ones(1, 8, 8, 8), "float32"),
        (torch.ones(8, 8, 8, dtype=torch.int64), r"\(8, 8, 8\)"),
        (torch.zeros(0, 8, 8, 8, dtype=torch.int64), "0, 8, 8, 8"),
        (torch.full((1, 8, 8, 8), 3), "from 3 to 3"),
        (torch.arange(-4, 508).view(1, 8, 8, 8), "from -4"),
        (torch.arange(512).view(1, 8, 8, 8) * 10, "to 5110"),
    ],
)
def test_what_is_no_label_map_is_refused(shapes, why):
    with pytest.raises(EpisodeError, match=why):
        replace(PLAN, shapes=shapes)
