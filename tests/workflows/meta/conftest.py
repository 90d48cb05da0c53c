"""Runs that take a second."""

import pytest

from medfs.workflows.meta.config import parse_config
from medfs.workflows.meta.run import MetaRequest

GAUSSIAN = {"kind": "gaussian", "n_features": 6, "n_way": [3], "n_shot": [1, 3], "n_query": 5}


def make_config(**changes):
    content = {
        "mapper": {"name": "prototype", "settings": {"embedding": "population"}},
        "train": {"family": GAUSSIAN},
        "validation": {"family": GAUSSIAN},
        "optimiser": {"rate": 0.02, "warm_up": 2},
        "loop": {"steps": 12, "tasks": 4, "validate_every": 3, "validation_batches": 2},
    }
    return parse_config(content | changes, "test.yaml")


@pytest.fixture
def config():
    return make_config


@pytest.fixture
def request_for(tmp_path):
    def make(config, name="run", **options):
        return MetaRequest(config, tmp_path / name, use_cache=False, **options)

    return make
