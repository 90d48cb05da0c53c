"""The ways to read a support set, of which `feature_choice` takes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from medfs.core.errors import UsageError
from medfs.core.features import Encoder, Features
from medfs.workflows.recipes import AUTO, Recipe, recipe

HOME, LAYOUT = "radiomics", "layout"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A way to read cases.

    Attributes:
        encoders: whose features the recipe reads, in that order.
        recipe: the mapper for them, and what stands by.
    """

    encoders: tuple[Encoder, ...]
    recipe: Recipe

    @property
    def identities(self) -> tuple[str, ...]:
        return tuple(e.identity for e in self.encoders)

    def at_site(self, features: Features) -> "Candidate":
        """The same with a prior on its features that fits a site; see `Recipe.at_site`."""
        rows = features.pick(self.identities).joined()
        return replace(self, recipe=self.recipe.at_site(rows))


def extractors(features: Sequence[str], weights: Mapping[str, Any]) -> tuple[str, ...]:
    """The encoders that are needed: those named, or for `auto` those of all candidates.

    Raises:
        UsageError: `auto` among other names.
    """
    if AUTO not in features:
        return tuple(features)
    if len(features) > 1:
        raise UsageError(
            "--features auto stands alone",
            why=f"Given: {', '.join(features)}",
            todo="Leave the other names out; backbones with --weights are among the candidates",
        )
    return (HOME, LAYOUT, *sorted(set(weights) - {HOME, LAYOUT}))


def methods(
    mappers: Sequence[str], features: Sequence[str], encoders: Sequence[Encoder]
) -> dict[str, tuple[Candidate, ...]]:
    """`candidates` of every mapper, by its name; UsageError if two mappers are the same."""
    found: dict[str, tuple[Candidate, ...]] = {}
    for spec in mappers:
        made = candidates(features, encoders, spec)
        name = made[0].recipe.name
        if name in found:
            raise UsageError(f"{name} is given twice", why="auto stands for it here")
        found[name] = made
    return found


def candidates(
    features: Sequence[str], encoders: Sequence[Encoder], mapper: str
) -> tuple[Candidate, ...]:
    """All ways to read cases, the one at home first; a single one where the user chose.

    Args:
        features: as the user gave them.
        encoders: those of `extractors`, in that order.
        mapper: as the user gave it. One that was meta-trained reads the features that it knows.

    Raises:
        UsageError: the mapper knows other features than these.
    """
    if AUTO not in features:
        return (Candidate(tuple(encoders), recipe(mapper, encoders)),)
    home, *others = encoders
    sets = [(home,), *((other,) for other in others), *((home, other) for other in others)]
    fitting, error = [], None
    for chosen in sets:
        try:
            fitting.append(Candidate(chosen, recipe(mapper, chosen)))
        except UsageError as problem:
            error = error or problem
    if error is not None and not fitting:
        raise error
    return tuple(fitting)


def at_home(asked: Sequence[Candidate], finding_is_known: bool) -> tuple[Candidate, ...]:
    """The same with the one first that is kept unless another is clearly better.

    Radiomics describe a region. Where a plain rule took it for the finding it often is something
    else; then it is radiomics and layout together, which are hardly worse where the rule was right.

    Args:
        asked: of `candidates`.
        finding_is_known: the region was drawn, is the shape itself, or was found by a network that
            was trained to; see `Preset.knows_the_finding`.
    """
    both = [c for c in asked if tuple(e.name for e in c.encoders) == (HOME, LAYOUT)]
    if finding_is_known or not both:
        return tuple(asked)
    return (both[0], *(c for c in asked if c is not both[0]))
