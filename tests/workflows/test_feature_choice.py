"""Features are chosen by held-out cases, and hardly ever by luck."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from medfs import FewShotClassifier
from medfs.core.episodes import SupportSet
from medfs.core.errors import UsageError
from medfs.core.features import Features
from medfs.mappers.ridge import Ridge
from medfs.scans.write import write_nifti
from medfs.workflows.adapt import AdaptRequest, adapt
from medfs.workflows.candidates import Candidate, at_home, candidates, extractors
from medfs.workflows.components import build_encoders
from medfs.workflows.evaluate import EvaluateRequest, evaluate
from medfs.workflows.feature_choice import as_mapper, choose, decide, margin
from medfs.workflows.predict import load_predictor, predict
from medfs.workflows.recipes import AUTO, PLAIN, SHIPPED, Recipe
from medfs.workflows.sources import FileSource
from medfs.workflows.wording import in_words

CPU = torch.device("cpu")


class Numbers:
    feature_names = tuple("abcdef")

    def __init__(self, name):
        self.name, self.identity = name, f"{name}-1"


HOME, RIVAL = Numbers("home"), Numbers("rival")


def three():
    """Home, a rival, both."""
    sets = [(HOME,), (RIVAL,), (HOME, RIVAL)]
    return [Candidate(s, Recipe(PLAIN, PLAIN, Ridge(6 * len(s)), "tried")) for s in sets]


def support(seed, per_class=10, home=0.0, rival=0.0):
    """Normal numbers; classes lie apart in the first of them."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(2 * per_class) % 2
    blocks = {}
    for encoder, signal in ((HOME, home), (RIVAL, rival)):
        rows = torch.randn(2 * per_class, 6, generator=generator)
        rows[:, 0] += signal * labels
        blocks[encoder.identity] = rows
    return SupportSet(Features(blocks), labels, torch.arange(2 * per_class), ("a", "b"))


def test_a_rival_must_be_better_by_the_margin():
    assert margin(2) == pytest.approx(math.log(40))
    assert margin(4) > margin(2)
    assert decide([-10.0, -10.0 + margin(2) - 0.01, -12.0]) == 0
    assert decide([-10.0, -10.0 + margin(2) + 0.01, -12.0]) == 1
    assert decide([-10.0, -5.0, -4.0]) == 2
    assert decide([-10.0]) == 0


def test_what_tells_the_classes_apart_is_chosen():
    choice = choose(support(0, rival=6), three(), seed=0)
    assert choice.names == ("rival",)
    assert choice.support.features.identities == ("rival-1",)
    assert choice.fitted.calibrated.classifier.encoders == ("rival-1",)
    assert [row["features"] for row in choice.table] == [
        ["home-1"],
        ["rival-1"],
        ["home-1", "rival-1"],
    ]
    told = [row["log_likelihood"] for row in choice.table]
    assert told[1] > told[0] + margin(2)
    assert choice.fitted.log_likelihood == told[1]
    assert choice.reason.startswith("rival, by")
    assert f"{told[0]:.1f}" in choice.reason
    assert json.loads(json.dumps(choice.described()))["feature_choice"]["candidates"]


@pytest.mark.parametrize("home", [0.0, 3.0])
def test_home_is_hardly_ever_left_by_luck(home):
    left = [choose(support(s, 5, home=home), three(), 0).names != ("home",) for s in range(20)]
    # Where there is nothing to be seen it does not matter either.
    assert sum(left) <= (2 if home == 0 else 0)


def test_the_choice_does_not_depend_on_the_order_of_cases_or_on_other_calls():
    given = support(3, rival=2)
    first, again = (choose(given, three(), 0) for _ in range(2))
    assert first.table == again.table
    assert first.reason == again.reason


def test_a_single_patient_of_a_class_leaves_nothing_to_choose_by():
    choice = choose(support(0, per_class=1, rival=50), three(), seed=0)
    assert choice.names == ("home",)
    assert "single patient" in choice.reason
    assert choice.table == ()


def test_what_the_user_named_is_not_questioned():
    choice = choose(support(0, rival=6), three()[:1], seed=0)
    assert (choice.names, choice.described()) == (("home",), {})


def test_as_a_mapper_it_says_which_features_it_reads():
    made = as_mapper(three(), 0)(support(0, rival=6))
    assert made.encoders == ("rival-1",)
    assert as_mapper(three()[:1], 0) is not None


def test_features_of_another_support_are_refused():
    bare = support(0)
    other = SupportSet(bare.features.pick(["home-1"]), bare.labels, bare.patients, ("a", "b"))
    with pytest.raises(UsageError, match="rival-1"):
        choose(other, three(), 0)


def test_auto_stands_for_radiomics_layout_and_every_backbone_with_weights():
    assert extractors((AUTO,), {}) == ("radiomics", "layout")
    given = {"resnet18": "x", "resnet10": "y"}
    assert extractors((AUTO,), given) == ("radiomics", "layout", "resnet10", "resnet18")
    assert extractors(("layout",), {}) == ("layout",)
    with pytest.raises(UsageError, match="stands alone"):
        extractors((AUTO, "layout"), {})


@pytest.fixture(scope="module")
def encoders():
    return build_encoders(("radiomics", "layout"), {}, CPU)


def test_the_shipped_mapper_reads_radiomics_and_ridge_the_rest(encoders):
    asked = candidates((AUTO,), encoders, AUTO)
    assert [[e.name for e in c.encoders] for c in asked] == [
        ["radiomics"],
        ["layout"],
        ["radiomics", "layout"],
    ]
    assert [c.recipe.name for c in asked] == [SHIPPED, PLAIN, PLAIN]
    assert [c.recipe.name for c in candidates((AUTO,), encoders, "prototype")] == ["prototype"] * 3


