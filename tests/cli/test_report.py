"""`medfs report`: the whole way, what it refuses, and that it names nobody."""

import base64
import json
import re
import shutil
import zlib

import html5lib
import numpy as np
import pytest

from medfs.storage.files import sha256, to_json
from medfs.workflows.reporting.make import ReportRequest, make_report


@pytest.fixture
def predicted(medfs, model, scans, tmp_path):
    path = tmp_path / "predictions.csv"
    assert medfs("predict", model, scans, "--out", path).code == 0
    path.write_text(path.read_text().replace("scan-", "SCHMIDT_"))
    return path


@pytest.fixture(scope="module")
def written(model_made, support_made, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "report.html"
    make_report(ReportRequest(model_made, support_made, out, saliency=1))
    return out.read_text("utf-8")


def rewrite(model, change):
    """Change report.json and keep its sum right."""
    path = model / "report.json"
    report = json.loads(path.read_text())
    before = sha256(path.read_bytes())
    change(report)
    path.write_text(to_json(report))
    sums = model / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(before, sha256(path.read_bytes())))


def rows_of(text: str, caption: str):
    tree = html5lib.parse(text, namespaceHTMLElements=False)
    table = next(t for t in tree.iter("table") if (t.find("caption").text or "") == caption)
    return ["".join(tr.itertext()).split("\n") for tr in table.find("tbody").iter("tr")]


def test_it_is_valid_and_holds_every_case(written):
    html5lib.HTMLParser(strict=True).parse(written)
    tree = html5lib.parse(written, namespaceHTMLElements=False)
    anchors = {e.attrib["id"] for e in tree.iter() if "id" in e.attrib}
    assert {f"case-{i:03d}" for i in range(1, 9)} <= anchors
    assert {"verdict", "cohort", "reliability", "cases", "saliency", "provenance"} <= anchors
    assert "research use only" in written.lower()
    assert len(written) < 1_000_000


def test_the_same_inputs_give_the_same_bytes(medfs, model, support, written, tmp_path):
    again = tmp_path / "again.html"
    moved = shutil.copytree(support, tmp_path / "elsewhere")
    done = medfs("report", model, "--support", moved, "--out", again, "--saliency", 1)
    assert (done.code, done.out) == (0, ""), done.err
    assert again.read_text("utf-8") == written


def test_probabilities_are_those_of_held_out_cases(model, written):
    report = json.loads((model / "report.json").read_text())
    shown = written.split('id="cases"')[1].split('id="saliency"')[0]
    told = [(round(100 * a), round(100 * b)) for a, b in report["held_out"].values()]
    found = re.findall(r'class="number">&?[gl]?t?;?(\d+)%', shown)
    pairs = [(int(a), int(b)) for a, b in zip(found[::2], found[1::2], strict=True)]
    assert sorted(pairs) == sorted((min(max(a, 1), 99), min(max(b, 1), 99)) for a, b in told)


def test_hashes_are_those_of_the_files(model, written):
    for name in ("model.json", "report.json", "weights.safetensors"):
        assert sha256((model / name).read_bytes()) in written


TELL_TALE = ("MUELLER", "ANNA", ".nii", "predictions.csv", "SCHMIDT")


def everything_in(text: str) -> bytes:
    """The page, and what its pictures hold once decompressed."""
    parts = [text.encode()]
    for coded in re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text):
        content = base64.b64decode(coded)
        parts.append(content)
        at = 8
        while at < len(content):
            length = int.from_bytes(content[at : at + 4])
            kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
            assert kind in (b"IHDR", b"IDAT", b"IEND"), "no chunk of text"
            parts += [zlib.decompress(data)] if kind == b"IDAT" else []
            at += 12 + length
    assert len(parts) > 20
    return b"\0".join(parts)


