"""∇_φ L = ∇_θ L · ∇_φ M_φ(S): θ is all that stands between φ and the loss."""

from dataclasses import replace

import pytest
import torch

from medfs.core.theta import Theta, tensors_of
from medfs.workflows.registries import MAPPERS

SEEN = ("none", "support", "population", "population-hidden")
# In units of the support these learn nothing.
WITHOUT_PHI = ("prototype", "simpleshot", "linear-probe")
# Ridge reads patients and mixture has units of its own: both have tests of their own.
LEARNED = sorted(
    e.name
    for e in MAPPERS.entries().values()
    if e.provider == "medfs" and e.name not in ("ridge", "mixture")
)


def _rebuilt(theta, tensors):
    """θ with tensors of the same names in place of its own."""
    parts = []
    for i, part in enumerate((*theta.steps, theta.head)):
        at = f"steps.{i}" if i < len(theta.steps) else "head"
        parts.append(replace(part, **{k: tensors[f"{at}.{k}"] for k in tensors_of(part)}))
    return Theta(tuple(parts[:-1]), parts[-1])


def _loss(theta, tasks):
    return torch.nn.functional.cross_entropy(theta(tasks.query[0]), tasks.query_labels[0])


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("name", LEARNED)
def test_gradient_through_theta_is_the_gradient(methods, name, seen):
    mapper, tasks = methods.build(name, seen), methods.task_batch((3, 2, 4), n_tasks=1)
    phi = list(mapper.parameters())
    if not phi:
        assert seen == "support"
        assert name in WITHOUT_PHI
        return
    theta = mapper.theta(tasks.support[0], tasks.members[0])
    direct = torch.autograd.grad(_loss(theta, tasks), phi, retain_graph=True)

    of_phi = {k: t for k, t in theta.tensors().items() if t.requires_grad}
    assert of_phi
    leaves = {k: t.detach().clone().requires_grad_() for k, t in of_phi.items()}
    known = {k: t.detach() for k, t in theta.tensors().items()} | leaves
    slopes = torch.autograd.grad(_loss(_rebuilt(theta, known), tasks), list(leaves.values()))
    chained = torch.autograd.grad(list(of_phi.values()), phi, list(slopes))
    for one, other in zip(direct, chained, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seen", SEEN)
def test_of_hyper_both_factors_are_those_of_finite_differences(methods, seen):
    """L(φ + ε v) moves by ∇_θ L · (M_{φ + ε v}(S) − M_φ(S)): neither factor by autograd alone."""
    mapper, tasks = methods.build("hyper", seen), methods.task_batch((3, 2, 4), n_tasks=1)
    generator = torch.Generator().manual_seed(5)
    step = 1e-6
    ways = [torch.randn(p.shape, generator=generator).double() for p in mapper.parameters()]

    def theta_at(distance):
        with torch.no_grad():
            for parameter, way in zip(mapper.parameters(), ways, strict=True):
                parameter.add_(distance * way)
            theta = mapper.theta(tasks.support[0], tasks.members[0])
            kept = {k: t.clone() for k, t in theta.tensors().items()}
            for parameter, way in zip(mapper.parameters(), ways, strict=True):
                parameter.sub_(distance * way)
        return _rebuilt(theta, kept)

    here = theta_at(0.0)
    leaves = {k: t.clone().requires_grad_() for k, t in here.tensors().items()}
    slopes = torch.autograd.grad(
        _loss(_rebuilt(here, leaves), tasks), list(leaves.values()), allow_unused=True
    )
    ahead, behind = theta_at(step).tensors(), theta_at(-step).tensors()
    of_theta = {k: (ahead[k] - behind[k]) / (2 * step) for k in leaves}
    chained = sum(
        float((slope * of_theta[k]).sum())
        for k, slope in zip(leaves, slopes, strict=True)
        if slope is not None
    )

    theta = mapper.theta(tasks.support[0], tasks.members[0])
    gradients = torch.autograd.grad(_loss(theta, tasks), list(mapper.parameters()))
    direct = sum(float((g * way).sum()) for g, way in zip(gradients, ways, strict=True))
    moved = float(_loss(theta_at(step), tasks) - _loss(theta_at(-step), tasks)) / (2 * step)
    assert abs(direct) > 1e-3
    assert chained == pytest.approx(direct, rel=1e-5)
    assert moved == pytest.approx(direct, rel=1e-5)
