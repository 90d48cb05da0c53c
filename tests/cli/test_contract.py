"""Names, files and formats that scripts of other people rely on."""

import csv
import io
import json
import re
import stat

import pytest


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


OPTIONS = {
    "demo": ["--out"],
    "validate": ["--label-column", "--image-column", "--json", "CASES"],
    "adapt": [
        *("--support", "--out", "--mapper", "--features", "--preset", "--seed", "--device"),
        *("--json", "--label-column", "--image-column"),
    ],
    "predict": ["--out", "--json", "--keep-unfamiliar", "MODEL", "SCANS"],
    "evaluate": [
        *("--cohort", "--benchmark", "--task", "--shots", "--queries", "--episodes", "--seed"),
        *("--out", "--mapper", "--features", "--no-masks", "--field"),
    ],
    "report": ["--support", "--predictions", "--out", "--names", "--deface", "--saliency", "MODEL"],
    "info": ["--devices", "--json"],
}


@pytest.mark.parametrize("command", OPTIONS)
def test_every_promised_option_is_there(medfs, command):
    done = medfs(command, "--help")
    assert done.code == 0
    missing = [o for o in OPTIONS[command] if not re.search(rf"(?<!\S){o}\b", done.out, re.I)]
    assert missing == []


def test_version_is_data(medfs):
    done = medfs("--version")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", done.out)


def test_info_lists_every_family(medfs):
    facts = json.loads(medfs("info", "--json").out)
    assert {"ridge", "prototype"} <= {m["name"] for m in facts["mappers"]}
    assert {"ct-lung", "ct-soft", "mr", "pet", "shape"} <= {p["name"] for p in facts["presets"]}
    for family in ("readers", "backbones", "calibrators", "exporters"):
        assert facts[family], family
        assert all(entry["name"] for entry in facts[family])
    assert "devices" not in facts
    assert json.loads(medfs("info", "--devices", "--json").out)["devices"][0]["name"] == "cpu"


def test_adapt_writes_these_files_and_no_others(medfs, support, out):
    done = medfs("adapt", "--support", support, "--out", out)
    assert (done.code, done.out) == (0, "")
    assert {p.name for p in out.iterdir()} == {
        "model.json",
        "weights.safetensors",
        "report.json",
        "SHA256SUMS",
        "local",
    }
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    for said in (
        "radiomics",
        "comes with medfs",
        "temperature",
        "ct-lung",
        "every case is taken as a patient",
    ):
        assert said in done.err


def test_adapt_json_is_the_report(medfs, support, out):
    done = medfs("adapt", "--support", support, "--out", out, "--json")
    assert json.loads(done.out) == json.loads((out / "report.json").read_text())


