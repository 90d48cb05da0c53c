"""A model whose features another package brings says which, wherever it goes."""

import json
from itertools import islice

import pytest
import torch

from medfs.core.errors import MissingExtraError, PluginError
from medfs.scans.write import write_nifti
from medfs.synthesis.cohorts import simulate_cohort
from medfs.workflows.adapt import AdaptRequest, adapt
from medfs.workflows.bundle import write_bundle
from medfs.workflows.components import build_encoders
from medfs.workflows.predict import load_predictor


@pytest.fixture
def support(tmp_path):
    for i, case in enumerate(islice(simulate_cohort(3, 0), 6)):
        folder = tmp_path / "cases" / case.label
        folder.mkdir(parents=True, exist_ok=True)
        write_nifti(folder / f"case-{i}.nii.gz", case.voxels, case.affine, "int16")
    return tmp_path / "cases"


@pytest.fixture
def acme(tmp_path):
    """Where a package lies that brings one encoder under its name, and one under another."""
    facts = tmp_path / "site" / "acme-1.2.3.dist-info"
    facts.mkdir(parents=True)
    (facts.parent / "acme.py").write_text(
        "from medfs.features.layout import Layout\n\nclass Acme(Layout):\n    name = 'acme'\n"
    )
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.2.3\n")
    (facts / "entry_points.txt").write_text(
        "[medfs.backbones]\nacme = acme:Acme\nother = acme:Acme\n"
    )
    return facts.parent


def test_it_names_the_package_where_that_is_missing(support, acme, tmp_path, monkeypatch):
    model, bundle = tmp_path / "model", tmp_path / "bundle"
    with monkeypatch.context() as installed:
        installed.syspath_prepend(acme)
        adapt(AdaptRequest(support, model, features=("acme",), use_cache=False))
        load_predictor(model, "cpu")
        write_bundle(model, bundle)
    needed = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert needed["required_packages_version"]["acme"] == "1.2.3"
    with pytest.raises(MissingExtraError, match=r"'acme'.*Install acme 1\.2\.3") as told:
        load_predictor(model, "cpu")
    assert str(model) in str(told.value)


def test_an_encoder_with_two_names_is_refused(acme, monkeypatch):
    monkeypatch.syspath_prepend(acme)
    with pytest.raises(PluginError, match=r"'other' calls itself 'acme'.*acme 1\.2\.3"):
        build_encoders(("other",), {}, torch.device("cpu"))
