"""Parity with easyfsl 1.5.0, the library of few-shot methods on 2D images.

It imports the blocks of ResNets from torchvision at start-up, which none of its classifiers on
features needs; torchvision has no place beside a CPU build of torch. A stand-in module lends the
names while these tests run.
"""

import sys
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
import torch

from medfs.mappers.base import query_logits

N_EPISODES, N_FEATURES = 50, 32


@pytest.fixture(scope="module")
def easyfsl():
    """`easyfsl.methods`; afterwards neither it nor the stand-in is left in `sys.modules`."""
    pytest.importorskip("easyfsl", reason="parity is measured against easyfsl, of the extra dev")
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        blocks = ModuleType("torchvision.models.resnet")
        for name in ("BasicBlock", "Bottleneck", "conv1x1", "conv3x3"):
            setattr(blocks, name, torch.nn.Module)
        for name in ("torchvision", "torchvision.models"):
            patch.setitem(sys.modules, name, ModuleType(name))
        patch.setitem(sys.modules, blocks.__name__, blocks)
        yield import_module("easyfsl.methods")
    for name in set(sys.modules) - before:
        if name.startswith(("easyfsl", "torchvision")):
            del sys.modules[name]


def _episodes(methods):
    """Ways, shots and features differ from one episode to the next."""
    generator = np.random.default_rng(0)
    for seed in range(N_EPISODES):
        n_way = int(generator.integers(2, 6))
        shots = tuple(int(n) for n in generator.integers(1, 7, size=n_way))
        yield methods.task_batch(
            shots, n_query=5, n_tasks=1, n_features=N_FEATURES, seed=seed, dtype=torch.float32
        )


def _reference(kind, tasks, **options):
    classifier = kind(**options)
    classifier.process_support_set(tasks.support[0], tasks.support_labels[0])
    return classifier(tasks.query[0])


def _start(methods, name, value):
    """Without an embedding and with one factor on all logits."""
    mapper = methods.build(name, "none", N_FEATURES, torch.float32)
    factor = mapper.log_scale if name == "prototype" else mapper.log_factor
    with torch.no_grad():
        factor.copy_(torch.tensor(value).log())
    return mapper


def test_distances_to_prototypes_are_those_of_easyfsl(methods, easyfsl):
    """Its logits are minus distances; ours minus squared ones, less what all classes share."""
    mapper = _start(methods, "prototype", 1.0)
    for tasks in _episodes(methods):
        reference = _reference(easyfsl.PrototypicalNetworks, tasks)
        ours = query_logits(mapper, tasks.support, tasks.members, tasks.query)[0].detach()
        squared = tasks.query[0].square().sum(dim=1, keepdim=True) - ours
        torch.testing.assert_close(-squared.sqrt(), reference, rtol=1e-4, atol=1e-4)


def test_cosines_are_those_of_easyfsls_simpleshot(methods, easyfsl):
    """CL2N: centred by a vector, then divided by the length."""
    mapper = _start(methods, "simpleshot", 1.0)
    centre = torch.linspace(-1, 1, N_FEATURES)
    for tasks in _episodes(methods):
        reference = _reference(
            easyfsl.SimpleShot, tasks, feature_centering=centre, feature_normalization=2
        )
        ours = query_logits(mapper, tasks.support - centre, tasks.members, tasks.query - centre)
        torch.testing.assert_close(ours[0].detach(), reference, rtol=1e-4, atol=1e-4)


def test_the_supports_own_standardisation_can_be_had_in_easyfsl_too(methods, easyfsl):
    """What medfs does beyond easyfsl is what `embedding` says: given its output, both agree."""
    mapper = methods.build("prototype", "support", N_FEATURES, torch.float32)
    for tasks in _episodes(methods):
        theta = mapper.theta(tasks.support[0], tasks.members[0])
        classifier = easyfsl.PrototypicalNetworks(backbone=theta.embed)
        classifier.process_support_set(tasks.support[0], tasks.support_labels[0])
        reference = classifier(tasks.query[0])
        shared = theta.embed(tasks.query[0]).square().sum(dim=1, keepdim=True)
        distances = (shared - theta(tasks.query[0])).clamp_min(0).sqrt()
        torch.testing.assert_close(-distances, reference, rtol=1e-4, atol=1e-4)


def test_adapted_prototypes_are_those_of_easyfsls_feat(methods, easyfsl):
    """With the same weights in its attention, whose dropout is off outside of training."""
    mapper = methods.build("feat", "none", N_FEATURES, torch.float32)
    with torch.no_grad():
        mapper.log_scale.zero_()
    attention = import_module("easyfsl.modules").MultiHeadAttention(
        1, N_FEATURES, N_FEATURES, N_FEATURES
    )
    attention.load_state_dict(
        {
            "w_qs.weight": mapper.of_query,
            "w_ks.weight": mapper.of_key,
            "w_vs.weight": mapper.of_value,
            "fc.weight": mapper.out.weight,
            "fc.bias": mapper.out.bias,
            "layer_norm.weight": mapper.norm.weight,
            "layer_norm.bias": mapper.norm.bias,
        }
    )
    attention.eval()
    for tasks in _episodes(methods):
        reference = _reference(easyfsl.FEAT, tasks, attention_module=attention)
        ours = query_logits(mapper, tasks.support, tasks.members, tasks.query)[0].detach()
        squared = tasks.query[0].square().sum(dim=1, keepdim=True) - ours
        torch.testing.assert_close(-squared.sqrt(), reference, rtol=1e-4, atol=1e-4)


def test_relation_scores_are_those_of_easyfsl(methods, easyfsl):
    """Its relation module reads maps of one voxel, the prototype's channels before the query's."""
    mapper = methods.build("relation", "none", N_FEATURES, torch.float32)
    first = torch.nn.Linear(2 * N_FEATURES, 2 * N_FEATURES)
    last = torch.nn.Linear(2 * N_FEATURES, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.cat([mapper.of_class, mapper.of_case], dim=1))
        first.bias.copy_(mapper.offset)
        last.weight.copy_(mapper.score[None])
    module = torch.nn.Sequential(torch.nn.Flatten(), first, torch.nn.ReLU(), last)
    classifier = easyfsl.RelationNetworks(feature_dimension=N_FEATURES, relation_module=module)
    for tasks in _episodes(methods):
        support, query = (t[0][..., None, None] for t in (tasks.support, tasks.query))
        classifier.process_support_set(support, tasks.support_labels[0])
        ours = query_logits(mapper, tasks.support, tasks.members, tasks.query)[0]
        torch.testing.assert_close(ours, classifier(query), rtol=1e-4, atol=1e-4)
