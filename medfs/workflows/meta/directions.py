"""Classes made of the features themselves: tasks whose rule no generator of volumes knows."""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

# How often a class lies along what varies most among the cases, many features at once: severe and
# mild disease differ like that. Otherwise few features define it. No class is a perfect function.
_LEADING = 0.4
_N_FEATURES = (1, 1, 2, 3, 5)
_NOISE = (0.2, 0.5, 0.8)
# Shares of the cases that are left out between the classes: real ones are often well apart.
_GAPS = (0.0, 0.3, 0.6)


def labels_by_direction(
    rows: Float[np.ndarray, "case feature"], n_way: int, rng: np.random.Generator
) -> Int[np.ndarray, "case"]:
    """Equally large classes along a random direction of standardised features, with noise.

    Cases between the classes may be left out.

    What the mapper learns from such tasks: how features go together in real regions, and that any
    of them may be what matters.

    Args:
        rows: features of cases that have something in common, such as one scene.
        n_way: number of classes; cases that are left out get −1.
        rng: draws the direction and the noise.
    """
    spread = rows.std(axis=0)
    # A feature that is constant here cannot tell anything apart.
    varying = np.flatnonzero(spread > 1e-6 * np.abs(rows).max(axis=0).clip(1e-12))
    z = (rows[:, varying] - rows[:, varying].mean(axis=0)) / spread[varying]
    leading = rng.random() < _LEADING
    score = z @ (_leading_direction(z, rng) if leading else _sparse_direction(z.shape[1], rng))
    score = score / max(float(score.std()), 1e-12)
    score = score + rng.choice(_NOISE) * rng.normal(size=len(score))
    return _along(score, n_way, float(rng.choice(_GAPS)))


def _sparse_direction(n_features: int, rng: np.random.Generator) -> NDArray[np.float64]:
    direction = np.zeros(n_features)
    chosen = rng.permutation(n_features)[: int(rng.choice(_N_FEATURES))]
    direction[chosen] = rng.normal(size=len(chosen))
    return direction


def _leading_direction(
    z: Float[np.ndarray, "case feature"], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Random, but each principal axis by its standard deviation, or by its third power."""
    direction = z.T @ rng.normal(size=len(z))
    return z.T @ (z @ direction) if rng.random() < 0.5 else direction


def labels_by_chance(n_cases: int, n_way: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Equally large classes that mean nothing: from these a mapper learns to say so."""
    return _along(rng.normal(size=n_cases), n_way, gap=0.0)


def _along(score: Float[np.ndarray, "case"], n_way: int, gap: float) -> NDArray[np.int64]:
    """Classes of neighbouring scores, from the lowest to the highest."""
    order = np.argsort(score)
    size = int(len(score) * (1 - gap)) // n_way
    labels = np.full(len(score), -1, dtype=np.int64)
    for way in range(n_way):
        first = round(way * (len(score) - size) / (n_way - 1))
        labels[order[first : first + size]] = way
    return labels