def test_nobody_is_named(medfs, model, support, predicted, out, tmp_path):
    done = medfs(
        *("report", model, "--support", support, "--out", out, "--saliency", 1),
        *("--predictions", predicted),
    )
    assert done.code == 0, done.err
    content = everything_in(out.read_text("utf-8"))
    for word in (*TELL_TALE, str(tmp_path)):
        assert word.encode() not in content, word
    assert b"scan-001" in content


def test_names_are_shown_on_request(medfs, model, support, predicted, out):
    done = medfs(
        *("report", model, "--support", support, "--out", out, "--saliency", 0, "--names"),
        *("--predictions", predicted),
    )
    assert done.code == 0
    text = out.read_text("utf-8")
    assert all(f"MUELLER_ANNA_{i}" in text for i in range(8))
    assert "SCHMIDT_0" in text
    assert "patient data" in done.err


def test_cases_left_out_are_listed(medfs, support, out, tmp_path):
    sorted(support.rglob("*_0.nii.gz"))[0].write_bytes(b"")
    model = tmp_path / "made"
    assert medfs("adapt", "--support", support, "--out", model).code == 5
    done = medfs("report", model, "--support", support, "--out", out, "--saliency", 0)
    assert done.code == 0, done.err
    text = out.read_text("utf-8")
    (row,) = rows_of(text, "Cases that were left out")
    assert "case-008" in "".join(row)
    assert "MUELLER" not in text
    named = tmp_path / "named.html"
    medfs("report", model, "--support", support, "--out", named, "--saliency", 0, "--names")
    assert "is empty" in named.read_text("utf-8")


def test_a_changed_mask_is_refused(refused, model, support):
    masks = sorted(support.rglob("*_mask.nii.gz"))
    shutil.copy(masks[0], masks[1])
    said = refused(3, "report", model, "--support", support)
    assert masks[1].name.removesuffix("_mask.nii.gz") in said
    assert "It cannot be used any more" in said


def test_a_mask_that_fits_but_is_another_is_refused(refused, model, support):
    from nibabel import Nifti1Image, load, save

    path = sorted(support.rglob("*_mask.nii.gz"))[0]
    mask = load(path)
    voxels = np.asarray(mask.dataobj).copy()
    voxels[tuple(np.argwhere(voxels)[0])] = 0
    save(Nifti1Image(voxels, mask.affine), path)
    said = refused(3, "report", model, "--support", support)
    assert path.name.removesuffix("_mask.nii.gz") in said
    assert "has changed" in said


def test_a_missing_case_is_named(refused, model, support):
    image = sorted(p for p in support.rglob("*.nii.gz") if "_mask" not in p.name)[2]
    image.unlink()
    image.with_name(image.name.replace(".nii", "_mask.nii")).unlink()
    said = refused(3, "report", model, "--support", support)
    assert image.name.removesuffix(".nii.gz") in said
    assert "not among these cases" in said


def test_a_foreign_case_is_named(refused, model, support, scans):
    for path in scans.glob("scan-0*"):
        shutil.copy(path, support / "smooth" / path.name.replace("scan-0", "stranger"))
    said = refused(3, "report", model, "--support", support)
    assert "stranger" in said
    assert "not one of the cases" in said


def test_another_class_is_named(refused, model, support):
    for path in (support / "smooth").glob("MUELLER_ANNA_0*"):
        path.rename(support / "spiculated" / path.name)
    said = refused(3, "report", model, "--support", support)
    assert "MUELLER_ANNA_0" in said
    assert "'smooth'" in said


def test_renamed_files_are_the_same_cases(medfs, model, support, out):
    for path in sorted(support.rglob("*.nii.gz")):
        path.rename(path.with_name(path.name.replace("MUELLER_ANNA", "X")))
    done = medfs("report", model, "--support", support, "--out", out, "--saliency", 0)
    assert done.code == 0, done.err


def test_a_spoilt_model_is_refused(refused, model, support):
    (model / "report.json").write_text("{}")
    assert "was changed" in refused(4, "report", model, "--support", support)


