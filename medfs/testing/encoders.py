"""The laws of `medfs.core.features.Encoder`."""

import torch
from torch import Tensor

from medfs.core.features import Encoder
from medfs.core.patches import PatchBatch
from medfs.testing.samples import random_patches


def check_encoder(encoder: Encoder, shape: tuple[int, int, int] = (24, 24, 24)) -> None:
    """Run every law on a few random patches.

    Args:
        encoder: ready to be called.
        shape: grid points of a patch along x, y, z.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    _check_facts(encoder)
    batch = random_patches(3, shape, seed=0)
    state, given = _state(encoder), _copies(batch)
    identity = encoder.identity
    features = encoder(batch)
    _check_block(encoder, features, len(batch.image))
    for i in range(len(batch.image)):
        alone = encoder(
            PatchBatch(batch.image[i : i + 1], batch.roi[i : i + 1], batch.spacing[i : i + 1])
        )
        _require(
            bool(torch.allclose(alone[0], features[i], rtol=1e-3, atol=1e-4)),
            "a patch has other features alone than among others",
        )
    _require(
        torch.equal(features, encoder(batch)), "the same batch gives other bytes when repeated"
    )
    _require(encoder.identity == identity, "the identity changed by being called")
    _require(_same(state, _state(encoder)), "parameters or buffers changed by being called")
    _require(_same(given, _copies(batch)), "the encoder changed the patches that it was given")


def _check_facts(encoder: Encoder) -> None:
    _require(isinstance(encoder, Encoder), "name, identity, feature_names or the call is missing")
    for what in ("name", "identity"):
        value = getattr(encoder, what)
        _require(isinstance(value, str) and bool(value), f"the {what} is {value!r}, not a text")
    names = encoder.feature_names
    _require(len(set(names)) == len(names) > 0, "feature names are missing or repeated")
    if isinstance(encoder, torch.nn.Module):
        _require(
            not any(p.requires_grad for p in encoder.parameters()), "parameters are not frozen"
        )
        has_state = bool(encoder.state_dict())
        _require(
            not (has_state and encoder.training), "the module is in training mode: call eval()"
        )


def _check_block(encoder: Encoder, features: Tensor, n_cases: int) -> None:
    wanted = (n_cases, len(encoder.feature_names))
    _require(
        tuple(features.shape) == wanted,
        f"features have shape {tuple(features.shape)}, names ask for {wanted}",
    )
    _require(features.is_floating_point(), f"features are {features.dtype}, not real numbers")
    _require(bool(torch.isfinite(features).all()), "features are not finite")
    _require(not features.requires_grad, "features carry a gradient although the encoder is frozen")


def _state(encoder: Encoder) -> list[Tensor]:
    if not isinstance(encoder, torch.nn.Module):
        return []
    return [tensor.clone() for tensor in encoder.state_dict().values()]


def _copies(batch: PatchBatch) -> list[Tensor]:
    return [t.clone() for t in (batch.image, batch.roi, batch.spacing)]


def _same(before: list[Tensor], after: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)
