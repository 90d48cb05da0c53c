"""The mixture mapper on radiomics and a backbone: trained, resumed, put to use by adapt."""

import pytest
import torch

from medfs.core.errors import ConfigError, IntegrityError, UsageError
from medfs.export.mapper_file import read_mapper
from medfs.features.backbones import resnet10
from medfs.workflows.candidates import candidates, extractors
from medfs.workflows.components import build_encoders
from medfs.workflows.meta.run import CHECKPOINT
from medfs.workflows.meta.train import MAPPER, meta_train
from medfs.workflows.recipes import AUTO

from .conftest import make_config

TASKS = {
    "kind": "synthetic-features",
    "shape": [16, 16, 16],
    "n_way": [2],
    "n_shot": [1, 2],
    "n_query": 2,
    "pool": 2,
}


def _weights(folder, seed):
    from monai.networks import nets

    torch.manual_seed(seed)
    net = nets.resnet10(
        spatial_dims=3, n_input_channels=1, feed_forward=False, bias_downsample=False
    )
    torch.save({"state_dict": net.state_dict()}, folder / f"{seed}.pth")
    return folder / f"{seed}.pth"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return _weights(tmp_path_factory.mktemp("weights"), 0)


@pytest.fixture
def large():
    config = make_config(
        mapper={"name": "mixture", "settings": {"experts": 4, "width": 4}},
        features=["radiomics"],
        train={"a": TASKS},
        validation={"b": TASKS | {"seed": 1}},
        loop={"steps": 2, "tasks": 2, "validate_every": 1, "validation_batches": 1},
    )
    return config.with_features(("radiomics", "resnet10"))


def test_a_mapper_of_joined_features_is_trained_and_found_by_adapt(request_for, large, weights):
    request = request_for(large, weights={"resnet10": weights})
    report = meta_train(request)
    assert report["config"]["features"] == ["radiomics", "resnet10"]
    known = read_mapper(request.out / MAPPER)
    assert known.encoders == ("radiomics-2", resnet10(weights).identity)
    spec = f"mixture={request.out / MAPPER}"
    names = extractors((AUTO,), {"resnet10": weights})
    encoders = build_encoders(names, {"resnet10": weights}, torch.device("cpu"))
    (only,) = candidates((AUTO,), encoders, spec)
    assert only.identities == known.encoders
    with pytest.raises(UsageError, match="trained on other features"):
        candidates(("radiomics",), encoders[:1], spec)


def test_a_run_does_not_go_on_with_other_weights(request_for, large, weights, tmp_path):
    first = request_for(large, weights={"resnet10": weights})
    meta_train(first)
    (first.out / MAPPER).unlink()
    assert (first.out / CHECKPOINT).is_file()
    other = request_for(large, weights={"resnet10": _weights(tmp_path, 1)}, resume=True)
    with pytest.raises((ConfigError, IntegrityError)):
        meta_train(other)


def test_weights_of_what_is_not_used_are_refused(request_for, config, weights):
    with pytest.raises(UsageError, match="resnet10"):
        meta_train(request_for(config(), weights={"resnet10": weights}))


def test_features_beside_an_encoder_that_is_trained_are_refused():
    tasks = {"a": TASKS | {"kind": "synthetic"}}
    config = make_config(encoder={}, train=tasks, validation=tasks)
    with pytest.raises(ConfigError, match="no feature extractor can be named"):
        config.with_features(("radiomics",))
