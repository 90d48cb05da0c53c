"""Tasks on cached features, and few-shot methods of other libraries as their users call them."""

import sys
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

N_WAY, N_SHOT, N_QUERY = 5, 5, 15
N_CLASSES, N_PER_CLASS = 64, 200


@dataclass(frozen=True, slots=True)
class Tasks:
    """A feature matrix and what each task takes from it.

    Attributes:
        features: (row, feature).
        support: (task, case), rows; query likewise.
        support_labels: (case,), the same in every task; query_labels likewise.
    """

    features: Tensor
    support: Tensor
    query: Tensor
    support_labels: Tensor
    query_labels: Tensor

    def first(self, n_tasks: int) -> "Tasks":
        return replace(self, support=self.support[:n_tasks], query=self.query[:n_tasks])


def draw_tasks(n_tasks: int, n_features: int) -> Tasks:
    """Classes around centres of their own; support and query of a task share no row."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(N_CLASSES, 1, n_features, generator=generator)
    noise = torch.randn(N_CLASSES, N_PER_CLASS, n_features, generator=generator)
    rows = torch.empty(n_tasks, N_WAY, N_SHOT + N_QUERY, dtype=torch.long)
    for task in rows:
        for k, label in enumerate(torch.randperm(N_CLASSES, generator=generator)[:N_WAY]):
            within = torch.randperm(N_PER_CLASS, generator=generator)[: N_SHOT + N_QUERY]
            task[k] = label * N_PER_CLASS + within
    labels = torch.arange(N_WAY)
    return Tasks(
        (centres + 3 * noise).flatten(0, 1),
        rows[:, :, :N_SHOT].flatten(1),
        rows[:, :, N_SHOT:].flatten(1),
        labels.repeat_interleave(N_SHOT),
        labels.repeat_interleave(N_QUERY),
    )


def easyfsl_methods() -> Any:
    """`easyfsl.methods`, without torchvision.

    easyfsl imports the blocks of ResNets from torchvision, which none of its classifiers on
    features needs. A stand-in lends the names for the length of the import.
    """
    if "torchvision" in sys.modules:
        return import_module("easyfsl.methods")
    blocks = ModuleType("torchvision.models.resnet")
    for name in ("BasicBlock", "Bottleneck", "conv1x1", "conv3x3"):
        setattr(blocks, name, torch.nn.Module)
    lent = {name: ModuleType(name) for name in ("torchvision", "torchvision.models")}
    lent[blocks.__name__] = blocks
    sys.modules.update(lent)
    try:
        return import_module("easyfsl.methods")
    finally:
        for name in lent:
            del sys.modules[name]


class Adapter(torch.nn.Module):
    """A residual network and a linear head: what MAML of medfs descends on."""

    w_in: Tensor
    b_in: Tensor
    w_out: Tensor
    b_out: Tensor

    def __init__(self, start: dict[str, Tensor], n_way: int) -> None:
        super().__init__()
        for name, tensor in start.items():
            self.register_parameter(name, torch.nn.Parameter(tensor.detach().clone()))
        self.weight = torch.nn.Parameter(torch.zeros(n_way, start["w_in"].shape[1]))
        self.bias = torch.nn.Parameter(torch.zeros(n_way))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.nn.functional.gelu(x @ self.w_in.T + self.b_in)
        return (x + hidden @ self.w_out.T + self.b_out) @ self.weight.T + self.bias


def maml_by_higher(
    module: Adapter,
    rate: Tensor,
    scale: Tensor,
    tasks: tuple[Tensor, Tensor, Tensor],
    steps: int,
) -> Tensor:
    """Query logits of each task in turn, differentiable in the start, the scale and the rate.

    Args:
        module: holds the start of the network; the head starts at the scaled prototypes.
        tasks: support (task, case, feature), its labels (task, case), queries likewise. Classes
            have the same number of cases.
    """
    import higher

    optimiser = torch.optim.SGD(module.parameters(), lr=1.0)
    names = [name for name, _ in module.named_parameters()]
    logits = []
    for x, labels, query in zip(*tasks, strict=True):
        with higher.innerloop_ctx(
            module, optimiser, copy_initial_weights=False, override={"lr": [rate]}
        ) as (adapted, inner):
            _start_at_prototypes(adapted, names, scale, x, labels)
            for _ in range(steps):
                inner.step(torch.nn.functional.cross_entropy(adapted(x), labels))
            logits.append(adapted(query))
    return torch.stack(logits)


def _start_at_prototypes(
    adapted: Any, names: list[str], scale: Tensor, x: Tensor, labels: Tensor
) -> None:
    """The head's start depends on the network's, hence set inside; clones are variables apart."""
    start = dict(zip(names, adapted.fast_params, strict=True))
    hidden = torch.nn.functional.gelu(x @ start["w_in"].T + start["b_in"])
    z = x + hidden @ start["w_out"].T + start["b_out"]
    codes = torch.nn.functional.one_hot(labels).to(z.dtype)
    means = (codes / codes.sum(dim=0)).T @ z
    start["weight"], start["bias"] = 2 * scale * means, -scale * means.square().sum(dim=1)
    adapted.update_params([start[name].clone() for name in names])
