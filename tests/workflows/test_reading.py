"""From folders of DICOM, by rules, to a model that goes on reading that way and names nobody."""

import csv
import hashlib
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medfs import FewShotClassifier
from medfs.core.cases import Case
from medfs.core.errors import CohortError, GeometryError, IntegrityError, ScanReadError
from medfs.core.volumes import Provenance
from medfs.scans.options import ReadOptions
from medfs.scans.write import write_nifti
from medfs.scans.write_dicom import write_ct_series
from medfs.scans.write_seg import write_segmentation
from medfs.synthesis.cohorts import SimulatedCase
from medfs.workflows.adapt import AdaptRequest, adapt
from medfs.workflows.asked import Asked
from medfs.workflows.predict import load_predictor, predict
from medfs.workflows.sources import FileSource

RULES = ReadOptions(description=("*lung*",))
# Words that stand in names and headers of the files, and may stand in no model.
TELL_TALE = ("MUELLER", "Thorax", "Geheim", "Befund", "noisy", "I0001", ".dcm", ".zip", "_mask.")


def write_study(folder: Path, case: SimulatedCase, *, noise: int = 0) -> None:
    """A lung series and another one of the same grid and size, a localizer, and a letter."""
    rng = np.random.default_rng(noise)
    other = (case.voxels + rng.integers(-200, 200, case.voxels.shape)).astype(np.int16)
    for name, voxels in (("Thorax lung", case.voxels), ("Thorax noisy", other)):
        series = folder / name.split()[1]
        write_ct_series(series, voxels, case.affine, patient="MUELLER", description=name)
    scout = folder / "scout"
    write_ct_series(scout, other[..., :2], case.affine, patient="MUELLER", description="Geheim")
    for file in scout.iterdir():
        image = pydicom.dcmread(file)
        image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        image.save_as(file)
    (folder / "MUELLER Befund.txt").write_text("nothing found")


def write_label_map(path: Path, case: SimulatedCase) -> None:
    """The region as 2 beside another as 1, with names."""
    labels = case.mask.astype(np.uint8) * 2
    labels[:2, :2, :2] = 1
    write_nifti(path, labels, case.affine, "uint8")
    names = {"labels": {"1": "corner", "2": "MUELLER nodule"}}
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(names))


@pytest.fixture(scope="session")
def cases_made(tmp_path_factory, simulated) -> Path:
    """Three studies of each class: label maps of two regions, one segmentation, one zip."""
    root = tmp_path_factory.mktemp("reading") / "cases"
    for i, case in enumerate(simulated.cases[:6]):
        place = root / case.label / f"MUELLER_{i}"
        write_study(place, case, noise=i)
        if i == 0:
            seg = place.with_name("MUELLER_0_seg.dcm")
            label = "MUELLER nodule"
            write_segmentation(seg, case.mask, case.affine, place / "lung", label=label)
        else:
            write_label_map(place.with_name(f"MUELLER_{i}_mask.nii.gz"), case)
        if i == 1:
            pack(place)
    return root


def pack(folder: Path) -> Path:
    packed = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    shutil.rmtree(folder)
    return packed


ASKED = Asked(mask_label="MUELLER nodule", reading=RULES)


@pytest.fixture(scope="session")
def model_made(tmp_path_factory, cases_made) -> Path:
    out = tmp_path_factory.mktemp("reading-model") / "model"
    result = adapt(AdaptRequest(cases_made, out, asked=ASKED, use_cache=False))
    assert result.failed == ()
    return out


@pytest.fixture
def model(model_made, tmp_path) -> Path:
    return Path(shutil.copytree(model_made, tmp_path / "model"))


@pytest.fixture
def scans(tmp_path, simulated) -> Path:
    """A folder with one study to predict, and a label map beside it."""
    write_study(tmp_path / "scans" / "new", simulated.cases[6])
    write_label_map(tmp_path / "scans" / "new_mask.nii.gz", simulated.cases[6])
    return tmp_path / "scans"