def test_an_older_model_is_refused(refused, model, support):
    rewrite(model, lambda report: [c.pop("digest") for c in report["cases"]])
    assert "earlier version" in refused(4, "report", model, "--support", support)


def test_spoilt_predictions_are_refused(refused, model, support, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("a,b\n1,2\n")
    said = refused(3, "report", model, "--support", support, "--predictions", path)
    assert "no column 'case'" in said


def test_scans_without_a_probability_keep_their_row(medfs, model, support, out, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(
        "case,prediction,p_smooth,p_spiculated,familiar,note\nx,,,,,bad\ny,,,,no,unlike\n"
    )
    done = medfs(
        *("report", model, "--support", support, "--out", out, "--saliency", 0),
        *("--predictions", path),
    )
    assert done.code == 0
    text = out.read_text("utf-8")
    assert "No scan was given a probability" in text
    assert len(rows_of(text, "2 new scans")) == 2


RARE = {"smooth": 0.9, "spiculated": 0.1}
PREVALENCE = ",".join(f"{name}={share}" for name, share in RARE.items())
EVERYWHERE = "classes are as common as this: smooth 0.9, spiculated 0.1"


@pytest.fixture(scope="module")
def rare(model_made, support_made, tmp_path_factory):
    out = tmp_path_factory.mktemp("rare") / "report.html"
    made = ReportRequest(model_made, support_made, out, saliency=1, prevalence=PREVALENCE)
    make_report(made)
    return out.read_text("utf-8")


def section_of(text, name):
    return text.split(f'id="{name}"')[1].split("<section")[0]


def test_probabilities_are_those_of_the_prevalence_asked_for(model, rare):
    report = json.loads((model / "report.json").read_text())
    shown = section_of(rare, "cases")
    found = [int(p) for p in re.findall(r'class="number">&?[gl]?t?;?(\d+)%', shown)]
    wanted = []
    for a, b in report["held_out"].values():
        p = 9 * a / (9 * a + b)
        wanted.append(tuple(min(max(round(100 * x), 1), 99) for x in (p, 1 - p)))
    assert sorted(zip(found[::2], found[1::2], strict=True)) == sorted(wanted)


def test_every_part_with_probabilities_says_which_prevalence_it_is_meant_for(rare, written):
    html5lib.HTMLParser(strict=True).parse(rare)
    for part in ("verdict", "reliability", "worth", "cases", "saliency"):
        assert EVERYWHERE in section_of(rare, part), part
    assert "where 0.1 of all cases are spiculated" in section_of(rare, "ranking")
    assert EVERYWHERE not in written
    for part in ("reliability", "worth", "cases", "saliency"):
        assert "all classes are equally common" in section_of(written, part), part


def test_scores_count_cases_as_often_as_their_class_occurs(model, rare):
    report = json.loads((model / "report.json").read_text())
    losses = {name: [] for name in RARE}
    for case in report["cases"]:
        a, b = report["held_out"][case["case"]]
        p, name = 9 * a / (9 * a + b), case["class"]
        losses[name].append(-np.log(p if name == "smooth" else 1 - p))
    wanted = sum(share * np.mean(losses[name]) for name, share in RARE.items())
    rows = ["".join("".join(r).split()) for r in rows_of(rare, "Scores of 8 held-out cases")]
    guess = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
    assert f"Logloss{wanted:.3f}{guess:.3f}0isbest" in rows


@pytest.mark.parametrize("same", [True, False])
def test_predictions_for_another_prevalence_are_pointed_out(
    medfs, model, support, scans, out, tmp_path, same
):
    path, asked = tmp_path / "p.csv", ("--prevalence", PREVALENCE)
    done = medfs("predict", model, scans, "--out", path, *(asked if same else ()))
    assert done.code == 0
    report = ("report", model, "--support", support, "--out", out, "--saliency", 0)
    assert medfs(*report, "--predictions", path, *asked).code == 0
    told = section_of(out.read_text("utf-8"), "predictions")
    assert ("for another prevalence than" in told) != same
    assert EVERYWHERE in told


def test_a_prevalence_that_names_no_class_of_the_model_is_refused(refused, model, support):
    said = refused(2, "report", model, "--support", support, "--prevalence", "a=0.5,b=0.5")
    assert "every class of the model needs one prevalence" in said


def test_deface_crops(medfs, model, support, out, written, tmp_path):
    cropped = tmp_path / "cropped.html"
    done = medfs(
        *("report", model, "--support", support, "--out", cropped, "--saliency", 0, "--deface")
    )
    assert done.code == 0
    text = cropped.read_text("utf-8")
    assert "cropped to the region" in text
    assert 'viewBox="0 0 48 48"' in written
    assert 'viewBox="0 0 48 48"' not in text


def test_an_existing_file_is_kept(medfs, model, support, out):
    out.write_text("mine")
    done = medfs("report", model, "--support", support, "--out", out)
    assert done.code == 1
    assert out.read_text() == "mine"


@pytest.fixture(scope="module")
def three(tmp_path_factory, simulated, put_case):
    """Three classes, two patients each, with a threshold for one of them."""
    from medfs.workflows.adapt import AdaptRequest, adapt
    from medfs.workflows.support_verdict import AskedPoint

    root = tmp_path_factory.mktemp("three")
    for i, case in enumerate(simulated[:6]):
        put_case(root / "cases" / f"kind-{i % 3}", f"case-{i}", case)
    adapt(AdaptRequest(root / "cases", root / "model", point=AskedPoint("kind-1", 0.6)))
    make_report(ReportRequest(root / "model", root / "cases", root / "report.html", saliency=0))
    return (root / "report.html").read_text("utf-8")


def test_every_one_of_three_classes_has_its_curves(three):
    html5lib.HTMLParser(strict=True).parse(three)
    for name in ("kind-0", "kind-1", "kind-2"):
        for curve in ("ROC curve", "Precision and recall", "Decision curve"):
            assert f"{curve} of {name}" in three
    caption = (
        "Left-out cases to which their own class was the most probable one, all classes taken as "
        "equally common"
    )
    found = rows_of(three, caption)
    assert len(found) == 3
    assert "chosen to find 60% of new patients with it" in " ".join(three.split())


def test_what_one_case_of_each_class_cannot_tell_is_said(tmp_path, simulated, put_case):
    from medfs.workflows.adapt import AdaptRequest, adapt

    for case in simulated[:2]:
        put_case(tmp_path / "cases" / case.label, f"case-{case.label}", case)
    adapt(AdaptRequest(tmp_path / "cases", tmp_path / "model"))
    out = tmp_path / "report.html"
    make_report(ReportRequest(tmp_path / "model", tmp_path / "cases", out, saliency=0))
    text = " ".join(out.read_text("utf-8").split())
    assert text.count("Not available: a class has a single patient") == 4
    for said in ("No learning curve", "No threshold was asked for", "No sets of classes"):
        assert said in text
    assert "ROC curve of" not in text


def test_levels_that_cannot_be_asked_are_shown_as_such(written):
    rows = rows_of(
        written,
        "Sets that hold the true class "
        "(jackknife+, 4 patients of the smallest class were held out)",
    )
    told = {row[1].strip(): row for row in rows}
    assert "yes" in " ".join(told["80%"])
    assert "no" in " ".join(told["90%"])


def test_a_model_without_its_local_folder_still_has_a_report(medfs, model, support, tmp_path):
    shutil.rmtree(model / "local")
    out = tmp_path / "report.html"
    assert medfs("report", model, "--support", support, "--out", out, "--saliency", 0).code == 0
    assert "No sets of classes can be given" in out.read_text("utf-8")
