"""The graph is the classifier: every tensor of it, and nothing of its own."""

import pytest
import torch

from medfs.core.calibration import Dirichlet, Temperature, VectorScaling
from medfs.core.classifiers import CalibratedClassifier, Classifier
from medfs.core.errors import UsageError
from medfs.core.features import Features
from medfs.core.theta import LinearHead, Standardizer, Theta, UnitLength
from medfs.export.graph import PatchClassifier, leaves, with_leaves
from medfs.export.precision import reduce_weights
from medfs.testing.samples import random_patches


class Pooled(torch.nn.Module):
    """A network of one layer, pooled."""

    name, identity, feature_names = "pooled", "pooled-1", tuple(f"f{i}" for i in range(6))

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Conv3d(1, 6, 3)
        self.requires_grad_(False).eval()

    def forward(self, patches):
        return self.layer(patches.image).amax(dim=(2, 3, 4))


@pytest.fixture(params=["temperature", "vector", "dirichlet"])
def calibrated(request):
    generator = torch.Generator().manual_seed(1)

    def random(*shape):
        return torch.randn(*shape, generator=generator).double()

    steps = (
        Standardizer(random(6), random(6).exp(), torch.tensor(2.0).double()),
        UnitLength(torch.tensor(1e-6).double()),
    )
    theta = Theta(steps, LinearHead(random(3, 6), random(3)))
    classifier = Classifier(("pooled-1",), theta, ("a", "b", "c"))
    temperature = torch.tensor(0.3).double()
    calibration = {
        "temperature": lambda: Temperature(temperature),
        "vector": lambda: VectorScaling(10 * temperature, random(3).exp(), random(3)),
        "dirichlet": lambda: Dirichlet(10 * temperature, random(3, 3), random(3)),
    }[request.param]()
    return CalibratedClassifier(classifier, calibration)


@pytest.fixture
def patches():
    return random_patches(4, (9, 10, 11), 0)


def run(graph, patches):
    return graph(patches.image, patches.roi, patches.spacing)


def test_it_gives_what_the_classifier_gives(calibrated, patches):
    encoder = Pooled()
    wanted = calibrated.predict_proba(Features({encoder.identity: encoder(patches)}))
    torch.testing.assert_close(run(PatchClassifier([encoder], calibrated), patches), wanted.float())


def test_leaves_there_and_back(calibrated):
    found = leaves(calibrated)
    assert len(found) == len({id(t) for t in found.values()}) >= 7
    again = leaves(with_leaves(calibrated, {k: t + 1 for k, t in found.items()}))
    assert list(again) == list(found)
    for name, tensor in found.items():
        torch.testing.assert_close(again[name], tensor + 1)


def test_every_number_is_state_and_counts(calibrated, patches):
    graph = PatchClassifier([Pooled()], calibrated)
    before = run(graph, patches)
    # Of two limits that clip nothing, a floor far below any length, the outcome cannot tell.
    counting = [n for n in graph.state_dict() if not n.endswith("floor")]
    for name in counting:
        state = {k: t.clone() for k, t in graph.state_dict().items()}
        state[name] = state[name] * 0.5 + 0.1
        changed = PatchClassifier([Pooled()], calibrated)
        changed.load_state_dict(state)
        assert not torch.allclose(run(changed, patches), before, atol=1e-7), name


def test_what_is_no_module_is_refused(calibrated):
    class Function:
        name = "function"

    with pytest.raises(UsageError, match="no torch module"):
        PatchClassifier([Function()], calibrated)


@pytest.mark.parametrize(("precision", "kind"), [("float16", torch.half), ("int8", torch.int8)])
def test_fewer_bits_are_stored_and_lose_little(calibrated, patches, precision, kind):
    graph = PatchClassifier([Pooled()], calibrated)
    before, weight = run(graph, patches), graph.encoders[0].layer.weight.clone()
    assert reduce_weights(graph.encoders, precision) == weight.numel()
    assert kind in {t.dtype for t in graph.state_dict().values()}
    step = weight.abs().amax(dim=(1, 2, 3, 4), keepdim=True) / (127 if kind == torch.int8 else 1024)
    assert bool(((graph.encoders[0].layer.weight - weight).abs() <= step * 0.5001).all())
    torch.testing.assert_close(run(graph, patches), before, atol=0.02, rtol=0)


def test_formulas_have_no_weights_to_reduce():
    with pytest.raises(UsageError, match="would change nothing"):
        reduce_weights(torch.nn.ReLU(), "int8")
