"""Which mapper adapts: the one that comes with medfs, another one, or the fallback."""

from dataclasses import replace

import pytest
import torch

from medfs.core.classifiers import Classifier
from medfs.core.errors import UsageError
from medfs.core.theta import LinearHead, Theta
from medfs.testing.samples import random_support
from medfs.workflows.candidates import methods
from medfs.workflows.components import build_encoders
from medfs.workflows.fit import fit
from medfs.workflows.recipes import (
    AUTO,
    PLAIN,
    SHIPPED,
    Recipe,
    recipe,
    shipped_identity,
    shipped_mapper,
    spec_of,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def radiomics():
    return build_encoders(("radiomics",), {}, CPU)


class Other:
    name, identity, feature_names = "other", "other-1", ("a", "b")


def test_the_shipped_mapper_is_the_default_where_it_knows_the_features(radiomics):
    chosen = recipe(AUTO, radiomics)
    assert chosen.name == SHIPPED
    assert chosen.identity == shipped_identity(shipped_mapper())
    assert chosen.fallback.name == PLAIN


def test_other_features_get_plain_ridge_and_a_reason():
    chosen = recipe(AUTO, (Other(),))
    assert (chosen.name, chosen.fallback) == (PLAIN, None)
    assert "other-1" in chosen.reason
    with pytest.raises(UsageError, match="trained on other features"):
        recipe(SHIPPED, (Other(),))


def test_a_name_means_that_mapper_and_nothing_stands_by(radiomics):
    chosen = recipe("prototype", radiomics)
    assert (chosen.name, chosen.identity, chosen.fallback) == ("prototype", "prototype", None)


def test_the_same_mapper_twice_is_refused(radiomics):
    with pytest.raises(UsageError, match="given twice"):
        methods((AUTO, SHIPPED), ("radiomics",), radiomics)


def _constant(width):
    """A mapper that is sure of the first class whatever it is shown."""

    def of(support):
        weight = torch.zeros(support.n_way, width, dtype=torch.float64)
        bias = torch.zeros(support.n_way, dtype=torch.float64)
        bias[0] = 40.0
        theta = Theta((), LinearHead(weight, bias))
        return Classifier(support.features.identities, theta, support.class_names)

    return of


def _support(signal):
    """Twelve patients of each of two classes, apart in the first feature."""
    support = random_support((12, 12), seed=3)
    blocks = {name: rows.clone() for name, rows in support.features.blocks.items()}
    first = next(iter(blocks.values()))
    first[:, 0] += signal * support.labels
    return replace(support, features=type(support.features)(blocks))


def _recipes(support):
    from medfs.mappers.ridge import Ridge

    width = support.features.joined().shape[1]
    plain = Recipe(PLAIN, PLAIN, Ridge(width), "stands by")
    return Recipe("bad", "bad-1", _constant(width), "on trial", plain), plain


def test_the_fallback_takes_over_where_held_out_cases_clearly_prefer_it():
    support = _support(signal=6)
    bad, plain = _recipes(support)
    fitted = fit(support, bad, seed=0)
    assert fitted.used.name == PLAIN
    assert "left-out cases" in fitted.reason
    assert "bad" in fitted.reason
    alone = fit(support, plain, seed=0)
    assert fitted.log_likelihood == alone.log_likelihood
    assert torch.equal(fitted.calibrated.temperature, alone.calibrated.temperature)


def test_a_mapper_that_does_as_well_stays():
    support = _support(signal=6)
    _, plain = _recipes(support)
    same = replace(plain, reason="on trial", fallback=plain)
    assert fit(support, same, seed=0).reason == "on trial"


def test_without_held_out_cases_nothing_is_decided():
    support = random_support((1, 1), seed=0)
    bad, _ = _recipes(support)
    fitted = fit(support, bad, seed=0)
    assert (fitted.used.name, fitted.log_likelihood) == ("bad", None)


def test_a_model_says_which_mapper_made_it():
    known = shipped_identity(shipped_mapper())
    assert spec_of(known) == SHIPPED
    assert spec_of("prototype") == "prototype"
    for other in (f"{known}-site-0123abcd", "mine-0123abcd", "None"):
        with pytest.raises(UsageError, match="is not at hand"):
            spec_of(other)
