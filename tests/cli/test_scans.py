"""`medfs scans` and `medfs validate` on places as archives leave them: studies, zips, discs."""

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import pydicom
import pytest
import yaml
from pydicom.data import get_testdata_file

from medfs.scans.option_values import PREFERENCES
from medfs.scans.options import ReadOptions, parse_options
from medfs.scans.write import write_nifti
from medfs.scans.write_dicom import write_ct_series

LUNG, SOFT = np.diag([0.8, 0.8, 1.25, 1]), np.diag([0.8, 0.8, 2.5, 1])
SOFT_ONLY = "description: '*soft*'"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def series(folder, number, description, slices, affine, seed=0, **tags):
    """A CT series whose header a test may change."""
    voxels = np.random.default_rng(seed).integers(-900, 100, (8, 8, slices)).astype(np.int16)
    write_ct_series(folder, voxels, affine, patient="DOE", description=description)
    tags = {"SeriesNumber": number, "SliceThickness": float(affine[2, 2]), **tags}
    for file in folder.iterdir():
        image = pydicom.dcmread(file)
        for keyword, value in tags.items():
            setattr(image, keyword, value)
        image.save_as(file)


@pytest.fixture(scope="session")
def study_made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("study") / "DICOM"
    series(root / "a", 1, "Topogram", 2, SOFT, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    series(root / "b" / "x", 2, "Thorax soft", 6, SOFT)
    series(root / "b" / "y", 3, "Thorax LUNG", 9, LUNG)
    series(root / "c", 99, "Report", 1, SOFT, SOPClassUID=SECONDARY_CAPTURE, Modality="OT")
    (root / "LIESMICH.TXT").write_text("disc")
    return root


@pytest.fixture
def study(study_made, tmp_path) -> Path:
    """A localizer, two volumes, a secondary capture and a text, which a test may spoil."""
    return Path(shutil.copytree(study_made, tmp_path / "study"))


@pytest.fixture
def rules(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "rules.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def listed(medfs, *arguments, code=0):
    done = medfs("scans", *arguments, "--json")
    assert done.code == code, done.err
    found = json.loads(done.out)
    assert found["schema_version"] == 1
    assert found["readable"] is (code == 0)
    return found


def test_a_study_lists_every_series_and_chooses_none(medfs, study):
    found = listed(medfs, study, code=3)
    assert found["chosen"] is None
    assert [s["series_number"] for s in found["series"]] == ["1", "2", "3", "99"]
    assert [s["usable"] for s in found["series"]] == [False, True, True, False]
    assert [s["shape"] for s in found["series"] if s["usable"]] == [[8, 8, 6], [8, 8, 9]]
    assert found["series"][2]["spacing_mm"] == [0.8, 0.8, 1.25]
    problems = [s["problem"] for s in found["series"]]
    assert "localizer" in problems[0]
    assert problems[1:3] == [None, None]
    assert "only CT, MR and PET" in problems[3]
    assert len({s["study"] for s in found["series"]}) == 1
    assert found["skipped"] == [{"file": "LIESMICH.TXT", "reason": "not a DICOM file"}]
    assert found["n_files"] == 2 + 6 + 9 + 1 + 1
    assert "2 volumes fit" in found["why"]


def test_the_text_says_the_same(medfs, study):
    done = medfs("scans", study)
    assert done.code == 3
    lines = done.out.splitlines()
    assert [line.split()[:3] for line in lines[1:5]] == [
        ["1", "1", "CT"],
        ["1", "2", "CT"],
        ["1", "3", "CT"],
        ["1", "99", "OT"],
    ]
    assert "8 × 8 × 9" in lines[3]
    assert "→" not in done.out
    assert "no choice: 2 volumes fit" in done.err
    assert "1 file(s): not a DICOM file" in done.err


@pytest.mark.parametrize(
    ("text", "number", "why"),
    [
        ("description: '*lung*'", "3", "the only volume"),
        ("not_description: ['*LUNG*', '*topo*']", "2", "the only volume"),
        ("slices: {min: 7}", "3", "the only volume"),
        ("thickness_mm: {min: 2}", "2", "the only volume"),
        ("series_number: 2", "2", "the only volume"),
        ("prefer: thinnest", "3", "the rule 'thinnest'"),
        ("prefer: [highest-number]", "3", "the rule 'highest-number'"),
        ("prefer: fewest-slices", "2", "the rule 'fewest-slices'"),
    ],
)
def test_rules_choose(medfs, study, rules, text, number, why):
    found = listed(medfs, study, "--series", rules(text))
    chosen = found["series"][found["chosen"]]
    assert chosen["series_number"] == number
    assert chosen["label"] in found["why"]
    assert why in found["why"]
    shown = medfs("scans", study, "--series", rules(text)).out.splitlines()
    assert [line.split()[2] for line in shown if line.startswith("→")] == [number]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modality: MR", "no volume fits the rules"),
        ("colour: blue", "unknown rule(s)"),
        ("tilt: sideways", "tilt cannot be 'sideways'"),
        ("slices: 7", "slices has min, max, or both"),
        ("[", "the rules cannot be read"),
    ],
)
def test_rules_that_do_not_work(medfs, study, rules, text, words):
    done = medfs("scans", study, "--series", rules(text))
    assert done.code == 3
    assert words in done.err


