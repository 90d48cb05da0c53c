"""Separable fields, slices and surfaces against what they replace: sums over all voxels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from medfs.synthesis import blobs, tubes
from medfs.synthesis.dice import Dice
from medfs.synthesis.space import Space, gaussian, separable, slices, unit_noise

SHAPE = (9, 12, 7)


def dice(seed=0):
    return Dice.of(torch.Generator().manual_seed(seed))


def space(seed=0, shape=SHAPE, n=3):
    return Space(shape, dice(seed).uniform(0.6, 2.0, n, 3))


def places(grid):
    """(case, x, y, z, 3): every voxel's position."""
    axes = grid.axes
    return torch.stack(
        [
            torch.stack(torch.meshgrid(*(a[i] for a in axes), indexing="ij"), dim=-1)
            for i in range(len(grid))
        ]
    )


def test_positions_are_centred_and_in_mm():
    x, y, z = Space((4, 3, 2), torch.tensor([[1.0, 2.0, 3.0]])).axes
    torch.testing.assert_close(x[0], torch.tensor([-1.5, -0.5, 0.5, 1.5]))
    torch.testing.assert_close(y[0], torch.tensor([-2.0, 0.0, 2.0]))
    torch.testing.assert_close(z[0], torch.tensor([-1.5, 1.5]))


def test_linear_and_quadratic_forms_are_those_of_all_positions():
    grid, normal, offset = space(), dice(1).normal(3, 3), dice(2).normal(3)
    where = places(grid)
    linear = torch.einsum("nxyzi,ni->nxyz", where, normal) + offset[:, None, None, None]
    torch.testing.assert_close(grid.along(normal, offset), linear, atol=1e-4, rtol=1e-4)
    squared = (where - normal[:, None, None, None]).square().sum(dim=-1)
    torch.testing.assert_close(grid.squared(normal), squared, atol=1e-3, rtol=1e-4)


def test_separable_is_the_sum_over_all_voxels():
    fields = dice().normal(2, 3, 4, 5)
    a, b, c = dice(1).normal(2, 6, 3), dice(2).normal(2, 2, 4), dice(3).normal(2, 7, 5)
    expected = torch.einsum("nijk,nxi,nyj,nzk->nxyz", fields, a, b, c)
    torch.testing.assert_close(separable(fields, (a, b, c)), expected, atol=1e-4, rtol=1e-4)


def test_a_gaussian_matrix_blurs_as_scipy_does():
    line = np.zeros(41)
    line[[17, 20, 26]] = 1, -0.5, 2
    matrix = gaussian(41, torch.tensor([1.0, 2.5]))
    for row, sigma in zip(matrix.double().numpy(), (1.0, 2.5), strict=True):
        np.testing.assert_allclose(row @ line, gaussian_filter1d(line, sigma), atol=1e-3)


def test_interpolated_fields_keep_constants_and_slopes():
    grid = space(shape=(16, 13, 12))
    coarse = grid.coarser()
    normal, offset = dice(1).normal(3, 3), torch.ones(3)
    refined = grid.refine(coarse.along(normal, offset))
    exact = grid.along(normal, offset)
    inside = (slice(None), *(slice(2, -2),) * 3)
    spread = exact.flatten(1).std(dim=1)[:, None, None, None]
    assert float(((refined - exact) / spread).abs()[inside].max()) < 0.12


def test_white_noise_keeps_unit_variance():
    grid = space(shape=(24, 24, 24))
    x, y, z = (gaussian(n, torch.tensor([0.7, 1.5, 2.5])) for n in grid.shape)
    noise = separable(dice(4).normal(3, 24, 24, 24), unit_noise((x, y, z)))
    torch.testing.assert_close(
        noise.flatten(1).square().mean(dim=1), torch.ones(3), atol=0.25, rtol=0
    )


@given(st.integers(4, 40), st.floats(1, 6), st.floats(0, 1))
def test_slices_average_and_keep_constants(n, thickness, phase):
    matrix = slices(n, torch.tensor([thickness]), torch.tensor([phase]))[0]
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(n), atol=1e-4, rtol=0)
    assert float(matrix.min()) >= 0


def test_slices_of_one_voxel_change_nothing_and_thick_ones_are_means():
    whole = slices(6, torch.tensor([1.0]), torch.tensor([0.5]))[0]
    torch.testing.assert_close(whole, torch.eye(6), atol=1e-5, rtol=0)
    line = torch.tensor([0.0, 2, 4, 6, 8, 10])
    pairs = slices(6, torch.tensor([2.0]), torch.tensor([0.5]))[0] @ line
    # Means 1, 5, 9 lie at ½, 2½, 4½; between them values are interpolated.
    torch.testing.assert_close(pairs, torch.tensor([1.0, 2, 4, 6, 8, 9]), atol=1e-4, rtol=0)


