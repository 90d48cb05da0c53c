"""Kinds of tasks, and which factors can be seen in each: only those may define its classes."""

from dataclasses import dataclass
from typing import Literal

from medfs.core.errors import EpisodeError
from medfs.synthesis.factors import ALL_FACTORS
from medfs.synthesis.modalities import ANGIO_CT, LUNG_CT, MR, PET, SOFT_CT, Modality

Structure = Literal["lesion", "organ", "vessel"]
_FORM = ("size", "elongation", "irregularity", "asymmetry")
_INSIDE = ("texture_scale", "texture_amplitude", "contrast", "rim")
_VESSEL = ("calibre", "bulges", "tortuosity", "branches")


@dataclass(frozen=True, slots=True)
class Scene:
    """One kind of task.

    Attributes:
        name: as in `TaskPlan.scenes`.
        structure: what the region is.
        modality: None for a volume that is the shape itself.
        field_mm: side of the field of view.
        size: range of the radius of the sphere of the region's volume, or of a vessel's calibre;
            share of the field.
        visible: factors that may define classes.
    """

    name: str
    structure: Structure
    modality: Modality | None
    field_mm: float
    size: tuple[float, float]
    visible: tuple[str, ...]


_SCENES = (
    Scene("lesion-ct", "lesion", LUNG_CT, 48, (0.1, 0.19), (*_FORM, *_INSIDE, "count", "site")),
    Scene("lesion-soft", "lesion", SOFT_CT, 48, (0.1, 0.19), (*_FORM, *_INSIDE, "count", "site")),
    Scene("lesion-mr", "lesion", MR, 48, (0.1, 0.19), (*_FORM, *_INSIDE, "count", "site")),
    Scene("uptake-pet", "lesion", PET, 96, (0.15, 0.24), (*_FORM, *_INSIDE, "count", "site")),
    Scene("vessel-ct", "vessel", ANGIO_CT, 48, (0.032, 0.08), (*_VESSEL, "contrast")),
    Scene("vessel-mr", "vessel", MR, 48, (0.032, 0.08), (*_VESSEL, "contrast")),
    Scene("vessel-shape", "vessel", None, 48, (0.032, 0.08), _VESSEL),
    Scene("organ-ct", "organ", SOFT_CT, 100, (0.18, 0.28), (*_FORM, *_INSIDE)),
    Scene("organ-mr", "organ", MR, 100, (0.18, 0.28), (*_FORM, *_INSIDE)),
    Scene("organ-pet", "organ", PET, 120, (0.18, 0.28), (*_FORM, *_INSIDE)),
    Scene("organ-shape", "organ", None, 100, (0.18, 0.28), _FORM),
    Scene("shape", "lesion", None, 48, (0.13, 0.24), (*_FORM, "count")),
)
SCENES = {scene.name: scene for scene in _SCENES}
ALL_SCENES = tuple(SCENES)


def scene_of(name: str) -> Scene:
    """The scene of that name.

    Raises:
        EpisodeError: there is none.
    """
    if name not in SCENES:
        raise EpisodeError(
            f"there is no scene {name!r}",
            why=f"The scenes are {', '.join(ALL_SCENES)}",
            todo="Choose among these",
        )
    return SCENES[name]


def usable_factors(scene: Scene, factors: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `factors` that can be seen in the scene.

    Raises:
        EpisodeError: a factor is unknown, or none can be seen.
    """
    unknown = set(factors) - set(ALL_FACTORS)
    if unknown:
        raise EpisodeError(
            f"unknown factors: {', '.join(sorted(unknown))}",
            why=f"The factors are {', '.join(ALL_FACTORS)}",
            todo="Choose among these",
        )
    found = tuple(name for name in scene.visible if name in factors)
    if not found:
        raise EpisodeError(
            f"no class can be defined in the scene {scene.name!r}",
            why=f"It shows {', '.join(scene.visible)}; asked for were {', '.join(factors)}",
            todo="Leave the scene out, or add one of its factors",
        )
    return found