def test_rules_that_are_not_there(medfs, study, tmp_path):
    done = medfs("scans", study, "--series", tmp_path / "no.yaml")
    assert done.code == 3
    assert "no.yaml: the rules cannot be read" in done.err


def test_a_zip_lists_what_its_folder_does(medfs, study, rules, tmp_path):
    packed = tmp_path / "study.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(study.rglob("*")):
            archive.write(file, file.relative_to(study))
    chosen = ("--series", rules("prefer: most-slices"))
    assert listed(medfs, packed, *chosen) == listed(medfs, study, *chosen)


def test_pydicoms_disc(medfs):
    disc = get_testdata_file("dicomdirtests/DICOMDIR", download=False)
    found = listed(medfs, disc, code=3)
    assert found["n_files"] == 31
    assert sum(s["usable"] for s in found["series"]) == 1
    assert max(s["study"] for s in found["series"]) == 6
    assert any("not evenly spaced" in (s["problem"] or "") for s in found["series"])
    assert all(s["advice"] for s in found["series"] if s["problem"])
    assert "17106 and 17136" in found["why"]


def test_rules_make_pydicoms_disc_readable(medfs, rules):
    disc = get_testdata_file("dicomdirtests/DICOMDIR", download=False)
    found = listed(medfs, disc, "--series", rules("description: SmartScore*"))
    assert found["series"][found["chosen"]]["shape"] == [16, 16, 5]


def test_an_empty_folder(medfs, tmp_path):
    (tmp_path / "empty").mkdir()
    found = listed(medfs, tmp_path / "empty", code=3)
    assert (found["series"], found["n_files"]) == ([], 0)
    assert "no DICOM image" in medfs("scans", tmp_path / "empty").err


def test_a_file_that_is_no_scan(medfs, tmp_path):
    (tmp_path / "letter.docx").write_bytes(b"not a scan")
    found = listed(medfs, tmp_path / "letter.docx", code=3)
    assert found["skipped"] == [{"file": "letter.docx", "reason": "not a DICOM file"}]


def test_a_place_that_is_not_there(medfs, tmp_path):
    done = medfs("scans", tmp_path / "nothing")
    assert (done.code, done.out) == (3, "")
    assert "nothing does not exist" in done.err


def test_nifti_files_are_scans_of_their_own(medfs, tmp_path):
    for name in ("a.nii.gz", "b.nii"):
        write_nifti(tmp_path / name, np.arange(27).reshape(3, 3, 3), np.eye(4), np.int16)
    found = listed(medfs, tmp_path)
    assert (found["nifti"], found["chosen"]) == (["a.nii.gz", "b.nii"], None)
    assert "2 NIfTI file(s)" in medfs("scans", tmp_path).out


def test_nifti_in_a_zip_is_not_promised(medfs, tmp_path):
    write_nifti(tmp_path / "a.nii", np.arange(27).reshape(3, 3, 3), np.eye(4), np.int16)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.nii", "a.nii")
    found = listed(medfs, tmp_path / "a.zip", code=3)
    assert found["nifti"] == []
    assert "unpack" in found["skipped"][0]["reason"]


def test_a_damaged_file_among_the_slices(medfs, study, rules):
    victim = study / "b" / "y" / "I0009.dcm"  # the last: without it the stack looks complete
    victim.write_bytes(victim.read_bytes()[:600])
    found = listed(medfs, study, "--series", rules("description: '*lung*'"), code=3)
    assert "I0009.dcm ends within its header" in found["why"]
    assert any(s["file"] == "I0009.dcm" and "truncated" in s["reason"] for s in found["skipped"])