def report_of(model: Path):
    return json.loads((model / "report.json").read_text())


def test_the_report_says_where_every_case_came_from(model_made, cases_made, simulated):
    report = report_of(model_made)
    assert len(report["cases"]) == 6
    for entry in report["cases"]:
        origin = entry["provenance"]
        assert set(origin) == {"reader", "n_files", "sha256", "choice", "notes", "skipped"}
        assert origin["reader"] == "dicom"
        assert "only volume" in origin["choice"]
        letter, others = origin["skipped"].pop("not a DICOM file"), origin["skipped"]
        assert letter == 1
        assert list(others.values()) == [2]  # the rule leaves out the localizer and the noisy one
        assert all("*lung*" in reason for reason in others)
    slices = sorted(case.voxels.shape[2] for case in simulated.cases[:6])
    assert sorted(c["provenance"]["n_files"] for c in report["cases"]) == slices
    notes = {n for entry in report["cases"] for n in entry["provenance"]["notes"]}
    assert notes == {"label: 2"}


def test_the_hash_is_that_of_the_slices(model_made, cases_made):
    folder = next(p for p in sorted(cases_made.glob("*/MUELLER_*")) if p.is_dir())
    slices = sorted((folder / "lung").iterdir(), key=lambda f: _height(f))
    digest = hashlib.sha256(b"".join(f.read_bytes() for f in slices)).hexdigest()
    assert digest in {c["provenance"]["sha256"] for c in report_of(model_made)["cases"]}


def _height(file: Path) -> float:
    return float(pydicom.dcmread(file, stop_before_pixels=True).ImagePositionPatient[2])


def test_a_zip_leaves_the_trace_of_its_folder(model_made, cases_made, tmp_path):
    packed = next(cases_made.rglob("*.zip"))
    zipfile.ZipFile(packed).extractall(tmp_path / "unpacked")
    told = [FileSource(Case("x", "x", p), reading=RULES) for p in (packed, tmp_path / "unpacked")]
    first, second = (source.load()[0].provenance.nameless() for source in told)
    assert first == second


def test_names_stay_local(model_made):
    shared = [p for p in model_made.rglob("*") if p.is_file() and "local" not in p.parts]
    assert len(shared) == 4
    for file in shared:
        content = file.read_bytes()
        for word in TELL_TALE:
            # The label that the user asked for is a setting; nothing else may name it.
            found = content.replace(b'"mask_label": "MUELLER nodule"', b"")
            assert word.encode() not in found, (file.name, word)


def test_local_tells_what_was_left_out(model_made):
    rows = list(csv.DictReader((model_made / "local" / "cases.csv").read_text().splitlines()))
    assert {r["case"] for r in rows} == {f"MUELLER_{i}" for i in range(6)}
    assert all("Thorax noisy" in r["remarks"] for r in rows)
    assert all("MUELLER Befund.txt: not a DICOM file" in r["remarks"] for r in rows)
    assert sum("label: 2; label name: MUELLER nodule" in r["remarks"] for r in rows) == 5


def test_predict_reads_as_the_support_was_read(model, scans):
    (told,) = predict(load_predictor(model, use_cache=False), scans)
    assert told.probabilities is not None, told.note
    assert "Thorax noisy" in told.note
    assert "label: 2; label name: MUELLER nodule" in told.note


def test_what_is_asked_now_wins(model, scans):
    predictor = load_predictor(model, use_cache=False)
    by_model, by_same, other = (
        next(iter(predict(predictor, scans, asked)))
        for asked in (
            Asked(),
            ASKED,
            Asked(reading=ReadOptions(description=("*noisy*",))),
        )
    )
    assert by_model.probabilities == by_same.probabilities
    assert other.probabilities != by_model.probabilities
    assert "Thorax lung" in other.note
    (corner,) = predict(predictor, scans, Asked(mask_label="corner"))
    assert "label: 1; label name: corner" in corner.note


