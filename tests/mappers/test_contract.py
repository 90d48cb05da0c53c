"""Every registered mapper keeps the laws, and the laws catch mappers that break them."""

import pytest
import torch

from medfs.core.classifiers import Classifier
from medfs.core.theta import LinearHead, Theta
from medfs.mappers.prototype import Prototype
from medfs.testing import check_mapper
from medfs.workflows.registries import MAPPERS


@pytest.mark.parametrize("name", sorted(MAPPERS.entries()))
def test_registered_mapper_keeps_every_law(name):
    check_mapper(MAPPERS.load(name))


def _edited(change):
    class Broken(Prototype):
        def forward(self, support):
            return change(self, super().forward(support), support)

    return Broken


def _with_bias(classifier, bias):
    return Classifier(
        classifier.encoders,
        Theta(classifier.theta.steps, LinearHead(classifier.theta.head.weight, bias)),
        classifier.class_names,
    )


def _favours_the_first_case(mapper, classifier, support):
    return _with_bias(classifier, classifier.theta.head.bias * support.features.joined()[0, 0])


def _favours_the_first_class(mapper, classifier, support):
    return _with_bias(classifier, classifier.theta.head.bias + torch.arange(support.n_way))


def _is_random(mapper, classifier, support):
    bias = torch.randn(support.n_way, dtype=torch.float64)
    return _with_bias(classifier, classifier.theta.head.bias + bias.sum())


def _is_not_finite(mapper, classifier, support):
    return _with_bias(classifier, classifier.theta.head.bias / 0.0)


def _reuses_memory(mapper, classifier, support):
    if not hasattr(mapper, "kept") or mapper.kept.shape != classifier.theta.head.bias.shape:
        mapper.kept = torch.zeros_like(classifier.theta.head.bias)
    mapper.kept += support.features.joined().double().sum().abs()
    return _with_bias(classifier, mapper.kept)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_favours_the_first_class, "permuting the classes"),
        (_is_random, "other bytes on the second call"),
        (_is_not_finite, "logits are not finite"),
        (_reuses_memory, "the second call|a later call"),
        (_favours_the_first_case, "order of the support"),
    ],
)
def test_a_mapper_that_breaks_a_law_is_named(change, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_mapper(_edited(change))


def test_a_parameter_without_gradient_is_named():
    class Idle(Prototype):
        def __init__(self, n_features):
            super().__init__(n_features)
            self.unused = torch.nn.Parameter(torch.ones(1))

        def forward(self, support):
            classifier = super().forward(support)
            return _with_bias(classifier, classifier.theta.head.bias + 0 * self.unused.detach())

    with pytest.raises(AssertionError, match="no parameter gets a gradient"):
        check_mapper(Idle)


def test_a_learned_scale_passes():
    class Scaled(Prototype):
        def __init__(self, n_features):
            super().__init__(n_features)
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, support):
            found = super().forward(support)
            head = LinearHead(
                found.theta.head.weight * self.scale, found.theta.head.bias * self.scale
            )
            theta = Theta(found.theta.steps, head)
            return Classifier(found.encoders, theta, found.class_names)

    check_mapper(Scaled)
