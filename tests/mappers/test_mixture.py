"""The mixture of ridge experts: its evidence against references, and what it does with it."""

import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct, WhiteKernel

from medfs.core.tasks import TaskBatch, balanced
from medfs.mappers.evidence import evidence
from medfs.mappers.mixture import Mixture

N_FEATURES = 6


@pytest.fixture
def mapper():
    made = Mixture(N_FEATURES, experts=5).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator).double())
    return made


def task(n_shot, n_way=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n_way).repeat_interleave(n_shot)
    x = torch.randn(len(labels), N_FEATURES, generator=generator, dtype=torch.float64)
    members = torch.nn.functional.one_hot(labels, n_way).double()
    return x + 2 * labels[:, None] * (torch.arange(N_FEATURES) < 2), members / len(labels)


def as_experts_see_it(mapper, x, members):
    _, seen = mapper._see(x, members)
    metrics = mapper._metrics(seen)
    told = evidence(seen, metrics, mapper.log_penalty.exp(), mapper.log_scale.exp())
    return seen, metrics, told


def test_marginal_likelihood_is_that_of_a_gaussian_process(mapper):
    """scikit-learn's, with the amplitude that maximises it."""
    x, members = task(n_shot=4)
    seen, metrics, told = as_experts_see_it(mapper, x, members)
    code = (members[:, 1] * len(x) - 0.5).numpy()
    for e, penalty in enumerate(mapper.log_penalty.exp().tolist()):
        rows = (seen.z * (metrics[e] / N_FEATURES).sqrt()).detach().numpy()
        best = max(
            _log_likelihood(rows, code, penalty, amplitude)
            for amplitude in torch.logspace(-3, 2, 150).tolist()
        )
        # The constant of a normal density, and the amplitude's own part at its maximum.
        n = len(x)
        constant = -n / 2 * (1 + torch.log(torch.tensor(2 * torch.pi))).item()
        # Both columns of codes enter the misfit: ½ in each of two classes, so it doubles.
        ours = told.marginal[e].item() + n / 2 * torch.log(torch.tensor(2.0)).item()
        assert ours + constant == pytest.approx(best, abs=0.02)


def _log_likelihood(rows, code, penalty, amplitude):
    kernel = amplitude * DotProduct(0.0, "fixed") + WhiteKernel(amplitude * penalty, "fixed")
    model = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0).fit(rows, code)
    return model.log_marginal_likelihood_value_


def test_left_out_predictions_are_those_of_leaving_out(mapper):
    """Every expert solved anew without the case, in the same units, gives the same likelihood."""
    x, members = task(n_shot=3, n_way=3)
    seen, metrics, told = as_experts_see_it(mapper, x, members)
    n = len(x)
    codes = members * n - 1 / 3
    for e in range(5):
        kernel = (seen.z * metrics[e]) @ seen.z.T / N_FEATURES
        penalty, scale = mapper.log_penalty[e].exp(), mapper.log_scale[e].exp()
        total = 0.0
        for i in range(n):
            rest = [j for j in range(n) if j != i]
            solved = torch.linalg.solve(
                kernel[rest][:, rest] + penalty * torch.eye(n - 1).double(), codes[rest]
            )
            log_p = torch.log_softmax(scale * kernel[i, rest] @ solved, dim=0)
            total += log_p[members[i].argmax()].item()
        assert told.left_out[e].item() == pytest.approx(total, rel=1e-6)


def test_one_expert_is_plain_ridge(mapper):
    from medfs.mappers.r2d2 import ridge

    alone = Mixture(N_FEATURES, experts=1).double()
    x, members = task(n_shot=5)
    theta = alone.theta(x, members)
    _, seen = alone._see(x, members)
    metric = alone._metrics(seen)[0]
    penalty = alone.log_penalty.exp()[0] * N_FEATURES
    weight, _ = ridge(seen.z * metric.sqrt(), members, penalty)
    expected = weight * metric.sqrt()
    ratio = theta.head.weight / expected
    assert torch.allclose(ratio, ratio[0, 0].expand_as(ratio), rtol=1e-8)


def test_padding_counts_for_nothing(mapper):
    x, members = task(n_shot=3)
    more = torch.cat([x, 50 * torch.ones(2, N_FEATURES).double()])
    padded = torch.cat([members, torch.zeros(2, 2).double()])
    query = torch.randn(4, N_FEATURES, generator=torch.Generator().manual_seed(1)).double()
    one, other = mapper.theta(x, members)(query), mapper.theta(more, padded)(query)
    assert torch.allclose(one, other, rtol=1e-8)


def test_evidence_prefers_the_expert_that_knows_the_feature():
    """Three experts: one that sees the feature that matters, two that see others."""
    mapper = Mixture(N_FEATURES, experts=3).double()
    with torch.no_grad():
        mapper.log_gain.fill_(-4)
        for expert in range(3):
            mapper.log_gain[expert, 2 * expert : 2 * expert + 2] = 1
        mapper.log_penalty.fill_(-1)
        mapper.focus.fill_(-9)
    x, members = task(n_shot=6)
    seen, _, told = as_experts_see_it(mapper, x, members)
    assert mapper._odds(seen, told).argmax() == 0


def test_usual_spread_is_that_within_tasks():
    """Tasks that lie far apart have the spread of their cases, not that between tasks."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 40, N_FEATURES, generator=generator)
    rows = rows * torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0, 0.0]) + 100 * torch.randn(
        200, 1, N_FEATURES, generator=generator
    )
    labels = (torch.arange(40) % 2).expand(200, -1)
    weights = balanced(labels[:, :20], 2)
    batch = TaskBatch(
        rows[:, :20], labels[:, :20], weights, rows[:, 20:], labels[:, 20:], weights, 2
    )
    mapper = Mixture(N_FEATURES)
    mapper.fit_population([batch])
    assert mapper.spread[:5].tolist() == pytest.approx([1.0, 2.0, 0.5, 3.0, 1.0], rel=0.05)
    assert 0 < mapper.spread[5] < 1e-3
