"""Sets of classes: what is guaranteed holds in simulations, and the rule is that of MAPIE."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.errors import UsageError
from medfs.core.prediction_sets import (
    CV,
    JACKKNIFE,
    SPLIT,
    PredictionSets,
    guaranteed,
    highest_level,
    in_set,
    p_values,
    patients_needed,
    strangeness,
)
from medfs.core.theta import LinearHead, Theta


def jackknife_trials(rng, trials, n, spread):
    """Whether a new patient's class is kept, where each classifier is the mean of its patients.

    A closed-form mapper: strangeness is the distance from the mean of the patients that a
    classifier has seen. `spread` draws patients of one class.
    """
    x = spread(rng, (trials, n + 1))
    seen, new = torch.from_numpy(x[:, :n]), torch.from_numpy(x[:, n:])
    means = (seen.sum(dim=1, keepdim=True) - seen) / (n - 1)
    known, asked = (seen - means).abs(), (new - means).abs()
    labels = torch.zeros(n, dtype=torch.long)
    p = torch.stack(
        [p_values(k, labels, a[None], 1)[0, 0] for k, a in zip(known, asked, strict=True)]
    )
    return p


SPREADS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy": lambda rng, shape: rng.standard_cauchy(size=shape),
    "two groups": lambda rng, shape: rng.normal(size=shape) + 8 * (rng.random(shape) < 0.2),
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("n", [5, 20])
def test_jackknife_sets_hold_at_least_what_is_guaranteed_and_about_what_is_nominal(spread, n):
    trials = 10_000
    p = jackknife_trials(np.random.default_rng(n), trials, n, SPREADS[spread])
    for level in (0.6, 0.7, 0.8, 0.95):
        if level > highest_level(n):
            continue
        kept = in_set(p[:, None], torch.tensor([n]), level).double().mean().item()
        error = 3 * (0.25 / trials) ** 0.5
        assert kept >= guaranteed(JACKKNIFE, level, n, n) - error
        assert kept >= level - 0.06


@pytest.mark.parametrize("n", [4, 9, 19])
def test_split_sets_hold_exactly_what_they_promise_where_n_supports_it(n):
    rng, trials = np.random.default_rng(n), 20_000
    scores = torch.from_numpy(rng.exponential(size=(trials, n + 1)))
    p = (1 + (scores[:, :n] >= scores[:, n:]).double().sum(dim=1)) / (n + 1)
    ours = torch.cat(
        [
            p_values(row[:n], torch.zeros(n).long(), row[n:].expand(1, n), 1)[0]
            for row in scores[:500]
        ]
    )
    torch.testing.assert_close(ours, p[:500].double())
    level = highest_level(n)
    kept = in_set(p[:, None].double(), torch.tensor([n]), level).double().mean().item()
    assert kept == pytest.approx(level, abs=0.012)


def test_above_the_highest_level_a_class_can_never_be_left_out():
    n = 10
    lowest = torch.tensor([[1 / (n + 1)]], dtype=torch.float64)
    assert not in_set(lowest, torch.tensor([n]), highest_level(n))
    assert in_set(lowest, torch.tensor([n]), highest_level(n) + 1e-6)
    assert patients_needed(highest_level(n)) == n
    assert [patients_needed(a) for a in (0.5, 0.8, 0.9, 0.95)] == [1, 4, 9, 19]


def test_a_level_that_is_met_exactly_is_met_whatever_its_last_bit():
    for n in range(1, 60):
        for k in range(1, n + 1):
            level = 1 - k / (n + 1)
            p = torch.tensor([[k / (n + 1), (k + 1) / (n + 1)]], dtype=torch.float64)
            assert in_set(p, torch.tensor([n, n]), level).tolist() == [[False, True]]


def test_guarantees_are_those_of_the_papers():
    assert guaranteed(SPLIT, 0.9, 9, 1) == 0.9
    assert guaranteed(JACKKNIFE, 0.9, 10, 10) == pytest.approx(0.8)
    assert guaranteed(JACKKNIFE, 0.4, 10, 10) == 0
    n, k = 100, 20
    expected = 1 - 0.2 - min(2 * (1 - 1 / k) / (n / k + 1), (1 - k / n) / (k + 1))
    assert guaranteed(CV, 0.9, n, k) == pytest.approx(expected)


@given(st.integers(2, 4), st.integers(1, 8), st.integers(0, 999))
def test_permuting_classes_permutes_sets_and_order_of_patients_is_nothing(way, n, seed):
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(way).repeat(n)
    known = torch.randn(way * n, generator=g).double()
    asked = torch.randn(3, way * n, generator=g).double()
    p = p_values(known, labels, asked, way)
    assert ((p > 0) & (p <= 1)).all()
    shuffled = torch.randperm(way * n, generator=g)
    again = p_values(known[shuffled], labels[shuffled], asked[:, shuffled], way)
    assert torch.equal(p, again)
    order = torch.randperm(way, generator=g)
    turned = p_values(known, torch.argsort(order)[labels], asked, way)
    assert torch.equal(p[:, order], turned)


def test_a_higher_level_never_makes_a_set_smaller():
    p = torch.rand(50, 3).double()
    n = torch.tensor([10, 10, 10])
    for low, high in ((0.1, 0.5), (0.5, 0.8), (0.8, 0.9)):
        assert not (in_set(p, n, low) & ~in_set(p, n, high)).any()


def test_strangeness_is_the_log_odds_against_a_class_and_does_not_saturate():
    z = torch.randn(6, 4).double()
    p = torch.softmax(z, dim=1)
    torch.testing.assert_close(strangeness(z), ((1 - p) / p).log())
    far = strangeness(torch.tensor([[300.0, 0.0], [400.0, 0.0]]).double())
    assert far.tolist() == [[-300, 300], [-400, 400]]


class Given:
    """A fitted classifier for MAPIE whose features are its probabilities."""

    def __init__(self, way):
        self.classes_ = np.arange(way)
        self.n_features_in_ = way

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.asarray(X)

    def predict(self, X):
        return np.asarray(X).argmax(axis=1)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            "classifier", TargetTags(required=True), None, ClassifierTags(), None, InputTags()
        )

    def get_params(self, deep=True):
        return {"way": len(self.classes_)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("level", [0.6, 0.75, 0.9])
def test_split_sets_are_mapies_class_by_class(level):
    pytest.importorskip("mapie")
    from mapie.classification import SplitConformalClassifier

    rng, way = np.random.default_rng(3), 3
    labels = rng.integers(way, size=90)
    probabilities = rng.dirichlet(np.ones(way), size=90)
    new = rng.dirichlet(np.ones(way), size=200)
    z, z_new = torch.from_numpy(np.log(probabilities)), torch.from_numpy(np.log(new))
    y = torch.from_numpy(labels)
    known = strangeness(z)[torch.arange(90), y]
    ours = in_set(p_values(known, y, strangeness(z_new)[:, y], way), torch.bincount(y), level)
    for k in range(way):
        theirs = SplitConformalClassifier(
            Given(way), confidence_level=level, conformity_score="lac", prefit=True
        )
        theirs.conformalize(probabilities[labels == k], labels[labels == k])
        kept = theirs.predict_set(new)[1][:, k, 0]
        np.testing.assert_array_equal(ours[:, k].numpy(), kept)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("level", [0.6, 0.75, 0.9])
def test_split_sets_are_torchcps_class_conditional_ones(level):
    # Its import needs torchsort, torch_geometric and transformers: a development tool by hand.
    torchcp = pytest.importorskip("torchcp.classification", reason="torchcp is not installed")

    rng, way = np.random.default_rng(4), 3
    y = torch.from_numpy(rng.integers(way, size=90))
    z, z_new = (torch.from_numpy(3 * rng.normal(size=(n, way))) for n in (90, 200))
    known = strangeness(z)[torch.arange(90), y]
    ours = in_set(p_values(known, y, strangeness(z_new)[:, y], way), torch.bincount(y), level)
    theirs = torchcp.predictor.ClassConditionalPredictor(
        torchcp.score.LAC(), alpha=1 - level, device=torch.device("cpu")
    )
    theirs.calculate_threshold(z, y)
    kept = theirs.predict_with_logits(z_new)
    torch.testing.assert_close(ours, kept.bool())
    assert 0.05 < float(ours.double().mean()) < 0.95


@pytest.mark.filterwarnings("ignore")
def test_jackknife_sets_are_mapies_with_one_patient_left_out_at_a_time():
    pytest.importorskip("mapie")
    from mapie.classification import CrossConformalClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneOut

    rng, n = np.random.default_rng(5), 24
    y = np.arange(n) % 2
    x = rng.normal(size=(n, 3)) + 0.8 * y[:, None]
    new = rng.normal(size=(60, 3)) + 0.4
    theirs = CrossConformalClassifier(
        LogisticRegression(),
        confidence_level=[0.8, 0.85],
        conformity_score="lac",
        cv=LeaveOneOut(),
    )
    theirs.fit_conformalize(x, y)
    equal, wider = np.moveaxis(theirs.predict_set(new, agg_scores="crossval")[1], 2, 0)
    known, asked = [], []
    for i in range(n):
        rest = np.arange(n) != i
        model = LogisticRegression().fit(x[rest], y[rest])
        known.append(1 - model.predict_proba(x[i : i + 1])[0, y[i]])
        asked.append(1 - model.predict_proba(new))
    # MAPIE compares all patients with each class; medfs those of the class alone.
    whole, count = torch.zeros(n, dtype=torch.long), torch.tensor([n])
    for k in range(2):
        of_class = torch.from_numpy(np.stack([a[:, k] for a in asked], axis=1))
        p = p_values(torch.tensor(known), whole, of_class, 1)
        np.testing.assert_array_equal(in_set(p, count, 0.8)[:, 0].numpy(), equal[:, k])
        # The theorem counts patients against α(n + 1) − 1, MAPIE 1.6 against α(n − 1), which is
        # more: where a whole number lies between the two, its sets lack what the theorem asks for.
        ours = in_set(p, count, 0.85)[:, 0].numpy()
        assert (ours >= wider[:, k]).all()
        assert (ours != wider[:, k]).any()


@given(
    seed=st.integers(0, 500),
    counts=st.lists(st.integers(1, 12), min_size=2, max_size=4),
    level=st.floats(0.05, 0.999),
)
def test_a_bound_per_class_gives_the_same_sets(seed, counts, level):
    generator = torch.Generator().manual_seed(seed)
    way = len(counts)
    labels = torch.repeat_interleave(torch.arange(way), torch.tensor(counts))
    # Few different scores: ties are common.
    scores = torch.randint(-3, 4, (len(labels),), generator=generator).double() / 2
    weight = torch.randn(way, 2, generator=generator, dtype=torch.float64)
    member = Theta((), LinearHead(weight, torch.zeros(way, dtype=torch.float64)))
    one = torch.tensor(1.0, dtype=torch.float64)
    sets = PredictionSets(SPLIT, (member,), one, scores, labels, torch.zeros_like(labels))
    x = torch.randn(20, 2, generator=generator, dtype=torch.float64)
    assert torch.equal(sets.rule(level)(x), sets(x, level))


def test_sets_of_several_classifiers_have_no_rule_of_one():
    labels = torch.tensor([0, 1])
    member = Theta((), LinearHead(torch.zeros(2, 1), torch.zeros(2)))
    sets = PredictionSets(
        JACKKNIFE, (member, member), torch.tensor(1.0), torch.zeros(2), labels, labels
    )
    with pytest.raises(UsageError, match="cannot be exported"):
        sets.rule(0.5)
