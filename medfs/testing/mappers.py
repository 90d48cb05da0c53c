"""The laws of `medfs.core.mapping.Mapper`."""

from collections.abc import Callable

import torch
from torch import Tensor

from medfs.core.classifiers import Classifier
from medfs.core.episodes import SupportSet
from medfs.core.features import Features
from medfs.core.mapping import Mapper
from medfs.testing.samples import random_features, random_support

Factory = Callable[[int], Mapper]
_N_QUERY, _N_FEATURES = 9, 12
_SHOTS = ((1, 1), (5, 5), (2, 7), (1, 4), (3, 3, 3), (7, 1, 4), (2, 5, 1, 3), (4, 4, 4, 4, 4))


def check_mapper(factory: Factory) -> None:
    """Run every law on tasks of 2 to 5 classes, 1 to 7 shots, 1 or more cases per patient.

    Args:
        factory: returns a new mapper for a number of features, e.g. the class itself.

    Raises:
        AssertionError: a law is broken; the message says which, and on what task.
    """
    for law in LAWS:
        for seed, n_shot in enumerate(_SHOTS):
            for cases_per_patient in (1, 3):
                support = random_support(n_shot, seed, cases_per_patient=cases_per_patient)
                law(factory, support, f"{n_shot} shots, {cases_per_patient} case(s) per patient")


def _finite(factory: Factory, support: SupportSet, task: str) -> None:
    classifier = factory(_N_FEATURES)(support)
    _require(
        isinstance(classifier, Classifier), f"the mapper returned {type(classifier).__name__}", task
    )
    _require(
        classifier.class_names == support.class_names,
        "the classifier has not the class names of its support, in their order",
        task,
    )
    logits = classifier.logits(_query())
    _require(
        logits.shape == (_N_QUERY, support.n_way), f"logits have shape {tuple(logits.shape)}", task
    )
    _require(bool(torch.isfinite(logits).all()), "logits are not finite", task)


def _order(factory: Factory, support: SupportSet, task: str) -> None:
    order = torch.randperm(len(support), generator=torch.Generator().manual_seed(0))
    one, other = _log_p(factory, support), _log_p(factory, support.subset(order))
    _require(_close(one, other), "the order of the support changes the classifier", task)


def _classes(factory: Factory, support: SupportSet, task: str) -> None:
    new = torch.randperm(support.n_way, generator=torch.Generator().manual_seed(1))
    old = torch.argsort(new)
    permuted = SupportSet(
        support.features,
        new[support.labels],
        support.patients,
        tuple(support.class_names[int(c)] for c in old),
    )
    one, other = _log_p(factory, support), _log_p(factory, permuted)
    _require(_close(one[:, old], other), "permuting the classes does not permute the outputs", task)


def _same_bytes(factory: Factory, support: SupportSet, task: str) -> None:
    mapper = factory(_N_FEATURES)
    first, second = _bytes(mapper(support)), _bytes(mapper(support))
    _require(first == second, "the same support gives other bytes on the second call", task)


def _keeps_its_value(factory: Factory, support: SupportSet, task: str) -> None:
    mapper = factory(_N_FEATURES)
    given = {name: block.clone() for name, block in support.features.blocks.items()}
    classifier = mapper(support)
    before = _bytes(classifier)
    _require(
        all(torch.equal(given[name], block) for name, block in support.features.blocks.items()),
        "the mapper changed its support",
        task,
    )
    other = Features({name: -3 * block for name, block in given.items()})
    mapper(SupportSet(other, support.labels, support.patients, support.class_names))
    _require(
        before == _bytes(classifier), "a later call changed a classifier that was returned", task
    )


def _gradients(factory: Factory, support: SupportSet, task: str) -> None:
    mapper = factory(_N_FEATURES)
    if not isinstance(mapper, torch.nn.Module):
        return
    learned = {name: p for name, p in mapper.named_parameters() if p.requires_grad}
    if not learned:
        return
    target = torch.arange(_N_QUERY) % support.n_way
    logits = mapper(support).logits(_query())
    _require(logits.requires_grad, "no parameter gets a gradient: the logits carry none", task)
    torch.nn.functional.cross_entropy(logits, target).backward()  # type: ignore[no-untyped-call]
    for name, parameter in learned.items():
        gradient = parameter.grad
        _require(gradient is not None, f"parameter {name!r} gets no gradient", task)
        _require(
            gradient is not None and bool(torch.isfinite(gradient).all()),
            f"the gradient of parameter {name!r} is not finite",
            task,
        )


def _saved_and_loaded(factory: Factory, support: SupportSet, task: str) -> None:
    mapper = factory(_N_FEATURES)
    if not isinstance(mapper, torch.nn.Module):
        return
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in mapper.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    other = factory(_N_FEATURES)
    assert isinstance(other, torch.nn.Module)  # noqa: S101  (the same factory)
    other.load_state_dict({name: tensor.clone() for name, tensor in mapper.state_dict().items()})
    _require(
        _bytes(mapper(support)) == _bytes(other(support)),
        "a mapper loaded from the state of another gives another classifier",
        task,
    )


LAWS = (_finite, _order, _classes, _same_bytes, _keeps_its_value, _gradients, _saved_and_loaded)


def _query() -> Features:
    return random_features(_N_QUERY, seed=99)


def _log_p(factory: Factory, support: SupportSet) -> Tensor:
    return torch.log_softmax(
        factory(_N_FEATURES)(support).logits(_query()).detach().double(), dim=1
    )


def _bytes(classifier: Classifier) -> tuple[bytes, ...]:
    """θ and its logits."""
    tensors = (*classifier.theta.tensors().values(), classifier.logits(_query()))
    return tuple(t.detach().cpu().contiguous().numpy().tobytes() for t in tensors)


def _close(one: Tensor, other: Tensor) -> bool:
    return bool(torch.allclose(one, other, rtol=1e-4, atol=1e-4))


def _require(holds: bool, sentence: str, task: str) -> None:
    if not holds:
        raise AssertionError(f"{sentence} ({task})")
