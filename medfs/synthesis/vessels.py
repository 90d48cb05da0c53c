"""A vessel as a region: a winding trunk with branches and a bulge."""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.synthesis import tubes
from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import Positions, between

MOST_BRANCHES = 3
_TRUNK_STEPS, _BRANCH_STEPS = 6, 3
_BRANCH_CALIBRE, _BRANCH_LENGTH = 0.75, 0.5
# The largest bulge holds this share of the volume of a vessel.
_BULGE = 0.6


def draw_vessel(
    calibre: Float[Tensor, "case"], positions: Positions, field_mm: float, dice: Dice
) -> tuple[tubes.Capsules, Float[Tensor, "case"]]:
    """A winding trunk with up to three branches and a bulge.

    Returns:
        Its parts, and its volume in mm³, which depends on calibre and length alone.
    """
    n = len(calibre)
    volume = pi * calibre**2 * field_mm * dice.uniform(0.65, 0.95, n)
    # Most vessels have a small bulge and no branch unless these define the class.
    swollen = between(positions["bulges"], 0.0, _BULGE, power=2) * volume
    branches = ((MOST_BRANCHES + 1) * 0.999 * positions["branches"] ** 4).floor()
    # What bulge and branches take is missing in the length of the trunk.
    per_branch = _BRANCH_LENGTH * _BRANCH_CALIBRE**2
    length = (volume - 0.7 * swollen) / (pi * calibre**2) / (1 + per_branch * branches)
    turn = between(positions["tortuosity"], 0.05, 1.7)
    middle = torch.zeros(n, 3, device=dice.device)
    points, headings = tubes.walk(
        middle, dice.directions(n), turn, length / _TRUNK_STEPS, _TRUNK_STEPS, dice
    )
    jitter = dice.uniform(-0.05, 0.05, n, 3) * field_mm
    points = points - points.mean(dim=1, keepdim=True) + jitter[:, None]
    trunk = _chain(points, headings, length / _TRUNK_STEPS, calibre)
    ball = _bulge(points, headings, swollen, dice)
    side = _branches(points, headings, turn, length, calibre, branches, dice)
    return tubes.join(trunk, ball, *side), volume


def _chain(
    points: Float[Tensor, "case point 3"],
    headings: Float[Tensor, "case step 3"],
    step: Float[Tensor, "case"],
    radius: Float[Tensor, "case"],
) -> tubes.Capsules:
    steps = headings.shape[1]
    lengths, radii = (v[:, None].expand(-1, steps) for v in (step, radius))
    return tubes.Capsules(points[:, :-1], headings, lengths, radii)


def _bulge(
    points: Float[Tensor, "case point 3"],
    headings: Float[Tensor, "case step 3"],
    volume: Float[Tensor, "case"],
    dice: Dice,
) -> tubes.Capsules:
    """A ball on one side of the trunk, somewhere between its ends."""
    radius = (3 * volume / (4 * pi)) ** (1 / 3)
    at = 2 + dice.integers(_TRUNK_STEPS - 3, len(points))
    row = torch.arange(len(points), device=points.device)
    heading = headings[row, at]
    side = torch.linalg.cross(heading, dice.directions(len(points)), dim=1)
    side = torch.nn.functional.normalize(side, dim=1)
    place = points[row, at] + 0.4 * radius[:, None] * side
    none = torch.zeros_like(radius)[:, None]
    return tubes.Capsules(place[:, None], heading[:, None], none, radius[:, None])


def _branches(
    points: Float[Tensor, "case point 3"],
    headings: Float[Tensor, "case step 3"],
    turn: Float[Tensor, "case"],
    length: Float[Tensor, "case"],
    calibre: Float[Tensor, "case"],
    count: Float[Tensor, "case"],
    dice: Dice,
) -> list[tubes.Capsules]:
    """Side branches: they leave the trunk at about 60 degrees, at points of their own."""
    found = []
    step = length * _BRANCH_LENGTH / _BRANCH_STEPS
    at = dice.uniform(0, 1, len(points), _TRUNK_STEPS - 1).argsort(dim=1) + 1
    row = torch.arange(len(points), device=points.device)
    for branch in range(MOST_BRANCHES):
        start, heading = points[row, at[:, branch]], headings[row, at[:, branch]]
        side = torch.linalg.cross(heading, dice.directions(len(points)), dim=1)
        heading = 0.5 * heading + 0.87 * torch.nn.functional.normalize(side, dim=1)
        path = tubes.walk(start, heading, turn * 0.7, step, _BRANCH_STEPS, dice)
        radius = calibre * _BRANCH_CALIBRE * (count > branch)
        found.append(_chain(*path, step, radius))
    return found
