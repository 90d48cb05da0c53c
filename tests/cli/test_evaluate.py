"""`medfs evaluate` and `medfs demo`."""

import gzip
import json

import pytest

SMALL = ("--queries", 1, "--episodes", 2)


def test_too_many_shots_give_a_row_that_says_so(medfs, support, out):
    done = medfs("evaluate", "--cohort", support, "--shots", "1,9", *SMALL, "--out", out)
    assert done.code == 0
    one, nine = json.loads(out.read_text())["results"]
    assert one["episodes"] == 2
    assert (nine["shots"], nine["episodes"]) == (9, 0)
    assert "too few patients" in nine["error"]
    assert "auroc" not in nine
    assert "too few patients" in done.err
    assert "nothing was evaluated" not in done.err


def test_nothing_but_too_many_shots_is_warned_of(medfs, support, out):
    done = medfs("evaluate", "--cohort", support, "--shots", 9, *SMALL, "--out", out)
    assert "warning: nothing was evaluated" in done.err


def test_a_fixed_field_counts_small_scans_and_shows_the_shortcut(medfs, support, out):
    asked = ("--shots", 1, *SMALL, "--no-masks", "--field", "20,20,5")
    done = medfs("evaluate", "--cohort", support, *asked, "--out", out)
    assert done.code == 0, done.err
    results = json.loads(out.read_text())
    assert "20 × 20 × 5 mm" in results["components"]["tasks"]["cases"]["region"]
    assert 0 <= results["results"][0]["shortcut_extent_only"]["auroc"]["mean"] <= 1
    assert "field of view alone" in done.err


def test_scans_smaller_than_the_field_are_left_out_and_counted(medfs, support, simulated, out):
    x = sorted(c.voxels.shape[0] * abs(c.affine[0, 0]) for c in simulated[:8])
    field = f"{(x[0] + x[1]) / 2},5,5"
    asked = ("--shots", 1, *SMALL, "--no-masks", "--field", field)
    done = medfs("evaluate", "--cohort", support, *asked, "--out", out)
    # Smaller is not faulty: counted and said, but no failure.
    assert done.code == 0, done.err
    task = json.loads(out.read_text())["components"]["tasks"]["cases"]
    assert (task["cases_smaller_than_field"], task["cases_failed"]) == (1, 0)
    assert "1 scan(s) left out: smaller than the field" in done.err


def test_a_field_that_no_scan_fills(refused, support):
    asked = ("--no-masks", "--field", "900,900,900")
    assert "no case could be used" in refused(3, "evaluate", "--cohort", support, *asked)


@pytest.fixture
def benchmark(support, tmp_path):
    """A frozen benchmark of one task with two episodes of one shot."""
    images = sorted(p for p in support.rglob("*.nii.gz") if "_mask" not in p.name)
    rows = ["case,image,mask,patient,label"]
    cases: dict[str, list[str]] = {"smooth": [], "spiculated": []}
    for path in images:
        name, place = path.name[:-7], path.relative_to(tmp_path)
        mask = str(place).replace(".nii", "_mask.nii")
        rows.append(f"{name},{place},{mask},P-{name},{path.parent.name}")
        cases[path.parent.name].append(name)
    (tmp_path / "shape.csv").write_text("\n".join(rows) + "\n")
    episodes = [
        {
            "support": {label: [names[i]] for label, names in cases.items()},
            "query": {label: names[i + 1 : i + 3] for label, names in cases.items()},
        }
        for i in range(2)
    ]
    task = {"manifest": "shape.csv", "classes": list(cases), "shots": {"1": episodes}}
    content = {"schema_version": 1, "queries_per_class": 2, "tasks": {"shape": task}}

    def write():
        (tmp_path / "episodes.json.gz").write_bytes(gzip.compress(json.dumps(content).encode()))
        return tmp_path

    write.content = content  # type: ignore[attr-defined]
    return write


def test_frozen_episodes(medfs, benchmark, out):
    done = medfs("evaluate", "--benchmark", benchmark(), "--task", "shape", "--out", out)
    assert done.code == 0, done.err
    results = json.loads(out.read_text())
    assert results["classes"] == {"shape": ["smooth", "spiculated"]}
    (row,) = results["results"]
    assert (row["task"], row["shots"], row["episodes"]) == ("shape", 1, 2)


def test_an_episode_that_lost_a_class_is_skipped_and_counted(medfs, benchmark, support, out):
    folder = benchmark()
    (support / "smooth" / "MUELLER_ANNA_0.nii.gz").write_bytes(b"")
    done = medfs("evaluate", "--benchmark", folder, "--out", out)
    assert done.code == 5
    (row,) = json.loads(out.read_text())["results"]
    assert (row["episodes"], row["episodes_skipped"]) == (1, 1)


def test_an_unknown_task(refused, benchmark):
    said = refused(2, "evaluate", "--benchmark", benchmark(), "--task", "shapes")
    assert "no task 'shapes'" in said
    assert "It has shape" in said


def test_frozen_numbers_cannot_be_chosen(refused, benchmark):
    said = refused(2, "evaluate", "--benchmark", benchmark(), "--shots", 3)
    assert "frozen" in said


def test_a_folder_without_episodes(refused, support):
    said = refused(3, "evaluate", "--benchmark", support)
    assert "episodes.json.gz" in said
    assert "Errno" not in said


def test_a_patient_on_both_sides(refused, benchmark, tmp_path):
    folder = benchmark()
    table = (tmp_path / "shape.csv").read_text()
    (tmp_path / "shape.csv").write_text(table.replace("P-MUELLER_ANNA_2", "P-MUELLER_ANNA_0"))
    said = refused(3, "evaluate", "--benchmark", folder)
    assert "support and query of the same episode" in said


def test_an_episode_that_names_an_unknown_case(refused, benchmark):
    episode = benchmark.content["tasks"]["shape"]["shots"]["1"][0]
    episode["support"]["smooth"] = ["NOBODY"]
    said = refused(3, "evaluate", "--benchmark", benchmark())
    assert "NOBODY" in said


@pytest.mark.slow
def test_demo(medfs, out):
    done = medfs("demo", "--out", out)
    assert done.code == 0, done.err
    assert {"cases", "model", "predictions.csv", "results.json"} <= {p.name for p in out.iterdir()}
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    assert "AUROC" in done.out
    rows = json.loads((out / "results.json").read_text())["results"]
    best = max(row["auroc"]["mean"] for row in rows)
    assert best > 0.75
    again = medfs("predict", out / "model", out / "scans.csv")
    assert again.out == (out / "predictions.csv").read_text()
