"""What counts as usual of a support: coverage, what is noticed, and what a file may hold."""

import pytest
import torch

from medfs.core.errors import IntegrityError
from medfs.mappers.familiarity import STATISTICS, familiarity_in, familiarity_of
from medfs.synthesis.gaussian import GaussianFamily

WIDTH = 8
FAMILY = GaussianFamily.drawn(WIDTH, 0)
# Features of real regions go together; so do these.
MIXED = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(7))


def batches(n, seed, n_shot=5):
    from dataclasses import replace

    generator = torch.Generator().manual_seed(seed)
    drawn = [FAMILY.sample(40, 2, n_shot, 2, generator) for _ in range(n)]
    return [replace(b, support=b.support @ MIXED, query=b.query @ MIXED) for b in drawn]


@pytest.fixture(scope="module")
def known():
    return familiarity_of([b for k in (1, 2, 5, 10, 20) for b in batches(25, k, k)])


def alarms(known, supports):
    low, high = known.limits(supports.shape[1]).T
    told = torch.stack([known.statistics(rows) for rows in supports.double()])
    return ((told < low) | (told > high)).any(dim=1).double().mean().item()


@pytest.mark.parametrize("n_shot", [1, 2, 5, 10, 20])
def test_new_tasks_of_the_same_family_alarm_about_as_rarely_as_promised(known, n_shot):
    new = torch.cat([b.support for b in batches(25, 100 + n_shot, n_shot)])
    # Two statistics, half a per cent at each of three ends.
    assert alarms(known, new) < 0.04


@pytest.mark.parametrize("n_shot", [5, 20])
def test_what_varies_otherwise_is_noticed(known, n_shot):
    new = torch.cat([b.support for b in batches(4, 300, n_shot)])
    generator = torch.Generator().manual_seed(0)
    dealt = torch.stack(
        [new[:, torch.randperm(new.shape[1], generator=generator), f] for f in range(WIDTH)], dim=2
    )
    centre = new.mean(dim=1, keepdim=True)
    assert alarms(known, dealt) > 0.9
    assert alarms(known, centre + 8 * (new - centre)) > 0.9
    assert alarms(known, centre + (new - centre) / 20) > 0.9
    assert alarms(known, new + 100 * new.abs().amax()) > 0.9


def test_the_order_of_cases_and_copies_of_the_whole_hardly_matter(known):
    rows = batches(1, 9, 10)[0].support[0].double()
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(known.statistics(rows), known.statistics(rows[order]))
    twice = known.statistics(torch.cat([rows, rows]))
    n = len(rows)
    shrunk = torch.tensor([2 * (n - 1) / (2 * n - 1), 1.0], dtype=torch.float64)
    torch.testing.assert_close(twice, known.statistics(rows) * shrunk)


def test_any_finite_support_has_finite_statistics(known):
    for rows in (torch.zeros(2, WIDTH), torch.full((3, WIDTH), 1e30), torch.eye(WIDTH) * -1e30):
        assert torch.isfinite(known.statistics(rows.double())).all()


def test_features_that_never_vary_are_no_reason_to_fail():
    from dataclasses import replace

    still = [replace(b, support=b.support * 0, query=b.query * 0) for b in batches(2, 1)]
    known = familiarity_of(still)
    assert all(bool(torch.isfinite(t).all()) for t in known.tensors().values())
    assert alarms(known, torch.zeros(5, 10, WIDTH)) == 0


def test_more_cases_leave_less_room(known):
    """The mean over many cases hardly differs between tasks, that of two does."""
    low, high = known.usual[STATISTICS.index("differences")][:, [0, -1]].T
    assert (high - low)[0] > 2 * (high - low)[-1]


def test_a_file_gives_back_what_was_put_in(known):
    again = familiarity_in({**known.tensors(), "mapper.x": torch.zeros(1)})
    rows = batches(1, 9, 10)[0].support[0].double()
    torch.testing.assert_close(again.statistics(rows), known.statistics(rows), rtol=1e-4, atol=1e-6)
    assert familiarity_in({"mapper.x": torch.zeros(1)}) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t.pop("familiarity.low"),
        lambda t: t.update({"familiarity.more": torch.zeros(1)}),
        lambda t: t.update({"familiarity.whiten": torch.zeros(WIDTH, WIDTH - 1)}),
        lambda t: t.update({"familiarity.usual": torch.zeros(2, 2)}),
        lambda t: t.update({"familiarity.width": torch.zeros(WIDTH)}),
        lambda t: t.update({"familiarity.centre": torch.full((WIDTH,), float("nan"))}),
    ],
)
def test_a_damaged_file_is_refused(known, damage):
    tensors = known.tensors()
    damage(tensors)
    with pytest.raises(IntegrityError, match="training tasks"):
        familiarity_in(tensors)
