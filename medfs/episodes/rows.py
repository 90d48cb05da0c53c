"""One side of an episode as rows of a table of items, and such sides stacked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from medfs.core.episodes import Episode
from medfs.core.errors import EpisodeError, UsageError

Stacked = tuple[
    Float[Tensor, "task case *item"], Int[Tensor, "task case"], Float[Tensor, "task case"]
]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The cases of one side of one task.

    Attributes:
        items: (case,), row of each case in the table of items.
        labels: (case,), 0 … n_way − 1.
        weights: (case,), sum to one.
        n_way: number of classes.
    """

    items: NDArray[np.int64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    n_way: int


def stack_items(
    case_ids: Sequence[str], items_of: Mapping[str, Float[Tensor, "*item"]]
) -> Float[Tensor, "row *item"]:
    """The items of the cases, and behind them a row of zeros for padding.

    Raises:
        UsageError: items of different shapes or types.
    """
    items = [items_of[case] for case in case_ids]
    first = items[0]
    for case, item in zip(case_ids, items, strict=True):
        same = item.shape == first.shape and item.dtype == first.dtype
        if not (same and item.is_floating_point()):
            raise UsageError(
                "the features of all cases must have one shape and one floating-point type",
                case=case,
                why=f"It has {tuple(item.shape)} {item.dtype}, "
                f"case {case_ids[0]} has {tuple(first.shape)} {first.dtype}",
                todo="Embed all cases with the same encoders",
            )
    return torch.stack([*items, torch.zeros_like(first)])


def stack_rows(items: Float[Tensor, "row *item"], sides: Sequence[Rows]) -> Stacked:
    """Sides of many tasks as items, labels and weights; short ones are padded with weight zero."""
    longest = max(len(side.items) for side in sides)
    index = np.full((len(sides), longest), len(items) - 1, dtype=np.int64)
    labels = np.zeros((len(sides), longest), dtype=np.int64)
    weights = np.zeros((len(sides), longest))
    for task, side in enumerate(sides):
        n = len(side.items)
        index[task, :n], labels[task, :n], weights[task, :n] = side.items, side.labels, side.weights
    rows = torch.from_numpy(index).to(items.device)
    chosen = items.index_select(0, rows.flatten())
    return (
        chosen.reshape(*rows.shape, *items.shape[1:]),
        torch.from_numpy(labels).to(items.device),
        torch.from_numpy(weights).to(items.device, items.dtype),
    )


def listed_rows(
    episode: Episode,
    number: Mapping[str, int],
    patient_of: Mapping[str, str],
    class_names: Sequence[str],
    place: int,
) -> tuple[Rows, Rows]:
    """Support and query of the episode at `place` of a list; `number` is the row of each case.

    Raises:
        EpisodeError: a class that is not named, or missing on a side; a patient on both sides.
    """
    names = _names(episode, class_names, f"episode {place}")
    shared = _patients(episode.support, patient_of) & _patients(episode.query, patient_of)
    if shared:
        raise EpisodeError(
            f"{len(shared)} patient(s) are in support and query",
            case=f"episode {place}",
            why="For example " + ", ".join(sorted(shared)[:3]),
            todo="Draw the episodes by patient",
        )
    return (
        _side(episode.support, names, number, patient_of),
        _side(episode.query, names, number, patient_of),
    )


def _names(episode: Episode, class_names: Sequence[str], where: str) -> list[str]:
    found = {name for side in (episode.support, episode.query) for name in side}
    unseen = sorted(found - set(class_names))
    if unseen:
        raise EpisodeError(
            f"{len(unseen)} of its {len(found)} classes are not known: {', '.join(unseen)}",
            case=where,
            why=f"Known are {', '.join(class_names)}",
            todo="Name all classes of the episodes",
        )
    names = [name for name in class_names if name in found]
    for kind, side in (("support", episode.support), ("query", episode.query)):
        counts = {name: len(side.get(name, ())) for name in names}
        if min(counts.values(), default=0) == 0:
            table = ", ".join(f"{count} of {name!r}" for name, count in counts.items())
            raise EpisodeError(
                f"its {kind} lacks a case of some class",
                case=where,
                why=f"It has {table or 'no classes'}",
                todo="Leave this episode out, or draw it with more cases",
            )
    return names


def _patients(side: Mapping[str, Sequence[str]], patient_of: Mapping[str, str]) -> set[str]:
    return {patient_of[case] for cases in side.values() for case in cases}


def _side(
    side: Mapping[str, Sequence[str]],
    names: Sequence[str],
    number: Mapping[str, int],
    patient_of: Mapping[str, str],
) -> Rows:
    weights = []
    for name in names:
        patients = [patient_of[case] for case in side[name]]
        each = 1.0 / (len(names) * len(set(patients)))
        weights += [each / patients.count(patient) for patient in patients]
    items = [number[case] for name in names for case in side[name]]
    labels = [label for label, name in enumerate(names) for _ in side[name]]
    return Rows(np.array(items), np.array(labels), np.array(weights), len(names))
