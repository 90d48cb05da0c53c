"""Families of tasks as a configuration names them; `sources.py` draws from them."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid", strict=True)
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Ways = Annotated[int, Field(ge=2)]


@dataclass(frozen=True, config=STRICT)
class GaussianTasks:
    """Features with a known generative model (`medfs.synthesis.gaussian`).

    Attributes:
        family: seed of the family's variances.
        n_way, n_shot: of a batch of tasks, drawn from these.
        weight: of this source among all.
    """

    kind: Literal["gaussian"]
    n_features: Count = 32
    family: Annotated[int, Field(ge=0)] = 0
    n_way: tuple[Ways, ...] = (5,)
    n_shot: tuple[Count, ...] = (1, 2, 5, 10)
    n_query: Count = 15
    weight: Positive = 1.0


@dataclass(frozen=True, config=STRICT)
class SyntheticTasks:
    """Synthetic volumes (`medfs.synthesis.tasks`).

    Attributes:
        kind: `synthetic`: image and region, for an encoder that is trained along.
            `synthetic-features`: what frozen feature extractors make of a pool of tasks, encoded
            once; tasks are then drawn from the pool, with classes and cases of their own.
        shape: voxels along x, y, z.
        scenes, factors: all unless given.
        n_way, n_shot: of a batch of tasks, drawn from these.
        n_class_factors, separation, label_noise, imbalance, size_spread: see `TaskPlan`.
        labels: of pooled tasks. `factors`: the classes that were drawn; `directions`: random sparse
            directions of the features themselves; `none`: chance, for a mapper has to know what
            that looks like.
        shapes: folder of label maps (NIfTI) whose anatomy surrounds the findings; relative to where
            the command runs.
        pool: number of tasks of the pool, with the most classes, shots and queries.
        cases: of each class of a pooled task; the most shots and queries unless given.
        seed: of the pool.
        weight: of this source among all.
    """

    kind: Literal["synthetic", "synthetic-features"]
    shape: tuple[Count, Count, Count] = (24, 24, 24)
    scenes: tuple[str, ...] | None = None
    factors: tuple[str, ...] | None = None
    n_way: tuple[Ways, ...] = (2, 3)
    n_shot: tuple[Count, ...] = (1, 2, 5, 10)
    n_query: Count = 5
    n_class_factors: tuple[Count, Count] = (1, 3)
    separation: tuple[Positive, Positive] = (1.5, 4.0)
    label_noise: tuple[Share, Share] = (0.0, 0.0)
    imbalance: Share = 0.0
    size_spread: tuple[Share, Share] = (0.0, 0.0)
    labels: Literal["factors", "directions", "none"] = "factors"
    shapes: str | None = None
    pool: Count = 200
    cases: Count | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    weight: Positive = 1.0


@dataclass(frozen=True, config=STRICT)
class CohortTasks:
    """Episodes of labelled cases, such as an openly licensed cohort.

    Attributes:
        path: folder per class, or a manifest; relative to where the command runs.
        design: of the episodes: a standard's name, or n_way, n_shot, n_query, unequal.
        disjoint: whether training and validation share no patients, or no classes either.
        side: which of the two sides the episodes come from.
        share: of the patients or classes, those on the side `train`.
        preset: of the scans, or `auto`.
        label_column: of a manifest.
        weight: of this source among all.
    """

    kind: Literal["cohort"]
    path: str
    design: str | dict[str, Any]
    disjoint: Literal["patients", "classes"] = "patients"
    side: Literal["train", "validation"] = "train"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.7
    preset: str = "auto"
    label_column: str | None = None
    weight: Positive = 1.0


Source = Annotated[GaussianTasks | SyntheticTasks | CohortTasks, Field(discriminator="kind")]
