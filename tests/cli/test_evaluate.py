"""`medfs evaluate` and `medfs demo`."""

import gzip
import json

import numpy as np
import pytest

from medfs.scans.write import write_nifti

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
    assert 0 <= results["audits"][0]["shortcuts"]["extent"]["auroc"]["mean"] <= 1
    assert "field of view" in done.err


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
def rewrite(tmp_path, simulated):
    """The simulated cases with the voxel spacing that a function of the label says."""

    def write(spacing):
        for i, case in enumerate(simulated[:8]):
            affine = np.diag([*spacing(case.label), 1.0])
            place = tmp_path / "planted" / case.label / f"case-{i}"
            place.parent.mkdir(parents=True, exist_ok=True)
            write_nifti(place.with_suffix(".nii.gz"), case.voxels, affine, "int16")
            mask = place.with_name(f"{place.name}_mask.nii.gz")
            write_nifti(mask, case.mask, affine, "uint8")
        return tmp_path / "planted"

    return write


COMPARE = ("--mapper", "ridge,prototype", "--shots", 1, "--queries", 2, "--episodes", 20)


def test_mappers_are_compared_in_pairs(medfs, support, out):
    done = medfs("evaluate", "--cohort", support, *COMPARE, "--out", out)
    assert done.code == 0, done.err
    results = json.loads(out.read_text())
    assert results["schema_version"] == 2
    by_mapper = {row["mapper"]: row for row in results["results"]}
    (pair,) = results["comparisons"]
    assert (pair["first"], pair["second"], pair["shots"]) == ("ridge", "prototype", 1)
    for metric in ("auroc", "nll", "balanced_accuracy"):
        one, other = (by_mapper[name][metric]["mean"] for name in ("ridge", "prototype"))
        assert pair[metric]["mean"] == pytest.approx(one - other)
        assert pair["clearly_better"][metric] in (None, "ridge", "prototype")
    assert "Δ AUROC to the first" in done.err


def test_a_spacing_that_gives_the_class_away_is_said(medfs, rewrite, out):
    cohort = rewrite(lambda label: (0.7, 0.7, 1.5 if label == "smooth" else 2.0))
    done = medfs("evaluate", "--cohort", cohort, *COMPARE, "--out", out)
    assert done.code == 0, done.err
    results = json.loads(out.read_text())
    (audit,) = results["audits"]
    assert audit["shortcuts"]["spacing"]["auroc"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    for verdict in results["verdicts"]:
        assert "spacing" in verdict["not_beaten"]["1"]
    assert "does not beat it" in " ".join(done.err.split())


def test_what_is_the_same_in_every_case_tells_nothing(medfs, rewrite, out):
    cohort = rewrite(lambda label: (0.7, 0.7, 2.0))
    done = medfs("evaluate", "--cohort", cohort, *COMPARE, "--out", out)
    (audit,) = json.loads(out.read_text())["audits"]
    assert "spacing" in audit["same_in_every_case"]
    assert "spacing" not in audit["shortcuts"]
    assert "The same in every case, tells nothing: voxel spacing" in " ".join(done.err.split())
    for seen in audit["permuted_labels"].values():
        assert seen["at_chance"]


def test_audits_can_be_left_out(medfs, support, out):
    done = medfs("evaluate", "--cohort", support, *COMPARE, "--no-audits", "--out", out, "--json")
    results = json.loads(done.out)
    assert results == json.loads(out.read_text())
    assert results["audits"] == results["verdicts"] == []
    assert len(results["comparisons"]) == 1
    assert "looking at the tissue" not in done.err


def test_volume_is_audited_with_masks_alone(medfs, support, out):
    medfs("evaluate", "--cohort", support, "--shots", 1, *SMALL, "--out", out)
    with_masks = json.loads(out.read_text())["audits"][0]["shortcuts"]
    again = ("--shots", 1, *SMALL, "--no-masks", "--force")
    medfs("evaluate", "--cohort", support, *again, "--out", out)
    without = json.loads(out.read_text())["audits"][0]["shortcuts"]
    assert "roi_volume" in with_masks
    assert "roi_volume" not in without


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
