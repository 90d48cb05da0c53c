"""A meta-trained mapper as one file: φ, what it is, on which features, and how it was trained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from medfs.core.errors import IntegrityError, ScanReadError
from medfs.storage.described import described_from_bytes, described_to_bytes
from medfs.storage.files import sha256, write_bytes

_KIND, _VERSION = "medfs mapper", 1
_TYPES = {"name": str, "settings": dict, "encoders": list, "end_to_end": bool, "training": dict}


@dataclass(frozen=True, slots=True, eq=False)
class MapperFile:
    """Content of the file.

    Attributes:
        name: of the mapper, as registered.
        settings: how it was built, besides the number of features.
        encoders: identities of the feature extractors it was trained on, in order.
        end_to_end: the encoder descends or is modulated for each task, so that it cannot be had
            as a frozen extractor.
        training: what it was trained on and how well it did; plain data.
        tensors: `mapper.*`, and `encoder.*` where the encoder was trained with it.
    """

    name: str
    settings: dict[str, Any]
    encoders: tuple[str, ...]
    end_to_end: bool
    training: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def identity(self) -> str:
        """Changes whenever φ or what it belongs to changes."""
        return f"{self.name}-{sha256(_to_bytes(self))[:16]}"


def write_mapper(path: Path, mapper: MapperFile) -> None:
    """Write the file whole, replacing what is there; OutputError if that cannot be done."""
    write_bytes(path, _to_bytes(mapper))


def read_mapper(path: Path) -> MapperFile:
    """The mapper, verified.

    Raises:
        ScanReadError: there is no such file.
        IntegrityError: it is damaged, or no mapper file of this version of medfs.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ScanReadError(
            "there is no mapper file here",
            case=str(path),
            why=error.strerror,
            todo="Give the mapper.safetensors that `medfs meta-train` wrote",
        ) from error
    tensors, facts = described_from_bytes(content, str(path))
    found = facts.pop("kind", None), facts.pop("version", None)
    fits = set(facts) == set(_TYPES) and all(type(facts[k]) is t for k, t in _TYPES.items())
    if found != (_KIND, _VERSION) or not fits:
        raise IntegrityError(
            "is no mapper file of this version of medfs",
            case=str(path),
            why=f"It says {found[0]!r}, version {found[1]!r}",
            todo="Give the mapper.safetensors that `medfs meta-train` wrote",
        )
    return MapperFile(**{**facts, "encoders": tuple(facts["encoders"])}, tensors=tensors)


def _to_bytes(mapper: MapperFile) -> bytes:
    facts = {name: getattr(mapper, name) for name in _TYPES}
    facts |= {"encoders": list(mapper.encoders), "kind": _KIND, "version": _VERSION}
    return described_to_bytes(mapper.tensors, facts)