def test_sums_have_the_format_of_sha256sum(model):
    import hashlib

    for line in (model / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((model / name).read_bytes()).hexdigest() == digest


def test_identity_is_readable_by_its_owner_alone(medfs, support, out, cache):
    medfs("adapt", "--support", support, "--out", out)
    assert stat.S_IMODE((out / "local").stat().st_mode) == 0o700
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    kept = [p for p in cache.rglob("*") if p.is_file()]
    assert kept
    assert {stat.S_IMODE(p.stat().st_mode) for p in kept} == {0o600}
    assert {stat.S_IMODE(p.stat().st_mode) for p in cache.rglob("*") if p.is_dir()} == {0o700}


def test_predictions_have_the_header_and_sum_to_one(medfs, model, scans, out):
    done = medfs("predict", model, scans, "--out", out)
    assert (done.code, done.out) == (0, "")
    rows = table(out.read_text())
    assert list(rows[0]) == ["case", "prediction", "p_smooth", "p_spiculated", "familiar", "note"]
    assert [r["case"] for r in rows] == ["scan-0", "scan-1", "scan-2"]
    for row in rows:
        p = {name: float(row[f"p_{name}"]) for name in ("smooth", "spiculated")}
        assert abs(sum(p.values()) - 1) < 1e-9
        assert row["prediction"] == max(p, key=p.__getitem__)
        assert row["familiar"] == "yes"


def test_predictions_go_to_stdout_without_out(medfs, model, scans):
    done = medfs("predict", model, scans)
    assert len(table(done.out)) == 3


def test_predict_json_parses(medfs, model, scans, out):
    done = medfs("predict", model, scans, "--out", out, "--json")
    answer = json.loads(done.out)
    assert answer["classes"] == ["smooth", "spiculated"]
    rows = table(out.read_text())
    for row, given in zip(rows, answer["predictions"], strict=True):
        assert float(row["p_smooth"]) == given["probabilities"]["smooth"]
        assert row["prediction"] == given["prediction"]


def test_a_prevalence_shifts_every_row_and_is_named_in_it(medfs, model, scans, out):
    plain = json.loads(medfs("predict", model, scans, "--json", "--out", out).out)
    asked = ("--prevalence", "smooth=0.9,spiculated=0.1")
    rare = json.loads(medfs("predict", model, scans, "--json", *asked).out)
    assert (plain["prevalence"], rare["prevalence"]) == (None, {"smooth": 0.9, "spiculated": 0.1})
    for before, after in zip(plain["predictions"], rare["predictions"], strict=True):
        odds = [
            p["probabilities"]["smooth"] / p["probabilities"]["spiculated"] for p in (before, after)
        ]
        assert odds[1] == pytest.approx(9 * odds[0])
        assert "prevalence smooth 0.9, spiculated 0.1" in after["note"]
    done = medfs("predict", model, scans, "--prevalence", "smooth=0.9")
    assert (done.code, done.out) == (2, "")
    assert "every class" in done.err


def test_sets_hold_the_prediction_and_say_what_is_guaranteed(medfs, model, scans, out):
    done = medfs("predict", model, scans, "--coverage", "0.6", "--json", "--out", out)
    assert done.code == 0
    assert "60% of new patients of each class, guaranteed for at least 20%" in done.err
    answer = json.loads(done.out)
    assert answer["sets"] == {
        "method": "jackknife+",
        "nominal": 0.6,
        "guaranteed": 0.2,
        "of": "patients of each class",
    }
    rows = table(out.read_text())
    for row, given in zip(rows, answer["predictions"], strict=True):
        assert row["set"].split("|") == given["set"]
        assert 1 <= len(given["set"]) <= 2
    plain = json.loads(medfs("predict", model, scans, "--json").out)
    assert plain["sets"] is None
    assert all(p["set"] is None for p in plain["predictions"])


def test_a_coverage_that_few_patients_cannot_support_is_refused(medfs, model, scans):
    done = medfs("predict", model, scans, "--coverage", "0.99")
    assert (done.code, done.out) == (2, "")
    assert "needs 99 patients" in done.err
    assert "at most 0." in done.err
    for value in ("0", "1", "90", "-1", "nan"):
        done = medfs("predict", model, scans, "--coverage", value)
        assert done.code == 2
        assert "between 0 and 1" in done.err


def test_a_model_without_its_sets_says_so(medfs, model, support, scans, out):
    import shutil

    shutil.copytree(model, out / "copy")
    (out / "copy" / "local" / "sets.safetensors").unlink()
    done = medfs("predict", out / "copy", scans, "--coverage", "0.6")
    assert (done.code, done.out) == (3, "")
    assert "where the model was made" in done.err
    assert medfs("predict", out / "copy", scans).code == 0
    medfs("adapt", "--support", support, "--out", out / "none", "--sets", "none")
    done = medfs("predict", out / "none", scans, "--coverage", "0.6")
    assert done.code == 2
    assert "made without prediction sets" in done.err


def test_adapt_says_which_calibrator_and_why(medfs, support, out):
    done = medfs("adapt", "--support", support, "--out", out, "--calibrator", "vector", "--json")
    used = json.loads(done.out)["components"]
    assert (used["calibrator"], used["calibrator_reason"]) == ("vector", "named by the user")
    assert json.loads((out / "model.json").read_text())["calibration"] == "vector"
    done = medfs("adapt", "--support", support, "--out", out.parent / "b", "--calibrator", "platt")
    assert done.code == 2
    assert "dirichlet" in done.err


def test_failed_scans_keep_their_row(medfs, model, scans, out):
    (scans / "scan-1.nii.gz").write_bytes(b"")
    done = medfs("predict", model, scans, "--out", out)
    assert done.code == 5
    rows = {r["case"]: r for r in table(out.read_text())}
    assert len(rows) == 3
    assert rows["scan-1"]["p_smooth"] == rows["scan-1"]["prediction"] == ""
    assert "empty" in rows["scan-1"]["note"]
    assert rows["scan-0"]["p_smooth"] != ""


def test_validate_counts(medfs, support):
    done = medfs("validate", support, "--json")
    assert done.code == 0
    answer = json.loads(done.out)
    assert answer["classes"]["smooth"] == {"cases": 4, "patients": 4, "masks": 4}
    text = medfs("validate", support).out
    assert "smooth" in text
    assert "no problems" in text


ESTIMATES = ("auroc", "balanced_accuracy", "nll", "brier")


def test_results_have_the_schema(medfs, support, out):
    done = medfs(
        *("evaluate", "--cohort", support, "--shots", "1,2", "--queries", 2, "--episodes", 3),
        *("--out", out, "--mapper", "prototype,ridge", "--json"),
    )
    assert done.code == 0, done.err
    results = json.loads(done.out)
    assert results == json.loads(out.read_text())
    assert (results["schema_version"], results["seed"]) == (2, 0)
    assert results["classes"] == {"cases": ["smooth", "spiculated"]}
    assert results["components"]["features"]
    asked = [(r["task"], r["shots"], r["mapper"]) for r in results["results"]]
    assert asked == [("cases", k, m) for k in (1, 2) for m in ("prototype", "ridge")]
    for row in results["results"]:
        assert row["episodes"] == 3
        assert row["seconds"] >= 0
        assert set(row["ece"]) == {"value", "floor"}
        for name in ESTIMATES:
            assert set(row[name]) == {"mean", "low", "high", "sd"}
            assert row[name]["low"] <= row[name]["mean"] <= row[name]["high"]


def test_quiet_leaves_warnings_only(medfs, support, out):
    done = medfs("--quiet", "adapt", "--support", support, "--out", out)
    assert done.code == 0
    assert all(line.startswith("warning: ") for line in done.err.splitlines())
