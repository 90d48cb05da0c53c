"""Encoder and mapper as one learner: the same as by hand, and exact in its gradients."""

import pytest
import torch

from medfs.core.tasks import TaskBatch, balanced
from medfs.mappers import learners
from medfs.mappers.hyper import Hyper
from medfs.mappers.learners import EndToEndLearner, EndToEndMAML, FeatureLearner
from medfs.mappers.prototype import Prototype
from medfs.mappers.simple_cnaps import SimpleCNAPS


class Net(torch.nn.Module):
    """The smallest encoder with a stage that can be modulated."""

    def __init__(self, width=3):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.kernel = torch.nn.Parameter(0.2 * torch.randn(width, 2, 2, 2, 2, generator=generator))

    def forward(self, images, modulation=None):
        x = torch.nn.functional.conv3d(images, self.kernel)
        if modulation is not None:
            gain, shift = (t[:, :, None, None, None] for t in modulation[0])
            x = x * (1 + gain) + shift
        return torch.cat([torch.tanh(x).mean(dim=(2, 3, 4)), x.square().mean(dim=(2, 3, 4))], 1)


def batch(n_tasks=3, n_way=2, n_shot=2, n_query=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(5)
    labels, queries = (
        torch.arange(n_way).repeat_interleave(n).expand(n_tasks, -1) for n in (n_shot, n_query)
    )

    def images(of):
        noise = torch.randn(*of.shape, 2, 4, 4, 4, generator=generator, dtype=dtype)
        return noise * (1 + of[..., None, None, None, None])

    return TaskBatch(
        images(labels),
        labels,
        balanced(labels, n_way).to(dtype),
        images(queries),
        queries,
        balanced(queries, n_way).to(dtype),
        n_way,
    )


def one_task(tasks, i):
    parts = (tasks.support, tasks.support_labels, tasks.support_weights)
    parts += (tasks.query, tasks.query_labels, tasks.query_weights)
    return TaskBatch(*(part[i : i + 1] for part in parts), tasks.n_way)


def disturbed(module):
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return module


LEARNERS = {
    "prototype": lambda: EndToEndLearner(Net(), Prototype(6, "none")),
    "simple-cnaps": lambda: EndToEndLearner(Net(), SimpleCNAPS(6, "none", film_channels=(3,))),
    "hyper": lambda: EndToEndLearner(Net(), Hyper(6, "none", film_channels=(3,))),
    "maml": lambda: EndToEndMAML(Net(), 6),
}


def loss_of(learner, tasks):
    logits = learner(tasks)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tasks.query_labels.flatten())


def test_a_frozen_encoder_gives_the_same_as_its_features():
    tasks, net, mapper = batch(), Net(), disturbed(Prototype(6, "none"))
    support, query = (
        net(t.flatten(0, 1)).unflatten(0, t.shape[:2]) for t in (tasks.support, tasks.query)
    )
    on_features = TaskBatch(
        support,
        tasks.support_labels,
        tasks.support_weights,
        query,
        tasks.query_labels,
        tasks.query_weights,
        tasks.n_way,
    )
    torch.testing.assert_close(
        EndToEndLearner(net, mapper)(tasks), FeatureLearner(mapper)(on_features)
    )


@pytest.mark.parametrize("name", LEARNERS)
def test_a_task_has_the_same_logits_alone_as_among_others(name):
    learner, tasks = disturbed(LEARNERS[name]()), batch()
    together = learner(tasks)
    for i in range(len(tasks)):
        alone = learner(one_task(tasks, i))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", LEARNERS)
def test_every_parameter_gets_a_gradient(name):
    learner = disturbed(LEARNERS[name]())
    loss_of(learner, batch()).backward()
    for name, parameter in learner.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all())
        assert bool(parameter.grad.any()), name


