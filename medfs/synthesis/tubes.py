"""Vessels: chains of capsules that wind, branch and bulge."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.synthesis.dice import Dice
from medfs.synthesis.space import Fields, Space, present


@dataclass(frozen=True, slots=True, eq=False)
class Capsules:
    """All points within a radius of a line segment.

    Attributes:
        start: (case, item, 3), mm.
        heading: (case, item, 3), unit vectors.
        length: (case, item), mm; zero for a ball.
        radius: (case, item), mm; zero where a case has fewer.
    """

    start: Float[Tensor, "case item 3"]
    heading: Float[Tensor, "case item 3"]
    length: Float[Tensor, "case item"]
    radius: Float[Tensor, "case item"]


def join(*parts: Capsules) -> Capsules:
    """Several sets in one."""
    return Capsules(
        torch.cat([p.start for p in parts], dim=1),
        torch.cat([p.heading for p in parts], dim=1),
        torch.cat([p.length for p in parts], dim=1),
        torch.cat([p.radius for p in parts], dim=1),
    )


def depth(capsules: Capsules, space: Space) -> Fields:
    """How deep each voxel lies in the deepest capsule, mm; exact on the surface, negative outside.

    (r² − d²) / 2r needs no root of the distance d from the axis. Every case has the first capsule;
    cheapest where cases with many come first.
    """
    deepest = _one(capsules, 0, slice(None), space)
    for item in range(1, capsules.radius.shape[1]):
        rows = present(capsules.radius[:, item] > 0)
        if rows is not None:
            found = _one(capsules, item, rows, space)
            if isinstance(rows, slice):
                torch.maximum(deepest[rows], found, out=deepest[rows])
            else:
                deepest[rows] = torch.maximum(deepest[rows], found)
    return deepest


def _one(
    capsules: Capsules, item: int, rows: Tensor | slice, among: Space
) -> Float[Tensor, "some x y z"]:
    space = among.only(rows)
    start, heading = capsules.start[rows, item], capsules.heading[rows, item]
    radius = capsules.radius[rows, item].clamp_min(1e-3)
    # In units of √2r: |p − nearest|² = |p − start|² − nearest · (2 · along − nearest).
    unit = (2 * radius).rsqrt()
    along = space.along(heading * unit[:, None], -(start * heading).sum(dim=1) * unit)
    ends = (capsules.length[rows, item] * unit)[:, None, None, None]
    nearest = torch.minimum(along, ends).clamp_min_(0)
    across = torch.sub(nearest, along, alpha=2, out=along)
    inside = space.squared(start, -1 / (2 * radius), radius / 2)
    return inside.addcmul_(nearest, across, value=-1)


def walk(
    start: Float[Tensor, "case 3"],
    heading: Float[Tensor, "case 3"],
    turn: Float[Tensor, "case"],
    step: Float[Tensor, "case"],
    n_steps: int,
    dice: Dice,
) -> tuple[Float[Tensor, "case point 3"], Float[Tensor, "case step 3"]]:
    """A path of straight steps: its points, and the heading of each step.

    Args:
        start: first point, mm.
        heading: first direction.
        turn: tangent of the angle between two steps.
        step: length of a step, mm.
        n_steps: number of steps.
        dice: where the path turns to.
    """
    points, headings = [start], []
    for _ in range(n_steps):
        side = torch.linalg.cross(heading, dice.directions(len(start)), dim=1)
        side = torch.nn.functional.normalize(side, dim=1)
        heading = torch.nn.functional.normalize(heading + turn[:, None] * side, dim=1)
        headings.append(heading)
        points.append(points[-1] + step[:, None] * heading)
    return torch.stack(points, dim=1), torch.stack(headings, dim=1)
