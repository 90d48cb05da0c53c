"""Same inputs, same seed, same bytes."""

import json
import shutil

import pytest

WRITTEN = ("weights.safetensors", "report.json", "model.json", "SHA256SUMS")


@pytest.fixture
def made(medfs, tmp_path):
    """Adapt; the bytes of what was written."""

    def run(support, name, *options):
        out = tmp_path / name
        done = medfs("adapt", "--support", support, "--out", out, *options)
        assert done.code == 0, done.err
        return {file: (out / file).read_bytes() for file in WRITTEN}

    return run


def test_two_runs_write_the_same_bytes(made, support):
    assert made(support, "a") == made(support, "b")


def test_the_cache_changes_nothing(made, support, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDFS_CACHE", str(tmp_path / "fresh"))
    without = made(support, "without", "--no-cache")
    assert not (tmp_path / "fresh").exists()
    assert made(support, "first", "--seed", 0) == without
    assert (tmp_path / "fresh").exists()
    assert made(support, "second") == without


def test_a_damaged_cache_changes_nothing(made, support, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDFS_CACHE", str(tmp_path / "fresh"))
    good = made(support, "first")
    for file in (tmp_path / "fresh").rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-7])
    assert made(support, "second") == good


def test_an_unwritable_cache_changes_nothing(made, support, tmp_path, monkeypatch):
    good = made(support, "first")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEDFS_CACHE", str(tmp_path / "file" / "cache"))
    assert made(support, "second") == good


def test_where_the_scans_lie_changes_nothing(made, support, tmp_path):
    shutil.copytree(support, tmp_path / "elsewhere")
    assert made(support, "a") == made(tmp_path / "elsewhere", "b")


def test_the_order_of_a_manifest_changes_no_prediction(medfs, support, scans, manifest, tmp_path):
    images = sorted(p for p in support.rglob("*.nii.gz") if "_mask" not in p.name)
    rows = [(p.name, p, str(p).replace(".nii", "_mask.nii"), p.parent.name) for p in images]
    answers = []
    for name, ordered in (("forth", rows), ("back", rows[::-1])):
        table = manifest(("case", "image", "mask", "label"), *ordered, name=f"{name}.csv")
        model = tmp_path / name
        assert medfs("adapt", "--support", table, "--out", model).code == 0
        answers.append(json.loads(medfs("predict", model, scans, "--json").out)["predictions"])
    assert answers[0] == answers[1]
    weights = [(tmp_path / n / "weights.safetensors").read_bytes() for n in ("forth", "back")]
    assert weights[0] == weights[1]


def test_a_scan_alone_equals_the_same_scan_among_others(medfs, model, scans):
    together = medfs("predict", model, scans, "--no-cache").out.splitlines()
    for i in range(3):
        alone = medfs("predict", model, scans / f"scan-{i}.nii.gz", "--no-cache").out.splitlines()
        assert alone == [together[0], together[i + 1]]


def test_predictions_do_not_depend_on_the_cache(medfs, model, scans, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDFS_CACHE", str(tmp_path / "fresh"))
    runs = [medfs("predict", model, scans, *o).out for o in (("--no-cache",), (), ())]
    assert runs[0] == runs[1] == runs[2]


def test_evaluations_repeat(medfs, support, tmp_path):
    results = []
    for name in ("a", "b"):
        asked = ("--shots", 1, "--queries", 2, "--episodes", 4, "--seed", 3, "--json")
        out = tmp_path / f"{name}.json"
        found = json.loads(medfs("evaluate", "--cohort", support, *asked, "--out", out).out)
        for row in found["results"]:
            del row["seconds"]
        results.append(found)
    assert results[0] == results[1]