def test_a_missing_slice_is_told_even_beside_a_usable_series(medfs, study):
    (study / "b" / "y" / "I0004.dcm").unlink()
    found = listed(medfs, study, code=3)
    assert "one of them cannot be used" in found["why"]
    assert "I0003.dcm and I0005.dcm" in found["why"]


def test_a_4d_series_needs_a_volume(medfs, study, rules):
    later = study / "b" / "x2"
    shutil.copytree(study / "b" / "x", later)
    for file in later.iterdir():
        image = pydicom.dcmread(file)
        image.AcquisitionNumber, image.SOPInstanceUID = 2, f"{image.SOPInstanceUID[:50]}.2"
        image.save_as(file)
    found = listed(medfs, study, "--series", rules(SOFT_ONLY), code=3)
    chosen = found["series"][found["chosen"]]
    assert chosen["volumes"] == 2
    assert chosen["volume_labels"] == ["AcquisitionNumber 1", "AcquisitionNumber 2"]
    assert "4D" in found["why"]
    for volume, code in (("first", 0), ("mean", 0), (1, 0), (2, 3)):
        listed(medfs, study, "--series", rules(f"{SOFT_ONLY}\nvolume: {volume}"), code=code)


def test_what_the_rules_make_unreadable_is_told(medfs, study, rules):
    for text, why in (("suv: true", "PET alone"), ("volume: 1", "volume 1")):
        found = listed(medfs, study, "--series", rules(f"{SOFT_ONLY}\n{text}"), code=3)
        assert found["series"][found["chosen"]]["series_number"] == "2"
        assert why in found["why"]


def test_two_slices_by_rule(medfs, study, rules):
    text = "few_slices: keep\nslices: {max: 2}\nmodality: CT\n"
    for file in (study / "a").iterdir():
        image = pydicom.dcmread(file)
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.save_as(file)
    found = listed(medfs, study, "--series", rules(text))
    assert found["series"][found["chosen"]]["shape"] == [8, 8, 2]


def test_headers_cannot_steer_the_terminal_or_break_the_json(medfs, study):
    for file in (study / "b" / "x").iterdir():
        content = file.read_bytes().replace(b"Thorax soft", b"Tho\x1b[2Jsof\x9b")
        file.write_bytes(content.replace(b"DS\4\0002.5 ", b"DS\4\0nan "))
    done = medfs("scans", study)
    assert not set("\x1b\x9b") & set(done.out + done.err)
    assert not set("\x1b\x9b") & set(medfs("scans", study, "--json").out)
    found = listed(medfs, study, code=3)
    assert found["series"][1]["thickness_mm"] is None


def cohort_of_studies(study, root):
    for label, case in (("benign", "one"), ("malignant", "two")):
        shutil.copytree(study, root / label / case)
    for number, file in enumerate((root / "malignant").rglob("*.dcm")):
        image = pydicom.dcmread(file)
        image.PixelData = np.random.default_rng(number).bytes(len(image.PixelData))
        image.save_as(file)
    return root


def test_validate_says_which_series_and_why(medfs, study, rules, tmp_path):
    cases = cohort_of_studies(study, tmp_path / "cases")
    refused = medfs("validate", cases)
    assert refused.code == 3
    assert refused.out.count("2 volumes fit") == 2
    options = ("--series", rules("prefer: thinnest"))
    done = medfs("validate", cases, *options)
    assert done.code == 0, done.err
    line = "one: CT of 8 × 8 × 9 voxels, 0.8 × 0.8 × 1.25 mm (preferred by the rule 'thinnest')"
    assert line in done.out
    other = "series 2 'Thorax soft' (CT, 8 × 8 × 6, 2.5 mm): not preferred by the rule 'thinnest'"
    assert done.out.count(f"\n  not {other}\n") == 2
    assert "Thorax" not in done.err  # what was asked for is no warning
    found = json.loads(medfs("validate", cases, *options, "--json").out)
    assert [c["choice"] for c in found["cases"]] == ["preferred by the rule 'thinnest'"] * 2
    assert other in found["cases"][0]["left_out"]


def test_validate_is_silent_where_nothing_was_chosen(medfs, study_made, tmp_path):
    for label in ("a", "b"):
        shutil.copytree(study_made / "b" / "y", tmp_path / "cases" / label / f"{label}1")
    done = medfs("validate", tmp_path / "cases")
    assert "chosen" not in done.out
    found = json.loads(medfs("validate", tmp_path / "cases", "--json").out)
    assert [c["choice"] for c in found["cases"]] == ["", ""]