def test_without_second_order_the_encoder_has_the_gradient_of_a_plain_loop():
    """The same logits as with it; slopes by autograd, as constants."""
    tasks = batch(1, dtype=torch.float64)
    learner = disturbed(EndToEndMAML(Net(), 6, steps=3, first_order=True)).double()
    exact = disturbed(EndToEndMAML(Net(), 6, steps=3)).double()
    with torch.no_grad():
        # A head that is not sure yet, and long steps: there the second order matters.
        for one in (learner, exact):
            one.log_scale.fill_(-6)
            one.log_rate.fill_(-1)
    torch.testing.assert_close(learner(tasks), exact(tasks))
    loss_of(learner, tasks).backward()
    loss_of(exact, tasks).backward()

    kernel = learner.encoder.kernel.detach().clone().requires_grad_()
    own = {"kernel": kernel}
    members, scale = tasks.members[0], learner.log_scale.detach().exp()

    def logits(parameters, images):
        features = torch.func.functional_call(learner.encoder, parameters["own"], (images,))
        return features @ parameters["weight"].T + parameters["bias"]

    means = 2 * members.T @ torch.func.functional_call(learner.encoder, own, (tasks.support[0],))
    at = {"kernel": kernel, "weight": 2 * scale * means, "bias": -scale * means.square().sum(1)}
    for _ in range(3):
        leaves = {name: p.detach().requires_grad_() for name, p in at.items()}
        of = {"own": {"kernel": leaves["kernel"]}, **leaves}
        loss = -(members * logits(of, tasks.support[0]).log_softmax(dim=1)).sum()
        slopes = torch.autograd.grad(loss, list(leaves.values()))
        rate = learner.log_rate.detach().exp()
        at = {n: p - rate * s for (n, p), s in zip(at.items(), slopes, strict=True)}
    of = {"own": {"kernel": at["kernel"]}, **at}
    loss = torch.nn.functional.cross_entropy(logits(of, tasks.query[0]), tasks.query_labels[0])
    expected = torch.autograd.grad(loss, kernel)[0]
    torch.testing.assert_close(learner.encoder.kernel.grad, expected)
    assert float((exact.encoder.kernel.grad - expected).norm() / expected.norm()) > 0.1


@pytest.mark.parametrize("name", LEARNERS)
def test_gradients_are_those_of_finite_differences(name):
    learner, tasks = disturbed(LEARNERS[name]()).double(), batch(1, dtype=torch.float64)
    if isinstance(learner, EndToEndLearner):
        # Its mappers get float32 features whatever the encoder's precision; keep them double here.
        learner._encode = lambda images, modulation: _double(learner.encoder, images, modulation)
    parameter = next(learner.parameters())
    loss_of(learner, tasks).backward()
    direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)).double()
    step = 1e-5
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            parameter.add_(sign * step * direction)
            values.append(float(loss_of(learner, tasks)))
            parameter.sub_(sign * step * direction)
    slope = (values[0] - values[1]) / (2 * step)
    assert slope == pytest.approx(float((parameter.grad * direction).sum()), rel=1e-5)


def _double(encoder, images, modulation):
    if modulation is not None:
        modulation = [
            tuple(t.repeat_interleave(images.shape[1], dim=0) for t in pair) for pair in modulation
        ]
    return encoder(images.flatten(0, 1), modulation).unflatten(0, images.shape[:2])


def test_modulation_depends_on_the_task():
    """With a modulator that is not silent, other support cases move the encoder."""
    learner, tasks = disturbed(LEARNERS["hyper"]()), batch()
    first, second = learner._modulation(tasks)[0][0][:2]
    assert not torch.allclose(first, second, atol=1e-4)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_few_steps_of_training_lower_the_loss(name):
    learner, tasks = LEARNERS[name](), batch(6)
    optimiser = torch.optim.Adam(learner.parameters(), lr=0.005)
    first = float(loss_of(learner, tasks).detach())
    for _ in range(25):
        optimiser.zero_grad()
        loss_of(learner, tasks).backward()
        optimiser.step()
    assert float(loss_of(learner, tasks).detach()) < 0.9 * first


@pytest.mark.parametrize("modulated", [False, True])
def test_volumes_in_pieces_have_the_same_logits_and_gradients(modulated, monkeypatch):
    tasks, found = batch(dtype=torch.float32), []
    for voxels in (10**9, 5 * 4**3):
        monkeypatch.setattr(learners, "_VOXELS_AT_ONCE", voxels)
        net = Net()
        mapper = Hyper(6, "none", film_channels=(3,)) if modulated else Prototype(6, "none")
        if modulated:
            stir(mapper)
        logits = EndToEndLearner(net, mapper)(tasks)
        logits.square().sum().backward()
        found.append((logits.detach(), net.kernel.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
    assert found[0][1].abs().max() > 0


def stir(mapper):
    """Away from the start, where modulation is none."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in mapper.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