def test_what_is_kept_depends_on_whether_the_finding_is_known(encoders):
    asked = candidates((AUTO,), encoders, AUTO)
    assert at_home(asked, True) == asked
    both, *others = at_home(asked, False)
    assert [e.name for e in both.encoders] == ["radiomics", "layout"]
    assert others == [asked[0], asked[1]]
    named = candidates(("layout",), encoders[1:], AUTO)
    assert at_home(named, False) == named


def test_a_trained_mapper_reads_what_it_was_trained_on(encoders):
    (only,) = candidates((AUTO,), encoders, SHIPPED)
    assert only.encoders == (encoders[0],)
    with pytest.raises(UsageError, match="trained on other features"):
        candidates(("layout",), encoders[1:], SHIPPED)
    with pytest.raises(UsageError, match="no mapper"):
        candidates((AUTO,), encoders, "nonsense")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A ball on the left or on the right in a bright frame; radiomics do not tell sides apart."""
    folder = tmp_path_factory.mktemp("places")
    grid = np.stack(np.meshgrid(*(np.arange(32.0),) * 3, indexing="ij"))
    lines = []
    for i in range(16):
        rng = np.random.default_rng(i)
        centre = np.array([8 if i % 2 else 23, 15.5, 15.5]) + rng.uniform(-3, 3, size=3)
        ball = np.square(grid - centre[:, None, None, None]).sum(0) < 30
        frame = (np.abs(grid - 15.5) > 14).any(0)
        image = rng.normal(0, 5, size=ball.shape) + 100 * (ball | frame)
        # A mark in the middle, whatever the side: the patch shows all of the scan.
        mark = np.abs(grid - 15.5).max(0) < 14
        write_nifti(folder / f"{i}.nii.gz", image, np.eye(4), "int16")
        write_nifti(folder / f"{i}_mask.nii.gz", mark, np.eye(4), "uint8")
        side = "left" if i % 2 else "right"
        lines.append([f"c{i}", f"{i}.nii.gz", f"{i}_mask.nii.gz", f"p{i}", side])
    for name, has_masks in (("marked.csv", True), ("cases.csv", False)):
        with (folder / name).open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["case", "image", "mask", "patient", "label"])
            rows.writerows([*line[:2], line[2] if has_masks else "", *line[3:]] for line in lines)
    return folder


def test_adapt_keeps_the_features_that_were_chosen_and_no_others(places, tmp_path):
    request = AdaptRequest(places / "marked.csv", tmp_path / "model", preset="mr")
    report = adapt(request).report
    assert report["components"]["features"] == ["layout-1"]
    assert in_words(report).startswith(
        "features: layout, by the log-likelihood of left-out cases (radiomics "
    )
    rows = report["feature_choice"]["candidates"]
    assert [row["mapper"] for row in rows][1:] == [PLAIN, PLAIN]
    predictor = load_predictor(tmp_path / "model")
    assert [e.name for e in predictor.embedder.encoders] == ["layout"]
    predictions = list(predict(predictor, places / "marked.csv"))
    for i, said in enumerate(predictions):
        assert said.best(predictor.class_names) == ("left" if i % 2 else "right")
    alone = next(iter(predictor([FileSource(predictions[3].case, True)])))
    assert alone.probabilities == predictions[3].probabilities
    adapt(AdaptRequest(places / "marked.csv", tmp_path / "again", preset="mr"))
    for name in ("model.json", "report.json", "weights.safetensors"):
        one, other = ((tmp_path / m / name).read_bytes() for m in ("model", "again"))
        assert one == other


def test_without_masks_radiomics_and_layout_are_read_together(places, tmp_path):
    report = adapt(AdaptRequest(places / "cases.csv", tmp_path / "model", preset="mr")).report
    assert report["components"]["features"] == ["radiomics-2", "layout-1"]
    assert "radiomics + layout" in in_words(report)
    rows = report["feature_choice"]["candidates"]
    assert [row["features"] for row in rows] == [
        ["radiomics-2", "layout-1"],
        ["radiomics-2"],
        ["layout-1"],
    ]


def test_the_estimator_chooses_too(places):
    scans = [
        {"image": str(places / f"{i}.nii.gz"), "mask": str(places / f"{i}_mask.nii.gz")}
        for i in range(16)
    ]
    labels = ["left" if i % 2 else "right" for i in range(16)]
    made = FewShotClassifier(preset="mr", cache=True).fit(scans, labels)
    assert made.features_ == ("layout",)
    assert "layout" in made.features_reason_
    assert made.score(scans, labels) == 1
    named = FewShotClassifier(preset="mr", features="radiomics", cache=True).fit(scans, labels)
    assert (named.features_, named.features_reason_) == (("radiomics",), "")


def test_evaluate_chooses_anew_in_every_episode(places):
    request = EvaluateRequest(
        cohort=places / "cases.csv", shots=(1, 5), queries=3, episodes=4, preset="mr"
    )
    found = {f: evaluate(replace(request, features=(f,))).results for f in (AUTO, "radiomics")}
    one, five = found[AUTO]["results"]
    assert found[AUTO]["components"]["features"] == ["radiomics-2", "layout-1"]
    # With one case nothing can be chosen by: without a mask that is radiomics and layout.
    both = evaluate(replace(request, features=("radiomics", "layout"))).results["results"][0]
    assert one["auroc"] == both["auroc"] != found["radiomics"]["results"][0]["auroc"]
    assert five["auroc"]["mean"] > found["radiomics"]["results"][1]["auroc"]["mean"]
