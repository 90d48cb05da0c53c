"""A small calibrated classifier and its model folder."""

import pytest
import torch

from medfs.core.calibration import Dirichlet
from medfs.core.classifiers import CalibratedClassifier, Classifier
from medfs.core.guards import N_OF_TISSUE, Neighbourhood, Ranges, ScanGuard
from medfs.core.measured import MEASURES
from medfs.core.theta import LinearHead, Standardizer, Theta
from medfs.export.model_folder import ModelContent, write_model
from medfs.preprocess.presets import load_preset


def make_content(way=3, features=5, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    limit = torch.tensor(2.0).double()
    theta = Theta(
        (Standardizer(random(features), random(features).exp(), limit),),
        LinearHead(random(way, features), random(way)),
    )
    classifier = Classifier(
        ("radiomics-1", "resnet10-abc"),
        theta,
        tuple(f"class ä{i}" for i in range(way)),
    )
    calibration = Dirichlet(torch.tensor(1.7).double(), random(way, way), random(way))
    return ModelContent(
        calibrated=CalibratedClassifier(classifier, calibration),
        encoders=("radiomics", "resnet10"),
        encoder_weights={"resnet10.conv1.weight": random(2, 2).float()},
        preset=load_preset("ct-lung").to_dict(),
        settings={"mapper": "ridge", "seed": 0},
        report={"n": [1, 2], "note": "µ"},
        guard=make_guard(classifier.encoders, way, features + N_OF_TISSUE, random),
    )


def make_guard(encoders, way, n, random):
    low = random(len(MEASURES))
    near = Neighbourhood(
        middle=random(n),
        rate=random(n).exp(),
        within=random(n).exp(),
        centres=random(way, n),
        directions=torch.linalg.qr(random(n, 4)).Q.T,
        variances=random(4).exp(),
        rest=random().exp(),
        limit=random().exp(),
    )
    return ScanGuard(encoders, ("CT",), Ranges(low, low + 1, low + 2, low + 3), near)


@pytest.fixture
def content():
    return make_content()


@pytest.fixture
def model(tmp_path, content):
    write_model(tmp_path / "model", content, {"cases.csv": "case-001,Mueller\n"})
    return tmp_path / "model"