def test_a_smooth_blob_is_an_ellipsoid():
    grid, roll = space(shape=(14, 13, 12)), dice(1)
    stretch = torch.exp(0.3 * roll.normal(3, 1, 3))
    rotation, centre = roll.rotations(3, 1), roll.normal(3, 1, 3)
    radius = torch.tensor([[4.0], [5.0], [6.0]])
    body = blobs.Blobs(centre, blobs.frames(rotation, stretch), radius)
    # Reference: rotate, divide by the axes, whose product is one, compare with the radius.
    axes = stretch / stretch.prod(dim=2, keepdim=True) ** (1 / 3)
    turned = torch.einsum(
        "nxyzi,nji->nxyzj", places(grid) - centre[:, :, None, None], rotation[:, 0]
    )
    deep = radius[..., None, None] - (turned / axes[:, :, None, None]).norm(dim=-1)
    torch.testing.assert_close(blobs.depth(body, grid), deep, atol=1e-3, rtol=1e-3)


def test_bumps_are_looked_up_in_the_right_direction():
    n, grid, roll = 2, Space((21, 21, 21), torch.ones(2, 3)), dice(3)
    bumps = blobs.Bumps(
        roll.directions(n, 3), torch.full((n, 3), 4.0), roll.uniform(0.2, 0.8, n, 3)
    )
    frame = blobs.frames(roll.rotations(n, 1), torch.ones(n, 1, 3))
    body = blobs.Blobs(torch.zeros(n, 1, 3), frame, torch.full((n, 1), 6.0), bumps)
    where = places(grid)
    framed = torch.einsum("nij,nxyzj->nxyzi", frame[:, 0], where)
    distance = framed.norm(dim=-1)
    unit = framed / distance[..., None].clamp_min(1e-6)
    exponent = torch.einsum("nbi,nxyzi->nbxyz", bumps.direction, unit) - 1
    raised = 1 + (bumps.height[..., None, None, None] * (4 * exponent).exp()).sum(dim=1)
    # The scale of the table is one factor per case.
    found = blobs.depth(body, grid) + distance
    ratio = (found / raised).flatten(1)
    outside = distance.flatten(1) > 3
    for case in range(n):
        values = ratio[case][outside[case]]
        assert float(values.std() / values.mean()) < 0.03


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_a_fitted_volume_is_the_one_asked_for(seed, irregularity, asymmetry):
    roll = dice(seed)
    grid = Space((28, 28, 28), torch.full((1, 3), 1.0))
    bumps = blobs.draw_bumps(torch.tensor([irregularity]), torch.tensor([asymmetry]), roll)
    frame = blobs.frames(roll.rotations(1, 1), torch.ones(1, 1, 3))
    body = blobs.Blobs(torch.zeros(1, 1, 3), frame, torch.full((1, 1), 5.0), bumps)
    volume = torch.tensor([4 / 3 * torch.pi * 5**3])
    deep, share = blobs.fit_volume(blobs.depth(body, grid), volume, grid)
    assert float(share.sum()) == pytest.approx(float(volume), rel=0.02)
    assert float((deep > 0).sum()) == pytest.approx(float(volume), rel=0.05)


def test_depth_in_a_capsule_is_exact_on_its_surface():
    grid = Space((30, 30, 30), torch.full((1, 3), 0.5))
    start, heading = torch.tensor([[[-3.0, 0, 1]]]), torch.tensor([[[1.0, 0, 0]]])
    lengths, radius = torch.tensor([[5.0]]), torch.tensor([[2.0]])
    deep = tubes.depth(tubes.Capsules(start, heading, lengths, radius), grid)
    offset = places(grid) - start
    along = offset[..., 0].clamp(0, 5)
    distance = (offset - along[..., None] * heading).norm(dim=-1)
    assert bool(((deep > 0) == (distance < 2))[(distance - 2).abs() > 1e-4].all())
    near = (distance - 2).abs() < 0.3
    torch.testing.assert_close(deep[near], 2 - distance[near], atol=0.03, rtol=0)


def test_a_path_has_the_steps_and_turns_asked_for():
    roll, turn = dice(), torch.tensor([0.0, 0.5, 1.0])
    points, headings = tubes.walk(
        torch.zeros(3, 3), roll.directions(3), turn, torch.full((3,), 2.0), 5, roll
    )
    steps = points.diff(dim=1)
    torch.testing.assert_close(steps.norm(dim=2), torch.full((3, 5), 2.0))
    torch.testing.assert_close(steps / 2, headings)
    cosines = (headings[:, 1:] * headings[:, :-1]).sum(dim=2)
    expected = torch.cos(torch.atan(turn))[:, None].expand(-1, 4)
    torch.testing.assert_close(cosines, expected, atol=1e-5, rtol=0)


def test_rotations_turn_and_do_not_mirror():
    turns = dice().rotations(50)
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(50, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(50))
    # Uniform over all rotations: every entry has mean zero and mean square a third.
    many = dice(1).rotations(4000)
    assert float(many.mean(dim=0).abs().max()) < 0.04
    torch.testing.assert_close(
        many.square().mean(dim=0), torch.full((3, 3), 1 / 3), atol=0.03, rtol=0
    )
