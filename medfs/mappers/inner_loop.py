"""Gradient descent on a support set as a function, which optimisation-based mappers go through."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

Parameters = dict[str, Tensor]


def descend(
    loss: Callable[[Parameters], Tensor],
    start: Mapping[str, Tensor],
    rate: Tensor | Mapping[str, Tensor],
    n_steps: int,
    first_order: bool = False,
) -> Parameters:
    """Parameters after `n_steps` of plain gradient descent.

    The result is a function of `start` and `rate` with exact derivatives of every order: the
    gradients inside are `torch.func.grad`, and nothing is detached or patched.

    Args:
        loss: of the parameters.
        start: parameters by name.
        rate: one for all, or one for each by name that broadcasts with it.
        n_steps: how many.
        first_order: take the gradients inside for constants; the result is the same, its
            derivatives are not.
    """
    slope = torch.func.grad(loss)
    rates = rate if isinstance(rate, Mapping) else dict.fromkeys(start, rate)
    parameters = dict(start)
    for _ in range(n_steps):
        gradients = slope(parameters)
        if first_order:
            gradients = {name: gradient.detach() for name, gradient in gradients.items()}
        parameters = {name: p - rates[name] * gradients[name] for name, p in parameters.items()}
    return parameters


def support_loss(
    logits: Float[Tensor, "case way"], members: Float[Tensor, "case way"]
) -> Float[Tensor, ""]:
    """Cross-entropy in which every class weighs the same."""
    return -(members * torch.log_softmax(logits, dim=1)).sum()
