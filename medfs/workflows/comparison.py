"""Mappers that answered the same queries, in pairs."""

from collections.abc import Mapping
from typing import Any

from medfs.metrics.paired import SMALLER_IS_BETTER, Difference, Replicates


def compare(answered: Mapping[str, Replicates]) -> list[dict[str, Any]]:
    """The first mapper against every other one.

    Returns:
        Per pair: `first`, `second`, for each metric the mean of first − second over episodes with
        `low` and `high` (95 %, over patients), and under `clearly_better` the name of the mapper
        that wins the metric, None where the interval holds zero.
    """
    first, *others = answered
    pairs = []
    for second in others:
        gaps = answered[first].minus(answered[second])
        better = {metric: _winner(metric, gap, first, second) for metric, gap in gaps.items()}
        pairs.append(
            {
                "first": first,
                "second": second,
                **{metric: gap.as_dict() for metric, gap in gaps.items()},
                "clearly_better": better,
            }
        )
    return pairs


def _winner(metric: str, gap: Difference, first: str, second: str) -> str | None:
    if not gap.clear:
        return None
    return second if (gap.mean > 0) == (metric in SMALLER_IS_BETTER) else first
