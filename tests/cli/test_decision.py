"""The threshold of `adapt --target-sensitivity` decides in `predict`, and nothing else does."""

import csv
import io
import json

import pytest

CLASS, TARGET = "spiculated", 0.75


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("decision")


@pytest.fixture
def decided(medfs, support, folder):
    """A model with an operating point, made once."""
    model = folder / "model"
    if not model.exists():
        asked = ("--positive", CLASS, "--target-sensitivity", TARGET)
        assert medfs("adapt", "--support", support, "--out", model, *asked).code == 0
    return model


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def point(model):
    return json.loads((model / "model.json").read_text())["settings"]["operating_point"]


def test_scans_at_or_above_the_threshold_are_positive(medfs, decided, scans):
    told = medfs("predict", decided, scans)
    threshold = point(decided)["threshold"]
    found = rows(told.out)
    assert found
    for row in found:
        expected = CLASS if float(row[f"p_{CLASS}"]) >= threshold else f"not {CLASS}"
        assert row["decision"] == expected
    assert f"from a probability of {threshold:.3f}" in " ".join(told.err.split())


def test_prevalence_shifts_probabilities_but_no_decision(medfs, decided, scans):
    plain = rows(medfs("predict", decided, scans).out)
    classes = [c.removeprefix("p_") for c in plain[0] if c.startswith("p_")]
    shares = dict.fromkeys(classes, 0.02 / (len(classes) - 1)) | {CLASS: 0.98}
    asked = ",".join(f"{name}={share}" for name, share in shares.items())
    rare = rows(medfs("predict", decided, scans, "--prevalence", asked).out)
    assert [r["decision"] for r in rare] == [r["decision"] for r in plain]
    assert [r[f"p_{CLASS}"] for r in rare] != [r[f"p_{CLASS}"] for r in plain]


def test_json_says_the_same(medfs, decided, scans):
    plain = rows(medfs("predict", decided, scans).out)
    answer = json.loads(medfs("predict", decided, scans, "--json").out)
    assert [p["decision"] for p in answer["predictions"]] == [r["decision"] for r in plain]
    assert answer["operating_point"] == {
        "positive": CLASS,
        "threshold": point(decided)["threshold"],
        "target": TARGET,
    }


def test_without_an_operating_point_there_is_no_decision(medfs, model, scans):
    assert "decision" not in rows(medfs("predict", model, scans).out)[0]
    answer = json.loads(medfs("predict", model, scans, "--json").out)
    assert answer["operating_point"] is None
