"""Configurations are read strictly, and those that are shipped can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.errors import ConfigError, EpisodeError
from medfs.storage.configs import config_names
from medfs.workflows.meta.config import load_config, parse_config
from medfs.workflows.meta.learners import build_learner
from medfs.workflows.meta.schedule import rate_at

from .conftest import GAUSSIAN, make_config


@pytest.mark.parametrize("name", config_names("meta-train"))
def test_shipped_configurations_build_a_learner(name):
    config = load_config(name)
    assert sum(p.numel() for p in build_learner(config, 45).parameters()) > 0


def test_plain_data_give_the_same_configuration():
    config = make_config(seed=3)
    assert parse_config(config.to_dict(), "again") == config


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lop": {}}, "'loop'"),
        ({"loop": {"stps": 3}}, "'steps'"),
        ({"loop": {"steps": "3"}}, "loop.steps"),
        ({"loop": {"steps": True}}, "loop.steps"),
        ({"loop": {"steps": 0}}, "loop.steps"),
        ({"optimiser": {"rate": float("nan")}}, "optimiser.rate"),
        ({"train": {}}, "train"),
        ({"train": {"a": {"kind": "gausian"}}}, "gausian"),
        ({"train": {"a": {**GAUSSIAN, "n_shot": [0]}}}, "n_shot"),
        ({"train": {"a": {**GAUSSIAN, "n_way": [1]}}}, "n_way"),
        ({"train": {"a": {**GAUSSIAN, "weight": -1}}}, "weight"),
        ({"train": {"a": {"kind": "synthetic"}}}, "encoder"),
        ({"train": {"a": {"kind": "synthetic-features"}}}, "feature extractor"),
        ({"encoder": {}}, "volumes"),
        ({"encoder": {}, "features": ["radiomics"]}, "no feature extractor"),
    ],
)
def test_what_does_not_fit_is_named(changes, said):
    with pytest.raises(ConfigError, match=said):
        make_config(**changes)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["kind", "train", "loop", "a"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_other_content_is_refused_in_words(content):
    with pytest.raises(ConfigError):
        make_config(train=content)


@pytest.mark.parametrize("name", ["ridge", "prototype"])
def test_a_mapper_with_nothing_to_learn_is_refused(name):
    with pytest.raises(ConfigError, match=r"nothing to learn|cannot be meta-trained"):
        build_learner(make_config(mapper={"name": name}), 6)


def test_a_recipe_cannot_be_taken_over_for_a_mapper_without_parameters():
    recipe = make_config(mapper={"name": "r2d2", "settings": {"embedding": "population"}})
    with pytest.raises(ConfigError, match="cannot be meta-trained"):
        build_learner(recipe.with_mapper("ridge"), 6)


def test_an_unknown_setting_of_a_mapper_is_named():
    with pytest.raises(ConfigError, match="hiden"):
        build_learner(make_config(mapper={"name": "r2d2", "settings": {"hiden": 4}}), 6)


def test_the_rate_rises_then_falls_and_never_is_negative():
    config = make_config(loop={"steps": 100}, optimiser={"rate": 0.5, "warm_up": 10})
    rates = [rate_at(step, config.optimiser, config.loop) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert min(rates) > 0
    assert max(rates) == pytest.approx(0.5)
    assert rates[-1] < 0.001


def test_impossible_synthetic_tasks_are_refused(request_for):
    from medfs.workflows.meta.train import meta_train

    tiny = {"kind": "synthetic", "scenes": ["nowhere"]}
    config = make_config(encoder={"widths": [2]}, train={"a": tiny}, validation={"a": tiny})
    with pytest.raises(EpisodeError, match="nowhere"):
        meta_train(request_for(config))