def test_without_rules_the_same_cases_are_refused(cases_made, tmp_path):
    from medfs.core.errors import CohortError

    asked = replace(ASKED, reading=ReadOptions())
    with pytest.raises(CohortError, match="2 volumes fit") as caught:
        adapt(AdaptRequest(cases_made, tmp_path / "model", asked=asked, use_cache=False))
    assert not (tmp_path / "model").exists(), caught
    volume = FileSource(Case("x", "x", next(cases_made.glob("*/MUELLER_2"))))
    with pytest.raises(GeometryError, match="2 volumes fit"):
        volume.load()


def test_without_a_label_two_regions_are_refused(cases_made):
    image = next(cases_made.glob("*/MUELLER_2"))
    mask = image.with_name("MUELLER_2_mask.nii.gz")
    with pytest.raises(ScanReadError, match="several labels"):
        FileSource(Case("x", "x", image, mask), reading=RULES).load()


@pytest.mark.parametrize(
    "harm",
    [
        {"reading": {"tilt": "sideways"}},
        {"reading": {"colour": "blue"}},
        {"reading": ["tilt"]},
        {"reading": {"slices": {"min": "many"}}},
        {"mask_label": 7},
    ],
)
def test_tampered_rules_are_refused(model, harm):
    described = json.loads((model / "model.json").read_text())
    described["settings"] |= harm
    content = json.dumps(described).encode()
    (model / "model.json").write_bytes(content)
    with pytest.raises(IntegrityError, match="was changed"):
        load_predictor(model)
    # With sums that fit, the rules themselves are still checked.
    sums = (model / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256(content).hexdigest()
    fitting = [f"{digest}  model.json" if s.endswith("model.json") else s for s in sums]
    (model / "SHA256SUMS").write_text("\n".join(fitting) + "\n")
    with pytest.raises(IntegrityError, match=r"not valid|must be a text") as caught:
        load_predictor(model)
    assert caught.value.exit_code == 4


def test_models_without_rules_are_read_as_before(model):
    described = json.loads((model / "model.json").read_text())
    del described["settings"]["reading"], described["settings"]["mask_label"]
    content = json.dumps(described).encode()
    (model / "model.json").write_bytes(content)
    sums = (model / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256(content).hexdigest()
    fitting = [f"{digest}  model.json" if s.endswith("model.json") else s for s in sums]
    (model / "SHA256SUMS").write_text("\n".join(fitting) + "\n")
    assert load_predictor(model).asked == Asked()


def test_every_rule_and_label_has_features_of_its_own(cases_made):
    image = next(cases_made.glob("*/MUELLER_2"))
    mask = image.with_name("MUELLER_2_mask.nii.gz")
    cases = [Case("x", "x", image, mask, mask_label=label) for label in (None, "1", "corner", "2")]
    rules = [
        ReadOptions(),
        RULES,
        ReadOptions(tilt="correct"),
        ReadOptions(volume="first"),
        ReadOptions(volume="mean"),
        ReadOptions(volume=0),
        ReadOptions(suv=True),
        ReadOptions(prefer=("thinnest", "most-slices")),
        ReadOptions(prefer=("most-slices", "thinnest")),
    ]
    found = [FileSource(c, reading=r).digest() for c in cases for r in rules]
    assert len(set(found)) == len(found)
    assert FileSource(cases[0], reading=RULES).digest() == found[1]


def test_the_cache_gives_each_rule_its_own(cases_made, tmp_path, monkeypatch):
    from medfs.features.radiomics import Radiomics
    from medfs.preprocess.presets import load_preset
    from medfs.storage.tensors import TensorCache
    from medfs.workflows.embed import Embedder, embed_all

    image = next(cases_made.glob("*/MUELLER_2"))
    noisy = ReadOptions(description=("*noisy*",))
    embedder = Embedder((Radiomics(),), load_preset("ct-lung"), cache=TensorCache(tmp_path))
    sources = [FileSource(Case("x", "x", image), reading=r) for r in (RULES, noisy, RULES)]
    done, failed = embed_all(embedder, sources)
    assert not failed
    lung, other, again = (d.features.blocks for d in done)
    (block,) = lung
    assert not np.array_equal(lung[block], other[block])
    np.testing.assert_array_equal(lung[block], again[block])
    assert [d.origin for d in done[::2]] == [done[0].origin] * 2


def test_changed_images_of_a_disc_are_noticed(tmp_path):
    from pydicom.data import get_testdata_file

    disc = Path(str(get_testdata_file("dicomdirtests/DICOMDIR", download=False)))
    copy = Path(shutil.copytree(disc.parent, tmp_path / "disc"))
    source = FileSource(Case("x", "x", copy / "DICOMDIR"))
    before = source.digest()
    image = next(p for p in sorted(copy.rglob("*")) if p.is_file() and p.name != "DICOMDIR")
    image.write_bytes(image.read_bytes() + b"\0")
    assert source.digest() != before


def test_renamed_regions_are_noticed(tmp_path, simulated):
    mask = tmp_path / "a_mask.nii.gz"
    write_label_map(mask, simulated.cases[0])
    source = FileSource(Case("a", "a", simulated.images[0], mask, mask_label="corner"))
    before = source.digest()
    names = tmp_path / "a_mask.json"
    names.write_text(json.dumps({"labels": {"2": "corner", "1": "nodule"}}))
    assert source.digest() != before


def test_traces_name_no_file_series_or_region():
    found = Provenance(
        "dicom",
        ("MUELLER 1.dcm",),
        "0",
        skipped=(
            ("MUELLER 2.dcm", "a DICOM file whose header cannot be read"),
            ("series 2 'MUELLER' (CT)", "not preferred by the rule 'thinnest'"),
        ),
        choice="preferred by the rule 'thinnest'",
        notes=(
            ("structure", "12"),
            ("structure name", "GTV (MUELLER) left"),
            ("structure", "3 of 5 planes of contours were left out, one (too close)"),
            ("tilt", "the stack leans by 12.00° (gantry tilt)"),
        ),
    )
    told = found.nameless()
    assert "MUELLER" not in json.dumps(told)
    assert told["notes"] == [
        "structure: 12",
        "structure: 3 of 5 planes of contours were left out, one (too close)",
        "tilt: the stack leans by 12.00° (gantry tilt)",
    ]
    assert told["skipped"] == {
        "a DICOM file whose header cannot be read": 1,
        "not preferred by the rule 'thinnest'": 1,
    }


def test_the_estimator_reads_by_the_same_rules(cases_made):
    images, labels, masks = [], [], []
    for place in sorted(cases_made.iterdir()):
        for i in range(6):
            study = place / f"MUELLER_{i}"
            image = study if study.is_dir() else study.with_suffix(".zip")
            if not image.exists():
                continue
            known = (place / f"MUELLER_{i}_seg.dcm", place / f"MUELLER_{i}_mask.nii.gz")
            images.append(image)
            masks.append(next(m for m in known if m.exists()))
            labels.append(place.name)
    scans = [{"image": i, "mask": m} for i, m in zip(images, masks, strict=True)]
    by_rules = FewShotClassifier(reading=RULES.to_dict(), mask_label="MUELLER nodule")
    ours = by_rules.fit(scans, labels).predict_proba(scans)
    assert ours.shape == (6, 2)
    assert (ours.argmax(axis=1) == np.unique(labels, return_inverse=True)[1]).mean() > 0.5
    with pytest.raises(CohortError, match="which of them is meant"):
        FewShotClassifier(mask_label="MUELLER nodule").fit(scans, labels)