def test_validate_tells_of_a_tilt_and_caps_remarks(medfs, study_made, tmp_path):
    for label, seed in (("a", 1), ("b", 2)):
        leaning = LUNG.copy()
        leaning[1, 2] = 0.4
        series(tmp_path / "cases" / label / f"case-{label}", 1, "head", 6, leaning, seed)
    for n in range(20):
        (tmp_path / "cases" / "a" / "case-a" / f"letter{n}.txt").write_text("x")
    done = medfs("validate", tmp_path / "cases")
    assert done.code == 0, done.out
    assert "case-b: tilt: the stack leans by" in done.err
    about = [line for line in done.err.splitlines() if line.startswith("warning: case-a: ")]
    assert len(about) == 9
    assert about[-1].endswith("and 13 more (see --json)")
    found = json.loads(medfs("validate", tmp_path / "cases", "--json").out)
    assert len(found["cases"][0]["warnings"]) == 21


@pytest.mark.parametrize("command", ["scans", "validate"])
def test_neither_imports_torch_or_monai(study, rules, tmp_path, command):
    place = study if command == "scans" else cohort_of_studies(study, tmp_path / "cases")
    program = (
        "import sys\nfrom medfs.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "assert not {'torch', 'monai', 'highdicom'} & set(sys.modules)"
    )
    call = [command, str(place), "--series", str(rules("prefer: thinnest"))]
    subprocess.run([sys.executable, "-c", program, *call], check=True, capture_output=True)


def test_adapt_and_predict_by_rules(medfs, study, rules, tmp_path):
    cases = cohort_of_studies(study, tmp_path / "cases")
    call = ("adapt", "--support", cases, "--preset", "ct-lung", "--no-cache")
    refused = medfs(*call, "--out", tmp_path / "none")
    assert refused.code == 3
    assert "2 volumes fit" in refused.err
    model = tmp_path / "model"
    done = medfs(*call, "--out", model, "--series", rules("prefer: thinnest"))
    assert done.code == 0, done.err
    settings = json.loads((model / "model.json").read_text())["settings"]
    assert settings["reading"] == {"prefer": ["thinnest"]}
    ask = ("predict", model, cases / "benign", "--no-cache", "--json")
    by_model, by_flag = (
        json.loads(medfs(*ask, *more).out)["predictions"][0]
        for more in ((), ("--series", rules("prefer: thickest")))
    )
    assert "series 2 'Thorax soft'" in by_model["note"]
    assert "series 3 'Thorax LUNG'" in by_flag["note"]
    assert by_model["probabilities"] != by_flag["probabilities"]
    for file in (cases / "benign").rglob("b/x/*.dcm"):
        file.write_bytes(file.read_bytes().replace(b"Thorax soft", b"Tho\x1b[2Jsoft"))
    told = [
        medfs("predict", model, cases / "benign", "--no-cache"),
        medfs("validate", cases, "--series", rules("prefer: thinnest")),
    ]
    assert all("[2Jsoft" in done.out and "\x1b" not in done.out + done.err for done in told)


GUIDE = Path(__file__).parents[2] / "docs" / "scans.md"


def texts_of_the_readers():
    import medfs.scans

    sources = Path(medfs.scans.__file__).parent.rglob("*.py")
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in sources]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {node.value for node in nodes if isinstance(node.value, str)}


def test_the_guide_quotes_messages_as_they_are():
    refused = GUIDE.read_text(encoding="utf-8").split("## What is refused")[1].split("## Limits")[0]
    rows = [line.split("|")[1].strip() for line in refused.splitlines() if line.startswith("| ")]
    quoted = [row for row in rows if row not in ("message", "---")]
    assert len(quoted) > 50
    told = texts_of_the_readers()
    for message in quoted:
        parts = [part.strip(" ():") for part in message.split("…") if part.strip(" ():")]
        assert all(any(part in text for text in told) for part in parts), message


def test_the_guide_lists_every_rule_and_its_example_works():
    text = GUIDE.read_text(encoding="utf-8")
    table = text.split("| key | value |")[1].split("\n\n")[0]
    named = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line[:60])}
    assert {field.name for field in fields(ReadOptions)} <= named
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert set(parse_options(yaml.safe_load(example)).to_dict()) >= {"modality", "prefer"}
    for name in PREFERENCES:
        assert f"`{name}`" in table
