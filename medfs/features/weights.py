"""Weights of networks: local files of tensors, never code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medfs.core.errors import IntegrityError, ScanReadError, UsageError
from medfs.storage.tensors import tensors_from_bytes

Given = Path | Mapping[str, Tensor] | None
# Counters that evaluation never reads, and tables that follow from the size of a window: not
# learned, and missing from some files.
_NOT_LEARNED = (".num_batches_tracked", ".relative_position_index")


def tensors_of(name: str, weights: Given) -> Mapping[str, Tensor]:
    """Parameters by name, without what data-parallel training or a model folder puts before them.

    Raises:
        UsageError: none were given.
        ScanReadError: the file cannot be read.
        IntegrityError: it holds anything but tensors by name.
    """
    if weights is None:
        raise UsageError(
            f"the backbone {name!r} needs weights",
            why="An untrained network has no features worth reading, and nothing is downloaded",
            todo=f"Give a local file: --weights {name}=FILE (.safetensors, .pt or .pth)",
        )
    if not isinstance(weights, Path):
        return {k.removeprefix("network."): v for k, v in weights.items()}
    return {k.removeprefix("module."): v for k, v in read_weights(weights).items()}


def fitting(
    name: str, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], todo: str
) -> dict[str, Tensor]:
    """Exactly the tensors that a network wants.

    Raises:
        IntegrityError: one is missing, unknown or of another shape.
    """
    found = {**{k: v for k, v in wanted.items() if k.endswith(_NOT_LEARNED)}, **given}
    wrong = [k for k in wanted if k not in found or found[k].shape != wanted[k].shape]
    wrong += [k for k in found if k not in wanted]
    if wrong:
        raise IntegrityError(
            f"the weights do not fit {name}",
            why=f"{len(wrong)} parameters are missing, unknown or of another shape, "
            f"e.g. {_told(wrong[0], wanted, found)}",
            todo=todo,
        )
    return found


def _told(key: str, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    if key not in found:
        return f"{key!r} is missing"
    if key not in wanted:
        return f"{key!r} is unknown"
    shapes = (" × ".join(map(str, t.shape)) or "one number" for t in (wanted[key], found[key]))
    return "{!r} must be {}, found {}".format(key, *shapes)


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Tensors of a .safetensors file or a plain state dict; never code.

    Raises:
        ScanReadError: the file cannot be read.
        IntegrityError: it holds anything but tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            return tensors_from_bytes(path.read_bytes(), str(path))
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ScanReadError("cannot be read", case=str(path), why=error.strerror) from error
    except IntegrityError:
        raise
    except Exception as error:  # an unpickler that meets damaged bytes may raise anything
        raise _not_weights(path) from error
    if isinstance(content, dict):
        # Lightning nests the weights under the one name, MONAI's CheckpointSaver under the other.
        nested = (content.get(key) for key in ("state_dict", "model"))
        content = next((part for part in nested if part is not None), content)
    if not isinstance(content, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    ):
        raise _not_weights(path)
    return content


def _not_weights(path: Path) -> IntegrityError:
    return IntegrityError(
        "is not a plain state dict",
        case=str(path),
        why="Only tensors are loaded, never code",
        todo="Save it again with torch.save(model.state_dict(), …) or as safetensors",
    )
