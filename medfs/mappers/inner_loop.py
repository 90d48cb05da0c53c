"""Gradient descent on a support set as a function, which optimisation-based mappers go through."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

Parameters = dict[str, Tensor]


def descend(
    loss: Callable[[Parameters], Tensor], start: Mapping[str, Tensor], rate: Tensor, n_steps: int
) -> Parameters:
    """Parameters after `n_steps` of plain gradient descent.

    The result is a function of `start` and `rate` with exact derivatives of every order: the
    gradients inside are `torch.func.grad`, and nothing is detached or patched.
    """
    slope = torch.func.grad(loss)
    parameters = dict(start)
    for _ in range(n_steps):
        gradients = slope(parameters)
        parameters = {name: p - rate * gradients[name] for name, p in parameters.items()}
    return parameters


def support_loss(
    logits: Float[Tensor, "case way"], members: Float[Tensor, "case way"]
) -> Float[Tensor, ""]:
    """Cross-entropy in which every class weighs the same."""
    return -(members * torch.log_softmax(logits, dim=1)).sum()
