"""MAML, Meta-SGD and ANIL against gradient descent written as a loop, outside of torch.func."""

import pytest
import torch

SEEN = ("none", "support", "population", "population-hidden")


def _task(methods):
    """Support, membership and query of one task."""
    tasks = methods.task_batch((4, 2, 3), n_tasks=1)
    return tasks.support[0], tasks.members[0], tasks.query[0]


def _network(x, p):
    hidden = torch.nn.functional.gelu(x @ p["w_in"].T + p["b_in"])
    return x + hidden @ p["w_out"].T + p["b_out"]


def _by_hand(start, forward, x, members, rate, n_steps, second_order=True):
    """Gradient descent without torch.func; without second order, slopes are constants."""
    parameters = dict(start)
    rates = rate if isinstance(rate, dict) else dict.fromkeys(start, rate)
    for _ in range(n_steps):
        # As variables of their own: where the head starts depends on the network, its steps do not.
        parameters = {name: p.clone() for name, p in parameters.items()}
        loss = -(members * forward(x, parameters).log_softmax(dim=1)).sum()
        slopes = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
        if not second_order:
            slopes = [slope.detach() for slope in slopes]
        moved = zip(parameters.items(), slopes, strict=True)
        parameters = {name: p - rates[name] * slope for (name, p), slope in moved}
    return parameters


def _prototype_head(z, members, scale):
    means = (members.T @ z) / members.sum(dim=0)[:, None]
    return {"weight": 2 * scale * means, "bias": -scale * (means**2).sum(dim=1)}


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("n_steps", [0, 1, 5])
def test_anil_is_a_loop_of_gradient_steps_on_the_head(methods, seen, n_steps):
    mapper = methods.build("anil", seen, steps=n_steps)
    x, members, query = _task(methods)
    logits = mapper.theta(x, members)(query)
    steps, z = mapper.embedding(x, members)
    start = _prototype_head(z, members, mapper.log_scale.exp())

    def forward(rows, p):
        return rows @ p["weight"].T + p["bias"]

    head = _by_hand(start, forward, z, members, mapper.log_rate.exp(), n_steps)
    for step in steps:
        query = step(query)
    expected = forward(query, head)
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)
    _assert_same_gradients(mapper, logits, expected)


def _maml_by_hand(mapper, x, members, query, second_order=True):
    """Logits of the queries."""
    steps, z = mapper.embedding(x, members)
    network = dict(mapper.start)
    start = {**network, **_prototype_head(_network(z, network), members, mapper.log_scale.exp())}

    def forward(rows, p):
        return _network(rows, p) @ p["weight"].T + p["bias"]

    rate = dict(mapper.rates) if hasattr(mapper, "rates") else mapper.log_rate.exp()
    found = _by_hand(start, forward, z, members, rate, mapper.steps, second_order)
    for step in steps:
        query = step(query)
    return forward(query, found)


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("n_steps", [0, 1, 5])
@pytest.mark.parametrize("name", ["maml", "meta-sgd"])
def test_a_loop_of_gradient_steps_on_network_and_head(methods, name, n_steps, seen, first_order):
    mapper = methods.build(name, seen, steps=n_steps, first_order=first_order)
    x, members, query = _task(methods)
    logits = mapper.theta(x, members)(query)
    expected = _maml_by_hand(mapper, x, members, query, second_order=not first_order)
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)
    _assert_same_gradients(mapper, logits, expected)


def test_second_order_terms_are_there(methods):
    """Without them the same logits have another gradient, by more than a tenth."""
    mapper = methods.build("maml", "none", steps=5)
    with torch.no_grad():
        mapper.log_rate.copy_(torch.tensor(0.3).log())
    x, members, query = _task(methods)
    exact = mapper.theta(x, members)(query)
    first_order = _maml_by_hand(mapper, x, members, query, second_order=False)
    torch.testing.assert_close(exact, first_order, rtol=1e-10, atol=1e-10)
    one, other = (
        torch.autograd.grad(logits.log_softmax(dim=1)[:, 0].sum(), mapper.start["w_in"])[0]
        for logits in (exact, first_order)
    )
    assert float((one - other).norm() / one.norm()) > 0.1


def _assert_same_gradients(mapper, one, other):
    """Of one function of the logits, with respect to all of φ."""
    phi = list(mapper.parameters())
    direction = torch.arange(one.numel(), dtype=one.dtype).reshape(one.shape).cos()
    slopes = [
        torch.autograd.grad((direction * t).sum(), phi, allow_unused=True) for t in (one, other)
    ]
    for first, second in zip(*slopes, strict=True):
        if first is None or second is None:
            # Without a single step the rate has no say, in either of the two.
            assert first is None and second is None  # noqa: PT018
            continue
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)


def test_meta_sgd_with_equal_rates_is_maml(methods):
    maml = methods.build("maml", "none", steps=3)
    other = methods.build("meta-sgd", "none", steps=3)
    with torch.no_grad():
        other.load_state_dict({**other.state_dict(), **_without_rate(maml.state_dict())})
        for rate in other.rates.values():
            rate.fill_(maml.log_rate.exp())
    x, members, query = _task(methods)
    one, two = (mapper.theta(x, members)(query) for mapper in (maml, other))
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


def _without_rate(state):
    return {name: t for name, t in state.items() if name != "log_rate"}


def test_a_negative_rate_climbs(methods):
    """The loss of the support after the step tells the direction."""
    x, members, _ = _task(methods)
    losses = []
    for sign in (1, -1):
        mapper = methods.build("meta-sgd", "none")
        with torch.no_grad():
            for rate in mapper.rates.values():
                rate.fill_(sign * 0.01)
        logits = mapper.theta(x, members)(x)
        losses.append(-float((members * logits.detach().log_softmax(dim=1)).sum()))
    assert losses[0] < losses[1] - 1e-4
