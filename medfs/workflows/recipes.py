"""Which mapper adapts to a support set, and what stands by in case it does not suit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import UsageError
from medfs.core.features import Encoder
from medfs.core.mapping import Mapper
from medfs.export.mapper_file import MapperFile, read_mapper
from medfs.mappers.familiarity import Familiarity, familiarity_in
from medfs.mappers.mixture import Mixture
from medfs.storage.files import sha256
from medfs.storage.shipped import shipped_file
from medfs.workflows.components import (
    build_mapper,
    load_mapper,
    mapper_familiarity,
    mapper_identity,
)
from medfs.workflows.registries import MAPPERS

# The mapper that comes with medfs, and the rule that needs no meta-training.
SHIPPED, PLAIN = "medfs-base", "ridge"
AUTO = "auto"


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to adapt.

    Attributes:
        name: as a user calls it.
        identity: what a model remembers: the name, and the hash of φ where it was trained.
        mapper: S → θ.
        reason: why this one.
        fallback: takes over where cases that are held out clearly prefer it.
        familiarity: what the tasks of training looked like, where that is known.
    """

    name: str
    identity: str
    mapper: Mapper
    reason: str
    fallback: "Recipe | None" = None
    familiarity: Familiarity | None = None

    def at_site(self, rows: Float[Tensor, "case feature"]) -> "Recipe":
        """The same with a prior on features that fits a site.

        Args:
            rows: features of unlabelled cases.

        Raises:
            UsageError: the mapper has no such prior.
        """
        if not isinstance(self.mapper, Mixture):
            raise UsageError(
                f"{self.name} cannot use unlabelled scans",
                why="It takes the spread of features from the labelled ones alone",
                todo=f"Leave --unlabelled out, or use --mapper {SHIPPED}",
            )
        content = rows.double().contiguous().numpy().tobytes()
        return replace(
            self,
            mapper=self.mapper.at_site(rows),
            identity=f"{self.identity}-site-{sha256(content)[:8]}",
            reason=f"{self.reason}; spread of features from {len(rows)} unlabelled scans",
        )


def recipe(spec: str, encoders: Sequence[Encoder]) -> Recipe:
    """From what a user names to how it is done.

    Args:
        spec: `auto`, a mapper, `medfs-base`, or NAME=FILE of one that was meta-trained.
        encoders: whose features it reads.

    Raises:
        UsageError: no such mapper, or one that was trained for other features.
        ScanReadError, IntegrityError: a file that is not there, or is no mapper.
    """
    if spec not in (AUTO, SHIPPED):
        mapper, known = build_mapper(spec, encoders), mapper_familiarity(spec)
        identity = mapper_identity(spec)
        return Recipe(spec, identity, mapper, "named by the user", familiarity=known)
    trained = shipped_mapper()
    found = tuple(e.identity for e in encoders)
    if spec == AUTO and found != trained.encoders:
        reason = f"{SHIPPED} knows {' + '.join(trained.encoders)}, not {' + '.join(found)}"
        return Recipe(PLAIN, PLAIN, build_mapper(PLAIN, encoders), reason)
    mapper = load_mapper(trained, SHIPPED, encoders)
    plain = Recipe(PLAIN, PLAIN, build_mapper(PLAIN, encoders), "stands by")
    reason = "comes with medfs" if spec == AUTO else "named by the user"
    known = familiarity_in(trained.tensors)
    return Recipe(SHIPPED, shipped_identity(trained), mapper, reason, plain, known)


def spec_of(identity: str) -> str:
    """What to name so that a mapper with this identity adapts again.

    Raises:
        UsageError: it is not at hand: its φ is a file of the user's, or made from scans of a site.
    """
    if identity == shipped_identity(shipped_mapper()):
        return SHIPPED
    if identity in MAPPERS.entries():
        return identity
    raise UsageError(
        f"the mapper {identity} is not at hand",
        why="It was trained by a user, made from unlabelled scans, or comes with another medfs",
        todo="Run medfs adapt with the --mapper or --unlabelled that made the model",
    )


def shipped_identity(trained: MapperFile) -> str:
    """What models and the model card call it: the name, and the hash of φ."""
    return trained.identity.replace(trained.name, SHIPPED, 1)


def shipped_mapper() -> MapperFile:
    """φ that comes with medfs."""
    return read_mapper(shipped_file(f"{SHIPPED}.safetensors"))
