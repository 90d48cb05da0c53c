"""Real cases as items of tasks: their features, or the volumes themselves."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import CohortError, UserError
from medfs.core.features import Encoder
from medfs.preprocess.auto import check
from medfs.preprocess.patching import make_patch
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import choose_preset
from medfs.workflows.embed import Embedder, embed_all
from medfs.workflows.sources import ScanSource

Progress = Callable[[int], None]
Warn = Callable[[Sequence[str]], None]


def features_of(
    sources: Sequence[ScanSource],
    preset: str,
    encoders: tuple[Encoder, ...],
    device: torch.device,
    cache: TensorCache,
    progress: Progress,
    warn: Warn,
) -> dict[str, Float[Tensor, "feature"]]:
    """Features by case id; a case that cannot be read is left out with a warning.

    Raises:
        CohortError: none can be read.
    """
    chosen, _ = choose_preset(preset, sources)
    embedder = Embedder(encoders, chosen, None, device, cache)
    done, failed = embed_all(embedder, sources, progress)
    _tell(len(done), [f.error for f in failed], warn)
    return {d.case.case_id: d.features.joined()[0] for d in done}


def volumes_of(
    sources: Sequence[ScanSource], preset: str, progress: Progress, warn: Warn
) -> dict[str, Float[Tensor, "2 x y z"]]:
    """Image and region on the preset's grid by case id; what cannot be read is left out, as above.

    Raises:
        CohortError: none can be read.
    """
    chosen, _ = choose_preset(preset, sources)
    items: dict[str, Tensor] = {}
    errors = []
    for source in sources:
        try:
            volume, mask = source.load()
            check(volume, chosen)
            patch = make_patch(volume, mask, chosen)
        except UserError as error:
            errors.append(error.about(source.case.case_id))
        else:
            items[source.case.case_id] = torch.cat([patch.image, patch.roi])
        progress(1)
    _tell(len(items), errors, warn)
    return items


def _tell(n_read: int, errors: Sequence[UserError], warn: Warn) -> None:
    if not n_read:
        raise CohortError("no case could be used", why=f"The first one: {errors[0]}")
    warn([str(error) for error in errors])
