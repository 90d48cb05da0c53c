"""The laws of a mapper for every embedding, with φ moved away from where it starts.

Layers that begin at zero would hide a broken law, so that nothing is tested where it starts only.
"""

import pytest
import torch

from medfs.core.errors import UsageError
from medfs.mappers.base import query_logits
from medfs.testing import check_mapper
from medfs.workflows.registries import MAPPERS

# Every method of medfs; ridge reads patients, not only weights, and has tests of its own.
ON_TENSORS = sorted(
    e.name for e in MAPPERS.entries().values() if e.provider == "medfs" and e.name != "ridge"
)
SEEN = ("none", "support", "population", "population-hidden")
# In units of the support these learn nothing.
WITHOUT_PHI = ("prototype", "simpleshot", "linear-probe")
SHOTS = ((1, 1), (4, 2), (3, 1, 5))

every_way_of_seeing = pytest.mark.parametrize("seen", SEEN)
every_method = pytest.mark.parametrize("name", ON_TENSORS)


@every_method
def test_contract_holds_away_from_the_start(methods, name):
    """With every part there is; the other ways of seeing are held to the same laws below."""
    options = {"steps": 2} if name in ("maml", "meta-sgd", "anil") else {}

    def factory(n_features):
        return methods.build(name, "population-hidden", n_features, torch.float32, **options)

    check_mapper(factory)


@every_method
@every_way_of_seeing
@pytest.mark.parametrize("shots", SHOTS)
def test_order_of_the_support_does_not_matter(methods, name, seen, shots):
    mapper, tasks = methods.build(name, seen), methods.task_batch(shots)
    order = torch.randperm(sum(shots), generator=torch.Generator().manual_seed(3))
    one = query_logits(mapper, tasks.support, tasks.members, tasks.query)
    other = query_logits(mapper, tasks.support[:, order], tasks.members[:, order], tasks.query)
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@every_method
@every_way_of_seeing
@pytest.mark.parametrize("shots", SHOTS)
def test_permuting_the_classes_permutes_the_logits(methods, name, seen, shots):
    mapper, tasks = methods.build(name, seen), methods.task_batch(shots)
    order = torch.arange(len(shots)).roll(1)
    one = query_logits(mapper, tasks.support, tasks.members, tasks.query)
    other = query_logits(mapper, tasks.support, tasks.members[:, :, order], tasks.query)
    torch.testing.assert_close(one[:, :, order], other, rtol=1e-9, atol=1e-9)


@every_method
@every_way_of_seeing
@pytest.mark.parametrize("size", [0.0, 1e9])
def test_rows_of_weight_zero_count_for_nothing(methods, name, seen, size):
    mapper, tasks = methods.build(name, seen), methods.task_batch((3, 2, 4))
    x, members = tasks.support[0], tasks.members[0]
    garbage = size * torch.randn(5, x.shape[1], generator=torch.Generator().manual_seed(4))
    padded = torch.cat([x, garbage.double()])
    padded_members = torch.cat([members, torch.zeros(5, 3, dtype=torch.float64)])
    one = mapper.theta(x, members).tensors()
    other = mapper.theta(padded, padded_members).tensors()
    assert one.keys() == other.keys()
    for part, tensor in one.items():
        torch.testing.assert_close(other[part], tensor, rtol=1e-8, atol=1e-8, msg=part)


@every_method
@every_way_of_seeing
def test_rows_of_weight_zero_have_no_gradient_that_is_not_finite(methods, name, seen):
    mapper, tasks = methods.build(name, seen), methods.task_batch((3, 2))
    padding = torch.zeros(2, tasks.support.shape[2], dtype=torch.float64)
    x = torch.cat([tasks.support[0], padding]).requires_grad_()
    members = torch.cat([tasks.members[0], torch.zeros(2, 2, dtype=torch.float64)])
    mapper.theta(x, members)(tasks.query[0]).log_softmax(dim=1)[:, 0].sum().backward()
    for tensor in (x, *mapper.parameters()):
        assert tensor.grad is not None
        assert bool(torch.isfinite(tensor.grad).all())
    assert not bool(x.grad[-2:].any())
    assert bool(x.grad[:-2].any())


@every_method
@every_way_of_seeing
@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_a_batch_gives_the_same_as_one_task_after_the_other(methods, name, seen, dtype, near):
    mapper = methods.build(name, seen, dtype=dtype)
    tasks = methods.task_batch((3, 5), dtype=dtype)
    together = query_logits(mapper, tasks.support, tasks.members, tasks.query)
    assert together.dtype == dtype
    scale = float(together.detach().abs().max())
    for i, logits in enumerate(together):
        alone = mapper.theta(tasks.support[i], tasks.members[i])(tasks.query[i])
        torch.testing.assert_close(logits, alone, rtol=near, atol=near * scale)


@every_method
@every_way_of_seeing
def test_every_number_of_phi_has_a_say(methods, name, seen):
    """Beyond a gradient that exists: for some task it is not zero, tensor by tensor."""
    mapper = methods.build(name, seen)
    if not list(mapper.parameters()):
        assert seen == "support"
        assert name in WITHOUT_PHI
        return
    for shots in SHOTS:
        tasks = methods.task_batch(shots)
        logits = query_logits(mapper, tasks.support, tasks.members, tasks.query)
        torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tasks.query_labels.flatten()
        ).backward()
    for part, parameter in mapper.named_parameters():
        assert parameter.grad is not None, part
        assert bool(torch.isfinite(parameter.grad).all()), part
        assert bool(parameter.grad.any()), part


@every_method
@every_way_of_seeing
def test_saved_and_loaded_it_is_the_same(methods, name, seen, tmp_path):
    mapper, tasks = methods.build(name, seen), methods.task_batch((2, 3))
    torch.save(mapper.state_dict(), tmp_path / "phi.pt")
    other = methods.disturb(methods.build(name, seen), seed=12)
    asked = (tasks.support, tasks.members, tasks.query)
    if list(mapper.parameters()):
        assert not torch.equal(query_logits(mapper, *asked), query_logits(other, *asked))
    other.load_state_dict(torch.load(tmp_path / "phi.pt", weights_only=True))
    assert torch.equal(query_logits(mapper, *asked), query_logits(other, *asked))


@pytest.mark.parametrize("name", [name for name in ON_TENSORS if name != "mixture"])
def test_a_hidden_layer_without_a_population_is_refused(name):
    with pytest.raises(UsageError, match="population"):
        MAPPERS.load(name)(4, "support", 8)
