"""dL/dφ: against `higher`, TorchOpt and finite differences, in float64.

higher: Grefenstette et al., arXiv 1910.01727. TorchOpt: Ren et al., JMLR 2023.
"""

import pytest
import torch
from torch.autograd import gradcheck

from medfs.core.theta import LinearHead, Residual
from medfs.mappers.anil import prototype_start
from medfs.mappers.base import query_logits
from medfs.mappers.inner_loop import descend, support_loss
from medfs.workflows.registries import MAPPERS

# Ridge reads patients and mixture has units of its own: both have tests of their own.
LEARNED = sorted(
    e.name
    for e in MAPPERS.entries().values()
    if e.provider == "medfs" and e.name not in ("ridge", "mixture")
)
SEEN = ("none", "support", "population", "population-hidden")
# In units of the support these learn nothing.
WITHOUT_PHI = ("prototype", "simpleshot", "linear-probe")
N_STEPS = 5


class Adapter(torch.nn.Module):
    """What MAML descends on, as a module with parameters of its own."""

    def __init__(self, start):
        super().__init__()
        for name, tensor in start.items():
            self.register_parameter(name, torch.nn.Parameter(tensor.detach().clone()))

    def forward(self, x):
        hidden = torch.nn.functional.gelu(x @ self.w_in.T + self.b_in)
        return (x + hidden @ self.w_out.T + self.b_out) @ self.weight.T + self.bias


def _query_loss(logits, labels):
    return torch.nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten())


def _setting(methods, rate=0.3, **options):
    """MAML without an embedding, one task, and its start: network and head, functions of φ."""
    mapper = methods.build("maml", "none", steps=N_STEPS, **options)
    with torch.no_grad():
        mapper.log_rate.copy_(torch.tensor(rate).log())
    tasks = methods.task_batch((4, 2, 3), n_tasks=1)
    x, members = tasks.support[0], tasks.members[0]
    head = prototype_start(Residual(**mapper.start)(x), members, mapper.log_scale.exp())
    return mapper, tasks, {**mapper.start, **head}


def _gradients(mapper, loss):
    return dict(
        zip(
            dict(mapper.named_parameters()),
            torch.autograd.grad(loss, list(mapper.parameters()), retain_graph=True),
            strict=True,
        )
    )


def _own_gradients(mapper, tasks):
    logits = query_logits(mapper, tasks.support, tasks.members, tasks.query)
    return _gradients(mapper, _query_loss(logits, tasks.query_labels))


def _assert_close(one, other, near):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=near, atol=near, msg=name)


def _gradients_by_higher(higher, mapper, tasks, start, second_order=True):
    """The same inner loop by its patched module, from `start` and with the rate as a tensor."""
    module = Adapter(start)
    optimiser = torch.optim.SGD(module.parameters(), lr=1.0)
    names = [name for name, _ in module.named_parameters()]
    with higher.innerloop_ctx(
        module,
        optimiser,
        copy_initial_weights=False,
        override={"lr": [mapper.log_rate.exp()]},
        track_higher_grads=second_order,
    ) as (adapted, steps):
        # Where it starts is a function of φ; clones, since the head depends on the network there.
        adapted.update_params([start[name].clone() for name in names])
        for _ in range(N_STEPS):
            steps.step(support_loss(adapted(tasks.support[0]), tasks.members[0]))
        return _gradients(mapper, _query_loss(adapted(tasks.query[0]), tasks.query_labels[0]))


def test_meta_gradient_of_maml_is_that_of_higher(methods):
    higher = pytest.importorskip("higher", reason="meta-gradients are compared with higher (dev)")
    mapper, tasks, start = _setting(methods)
    own = _own_gradients(mapper, tasks)
    assert {"log_rate", "log_scale", "start.w_in"} <= own.keys()
    _assert_close(own, _gradients_by_higher(higher, mapper, tasks, start), 1e-8)


def test_meta_gradient_of_maml_is_that_of_torchopt(methods):
    torchopt = pytest.importorskip(
        "torchopt", reason="meta-gradients are compared with TorchOpt (dev)"
    )
    mapper, tasks, start = _setting(methods)
    rate = mapper.log_rate.exp().detach()
    leaves = {name: t.detach().clone().requires_grad_() for name, t in start.items()}

    def loss(parameters):
        return support_loss(_adapter(parameters, tasks.support[0]), tasks.members[0])

    found = descend(loss, leaves, rate, N_STEPS)
    ours = torch.autograd.grad(
        _query_loss(_adapter(found, tasks.query[0]), tasks.query_labels[0]), list(leaves.values())
    )

    module = Adapter(start)
    variables = list(module.parameters())
    optimiser = torchopt.MetaSGD(module, lr=float(rate))
    for _ in range(N_STEPS):
        optimiser.step(support_loss(module(tasks.support[0]), tasks.members[0]))
    theirs = torch.autograd.grad(
        _query_loss(module(tasks.query[0]), tasks.query_labels[0]), variables
    )
    names = [name for name, _ in Adapter(start).named_parameters()]
    _assert_close(dict(zip(leaves, ours, strict=True)), dict(zip(names, theirs, strict=True)), 1e-8)


def _adapter(parameters, x):
    network = Residual(**{k: parameters[k] for k in ("w_in", "b_in", "w_out", "b_out")})
    return LinearHead(parameters["weight"], parameters["bias"])(network(x))


def _as_function(mapper, tasks):
    """Query loss of a batch of tasks as a function of the tensors of φ."""

    class Loss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mapper = mapper

        def forward(self):
            logits = query_logits(self.mapper, tasks.support, tasks.members, tasks.query)
            return _query_loss(logits, tasks.query_labels)

    module = Loss()
    phi = {name: p.detach().clone().requires_grad_() for name, p in module.named_parameters()}

    def loss(*tensors):
        return torch.func.functional_call(module, dict(zip(phi, tensors, strict=True)), ())

    return loss, tuple(phi.values())


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("name", LEARNED)
def test_gradient_is_that_of_finite_differences_for_every_phi(methods, name, seen):
    """Along random directions, in all of φ at once."""
    mapper = methods.build(name, seen)
    loss, phi = _as_function(mapper, methods.task_batch((3, 2, 4), n_tasks=2))
    if not phi:
        assert seen == "support"
        assert name in WITHOUT_PHI
        return
    assert gradcheck(loss, phi, fast_mode=True, eps=1e-6, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", LEARNED)
def test_gradient_is_that_of_finite_differences_number_by_number(methods, name):
    small = {"width": 3} if name in ("simple-cnaps", "maml", "meta-sgd", "hyper") else {}
    mapper = methods.build(name, "population", n_features=3, **small)
    tasks = methods.task_batch((3, 2), n_query=3, n_tasks=1, n_features=3)
    assert gradcheck(*_as_function(mapper, tasks), eps=1e-6, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("name", LEARNED)
def test_gradient_reaches_the_features_of_the_support(methods, name, seen):
    """An encoder that is trained end to end learns through them."""
    mapper, tasks = methods.build(name, seen), methods.task_batch((3, 2, 4), n_tasks=1)

    def loss(x):
        return _query_loss(query_logits(mapper, x, tasks.members, tasks.query), tasks.query_labels)

    support = tasks.support.clone().requires_grad_()
    assert gradcheck(loss, (support,), fast_mode=True, eps=1e-6, rtol=1e-5, atol=1e-8)
    assert bool(torch.autograd.grad(loss(support), support)[0].any(dim=2).all())
