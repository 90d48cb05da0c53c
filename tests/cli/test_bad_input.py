"""What goes wrong in a hospital, told in words that a radiologist can act on."""

import json
import shutil

import numpy as np
import pytest


def first(folder):
    return sorted(p for p in folder.iterdir() if "_mask" not in p.name)[0]


def mask_of(image):
    return image.with_name(image.name.replace(".nii.gz", "_mask.nii.gz"))


def adapt_without(medfs, support, out, case, *words):
    """Adapt must leave one case out, say so with these words, and work with the others."""
    done = medfs("adapt", "--support", support, "--out", out, "--json")
    assert done.code == 5, done.err
    told = next(line for line in done.err.splitlines() if f"{case}:" in line)
    for word in words:
        assert word in told, told
    report = json.loads(done.out)
    assert len(report["excluded"]) == 1
    assert report["classes"]["smooth"]["cases"] == 3
    assert case in (out / "local" / "cases.csv").read_text()


# --- the folder ---------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["validate", "adapt", "evaluate"])
def test_missing_folder(medfs, tmp_path, out, option):
    missing = tmp_path / "nowhere"
    calls = {
        "validate": ("validate", missing),
        "adapt": ("adapt", "--support", missing, "--out", out),
        "evaluate": ("evaluate", "--cohort", missing, "--out", out),
    }
    done = medfs(*calls[option])
    assert done.code == 3
    for word in ("nowhere", "no such folder", "Check the path"):
        assert word in done.err
    assert not out.exists()


def test_empty_class(refused, support):
    (support / "unclear").mkdir()
    said = refused(3, "adapt", "--support", support)
    assert "'unclear' holds no case (empty class)" in said
    assert "<class>/<case>" in said


def test_empty_folder(refused, tmp_path):
    (tmp_path / "cases").mkdir()
    assert "no class folders" in refused(3, "adapt", "--support", tmp_path / "cases")


def test_one_class_only(medfs, refused, support):
    shutil.rmtree(support / "spiculated")
    said = refused(3, "adapt", "--support", support)
    assert "one class, 'smooth'" in said
    assert "another class" in said
    done = medfs("validate", support)
    assert done.code == 3
    assert "one class" in done.out


def test_one_case_per_class_works_and_warns(medfs, support, out):
    for folder in support.iterdir():
        for image in sorted(folder.iterdir())[2:]:
            image.unlink()
    done = medfs("adapt", "--support", support, "--out", out, "--json")
    assert done.code == 0
    assert "single patient" in done.err
    assert json.loads(done.out)["performance_on_support"] is None
    assert "calibrated" in medfs("validate", support).err


def test_scans_without_class_folders(refused, scans):
    assert "outside the class folders" in refused(3, "adapt", "--support", scans)


def test_a_file_instead_of_a_folder(refused, support):
    image = first(support / "smooth")
    assert "a single file has no classes" in refused(3, "adapt", "--support", image)


def test_a_dicom_series_as_support(refused, tmp_path):
    from pydicom.data import get_testdata_file

    folder = tmp_path / "series"
    folder.mkdir()
    shutil.copy(get_testdata_file("CT_small.dcm"), folder)
    assert "CASES/<class>/<case>/" in refused(3, "adapt", "--support", folder)


def test_names_with_spaces_and_umlauts(medfs, support, scans, tmp_path, out):
    strange = tmp_path / "Größe und Übung ☂"
    shutil.copytree(support, strange / "fälle")
    (strange / "fälle" / "smooth").rename(strange / "fälle" / "glatt, rund")
    shutil.copytree(scans, strange / "neue scans")
    model, table = strange / "mein modell", strange / "ergebnis ü.csv"
    assert medfs("validate", strange / "fälle").code == 0
    assert medfs("adapt", "--support", strange / "fälle", "--out", model).code == 0
    assert medfs("predict", model, strange / "neue scans", "--out", table).code == 0
    assert '"p_glatt, rund"' in table.read_text(encoding="utf-8").splitlines()[0]


# --- the same image, the same patient -----------------------------------------------------------


def test_the_same_path_in_two_classes(refused, support, manifest):
    image = first(support / "smooth")
    table = manifest(("case", "image", "label"), ("a", image, "x"), ("b", image, "y"))
    said = refused(3, "adapt", "--support", table)
    assert "the same image is in class 'x' and in class 'y'" in said
    assert "remove the other" in said


@pytest.mark.parametrize("command", ["adapt", "evaluate"])
def test_copies_in_two_classes(refused, support, command):
    image = first(support / "smooth")
    shutil.copy(image, support / "spiculated" / "copy.nii.gz")
    shutil.copy(mask_of(image), support / "spiculated" / "copy_mask.nii.gz")
    given = "--support" if command == "adapt" else "--cohort"
    said = refused(3, command, given, support)
    assert "the same image is in class" in said
    assert "copy" in said
    assert image.name.removesuffix(".nii.gz") in said


def test_copies_with_different_masks_in_two_classes(refused, support):
    image = first(support / "smooth")
    shutil.copy(image, support / "spiculated" / "copy.nii.gz")
    spiculated = first(support / "spiculated")
    mask = support / "spiculated" / "copy_mask.nii.gz"
    import nibabel

    known = nibabel.load(mask_of(image))
    voxels = np.asarray(known.dataobj).copy()
    voxels[:2] = 1
    nibabel.save(nibabel.Nifti1Image(voxels, known.affine), mask)
    assert spiculated.exists()
    assert "the same image is in class" in refused(3, "adapt", "--support", support)


def test_copies_are_found_by_validate(medfs, support):
    image = first(support / "smooth")
    shutil.copy(image, support / "spiculated" / "copy.nii.gz")
    shutil.copy(mask_of(image), support / "spiculated" / "copy_mask.nii.gz")
    done = medfs("validate", support)
    assert done.code == 3
    assert "the same scan is in class" in done.out


def test_the_same_patient_in_two_classes_is_a_warning(medfs, support, manifest, out):
    images = [(c, p) for c in ("smooth", "spiculated") for p in sorted((support / c).iterdir())]
    images = [(c, p) for c, p in images if "_mask" not in p.name]
    rows = [(p.name[:-7], p, mask_of(p), f"P{i % 4}", c) for i, (c, p) in enumerate(images)]
    table = manifest(("case", "image", "mask", "patient", "label"), *rows)
    done = medfs("adapt", "--support", table, "--out", out)
    assert done.code == 0, done.err
    assert "more than one class" in done.err
    assert "P0" in done.err


# --- one bad scan among good ones ---------------------------------------------------------------


def empty(image, spoil):
    image.write_bytes(b"")


def garbage(image, spoil):
    image.write_bytes(b"this is no scan" * 100)


def truncated(image, spoil):
    image.write_bytes(image.read_bytes()[:2000])


def several_volumes(image, spoil):
    spoil(image, np.zeros((8, 8, 8, 3), np.int16))


def not_a_number(image, spoil):
    voxels = np.zeros((16, 16, 16), np.float32)
    voxels[3, 3, 3] = np.nan
    spoil(image, voxels)


def other_grid(image, spoil):
    spoil(mask_of(image), np.ones((8, 8, 8), np.uint8))


def empty_mask(image, spoil):
    import nibabel

    known = nibabel.load(mask_of(image))
    spoil(mask_of(image), np.zeros(known.shape, np.uint8), known.affine)


BAD = {
    empty: ("is empty", "0 bytes"),
    garbage: ("is not compressed", "copy it again"),
    truncated: (".nii.gz",),
    several_volumes: ("several volumes", "one 3D volume"),
    not_a_number: ("not finite numbers", "Replace them"),
    other_grid: ("the mask and the scan do not overlap", "Check that the mask was drawn"),
    empty_mask: ("mask is empty", "Draw the region"),
}


@pytest.mark.parametrize("harm", BAD, ids=lambda harm: harm.__name__)
def test_one_bad_scan_among_good_ones(medfs, support, out, spoil, harm):
    image = first(support / "smooth")
    case = image.name.removesuffix(".nii.gz")
    harm(image, spoil)
    adapt_without(medfs, support, out, case, *BAD[harm])
    found = medfs("validate", support)
    assert found.code == 3
    assert f"problem: {case}" in found.out


@pytest.mark.parametrize("harm", BAD, ids=lambda harm: harm.__name__)
def test_one_bad_scan_among_those_to_predict(medfs, model, scans, out, spoil, harm):
    harm(scans / "scan-0.nii.gz", spoil)
    done = medfs("predict", model, scans, "--out", out, "--json")
    assert done.code == 5
    bad, *good = json.loads(done.out)["predictions"]
    assert bad["probabilities"] is bad["prediction"] is None
    for word in BAD[harm]:
        assert word in bad["note"]
    assert all(p["probabilities"] for p in good)


def test_evaluate_leaves_a_bad_scan_out(medfs, support, out):
    first(support / "smooth").write_bytes(b"")
    done = medfs(
        *("evaluate", "--cohort", support, "--shots", 1, "--queries", 1, "--episodes", 2),
        *("--out", out, "--json"),
    )
    assert done.code == 5
    components = json.loads(done.out)["components"]
    assert components["tasks"]["cases"]["cases_failed"] == 1


def test_no_usable_scan_in_a_class(refused, support):
    for image in (support / "smooth").iterdir():
        if "_mask" not in image.name:
            image.write_bytes(b"")
    said = refused(3, "adapt", "--support", support)
    assert "no case of class 'smooth' could be used" in said
    assert "empty" in said


def test_no_usable_scan_at_all(refused, support):
    for image in support.rglob("*.nii.gz"):
        image.write_bytes(b"")
    assert "no scan could be read" in refused(3, "adapt", "--support", support)


def test_wrong_extension(medfs, refused, support, model, out, tmp_path):
    (support / "smooth" / "photo.jpg").write_bytes(b"jpeg")
    done = medfs("adapt", "--support", support, "--out", out)
    assert done.code == 0
    assert "smooth/photo.jpg" in done.err
    shutil.rmtree(out)
    lone = tmp_path / "photo.jpg"
    lone.write_bytes(b"jpeg")
    said = refused(3, "predict", model, lone)
    assert "photo.jpg is not a scan that can be read" in said
    assert ".nii.gz" in said


# --- masks --------------------------------------------------------------------------------------


def test_masks_for_some_cases_only(medfs, refused, support):
    mask_of(first(support / "smooth")).unlink()
    said = refused(3, "adapt", "--support", support)
    assert "1 of 8 cases have no mask" in said
    assert "MUELLER_ANNA_0" in said
    assert "--no-masks" in said
    assert medfs("validate", support).code == 3


def test_no_masks_warns_of_the_field_of_view(medfs, support, out):
    done = medfs("adapt", "--support", support, "--no-masks", "--out", out)
    assert done.code == 0
    assert "field of view" in done.err


def test_a_model_made_with_masks_needs_masks(medfs, model, scans, out):
    (scans / "scan-0_mask.nii.gz").unlink()
    done = medfs("predict", model, scans, "--out", out, "--json")
    assert done.code == 5
    note = json.loads(done.out)["predictions"][0]["note"]
    assert "the scan has no mask" in note
    assert "scan-0" in note
    assert "_mask.nii.gz" in note


# --- another kind of scan -----------------------------------------------------------------------


def ball(shape=(32, 32, 32), radius=9):
    grid = np.stack(np.meshgrid(*(np.arange(n) - n / 2 for n in shape), indexing="ij"))
    return (np.linalg.norm(grid, axis=0) < radius).astype(np.uint8)


def test_a_binary_shape_for_a_ct_model(medfs, model, scans, out, spoil):
    spoil(scans / "scan-0.nii.gz", ball())
    spoil(scans / "scan-0_mask.nii.gz", ball())
    done = medfs("predict", model, scans, "--out", out, "--json")
    assert done.code == 5
    note = json.loads(done.out)["predictions"][0]["note"]
    assert "'ct-lung'" in note
    assert "looks like a binary shape" in note


def test_kinds_mixed_in_the_support(refused, support, spoil):
    image = first(support / "smooth")
    spoil(image, ball())
    spoil(mask_of(image), ball())
    said = refused(3, "adapt", "--support", support)
    assert "not of one kind" in said
    assert "--preset" in said


# --- the model folder ---------------------------------------------------------------------------

MODEL_FILES = ["model.json", "weights.safetensors", "report.json", "SHA256SUMS"]


@pytest.mark.parametrize("name", MODEL_FILES)
def test_one_changed_byte(refused, model, scans, name):
    content = bytearray((model / name).read_bytes())
    content[len(content) // 2] ^= 1
    (model / name).write_bytes(bytes(content))
    said = refused(4, "predict", model, scans)
    assert "model" in said
    assert "copy" in said.lower()


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_missing_file(refused, model, scans, name):
    (model / name).unlink()
    assert f"{name} is missing" in refused(4, "predict", model, scans)


def test_a_model_without_local_predicts(medfs, model, scans, out):
    shutil.rmtree(model / "local")
    assert medfs("predict", model, scans, "--out", out).code == 0


def test_no_model_there(refused, tmp_path, scans):
    said = refused(3, "predict", tmp_path / "nothing", scans)
    assert "no model folder here" in said
    assert "medfs adapt" in said


def test_scans_given_where_the_model_belongs(refused, model, scans):
    said = refused(3, "predict", scans, model)
    assert "no model" in said
    assert "medfs adapt" in said


# --- output -------------------------------------------------------------------------------------


def test_output_exists(medfs, support, model, scans, out):
    out.write_text("mine")
    calls = (
        ("adapt", "--support", support, "--out", out),
        ("predict", model, scans, "--out", out),
        ("evaluate", "--cohort", support, "--out", out),
        ("demo", "--out", out),
    )
    for call in calls:
        done = medfs(*call)
        assert done.code == 1, call
        assert "exists already" in done.err
        assert "--out" in done.err
    assert out.read_text() == "mine"


def test_force_replaces_a_file_but_no_folder(medfs, model, scans, out):
    out.write_text("mine")
    assert medfs("predict", model, scans, "--out", out, "--force").code == 0
    assert out.read_text().startswith("case,")
    assert medfs("predict", model, scans, "--out", model, "--force").code == 1


def test_output_below_a_file(medfs, support, model, scans, out):
    out.write_text("mine")
    for call in (("adapt", "--support", support), ("predict", model, scans)):
        done = medfs(*call, "--out", out / "deeper" / "still")
        assert done.code == 1
        assert "is a file" in done.err


def test_read_only_output(refused, support, monkeypatch):
    import os

    known = os.access
    writing = os.W_OK | os.X_OK
    monkeypatch.setattr(os, "access", lambda path, mode: mode != writing and known(path, mode))
    said = refused(1, "adapt", "--support", support)
    assert "cannot be written" in said
    assert "permission" in said


def test_a_full_disk(refused, support, monkeypatch):
    import errno
    import os

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    said = refused(1, "adapt", "--support", support, "--no-cache")
    assert "No space left" in said


# --- names and numbers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "given", "meant"),
    [
        ("--mapper", "rigde", "ridge"),
        ("--preset", "ct-long", "ct-lung"),
        ("--features", "radiomic", "radiomics"),
        ("--device", "tpu", "cuda:0"),
        ("--device", "cuda:77", "--device auto"),
        ("--weights", "resnet10", "NAME=FILE"),
        ("--features", "radiomics,radiomics", "radiomics is given twice"),
        ("--features", ",", "comma-separated list of names"),
        ("--features", "resnet10", "--weights resnet10="),
    ],
)
def test_unknown_names(refused, support, option, given, meant):
    said = refused(2, "adapt", "--support", support, option, given)
    assert given.split("=")[0].split(",")[0] in said
    assert meant in said
    assert "?." not in said


def test_weights_without_use(refused, support):
    options = ("--features", "radiomics", "--weights", "resnet10=w.pt")
    said = refused(2, "adapt", "--support", support, *options)
    assert "'resnet10', which is not used" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--seed", "-1"), "--seed"),
        (("--seed", "x"), "integer"),
        (("--shots", "0"), "--shots"),
        (("--shots", "1,,2"), "--shots"),
        (("--shots", "viele"), "viele"),
        (("--queries", "0"), "--queries"),
        (("--episodes", "0"), "--episodes"),
        (("--no-masks", "--field", "1,2"), "three lengths"),
        (("--no-masks", "--field", "0,1,2"), "positive"),
        (("--no-masks", "--field", "nan,1,2"), "positive"),
        (("--field", "1,2,3"), "--no-masks"),
        (("--mapper", "ridge,ridge"), "once"),
        (("--mapper", "rigde"), "Did you mean 'ridge'"),
        (("--task", "a"), "--benchmark"),
        (("--benchmark", "somewhere"), "either --cohort or --benchmark"),
    ],
)
def test_impossible_evaluations(refused, support, arguments, words):
    said = refused(2, "evaluate", "--cohort", support, *arguments)
    assert words in said


def test_evaluate_needs_something(refused):
    assert "--cohort or --benchmark" in refused(2, "evaluate")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Usage"),
        (("adpat",), "adapt"),
        (("adapt",), "--support"),
        (("adapt", "cases", "--out", "m"), "--support"),
        (("predict",), "MODEL"),
        (("info", "--jsn"), "--json"),
    ],
)
def test_wrong_calls_show_the_usage(medfs, arguments, words):
    done = medfs(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert words in done.err


# --- manifests ----------------------------------------------------------------------------------


def test_an_empty_manifest(refused, tmp_path):
    (tmp_path / "cases.csv").write_text("")
    assert "the manifest is empty" in refused(3, "adapt", "--support", tmp_path / "cases.csv")


def test_a_manifest_without_rows(refused, manifest):
    said = refused(3, "adapt", "--support", manifest(("case", "image", "label")))
    assert "no cases" in said


def test_missing_columns(refused, manifest):
    no_label = manifest(("case", "image"), ("a", "a.nii.gz"))
    said = refused(3, "adapt", "--support", no_label)
    assert "no label column" in said
    assert "case, image" in said
    no_image = manifest(("case", "label"), ("a", "x"))
    assert "no image column" in refused(3, "adapt", "--support", no_image)


def test_a_named_column_that_is_not_there(refused, manifest):
    table = manifest(("case", "image", "Befund"), ("a", "a.nii.gz", "x"))
    said = refused(3, "adapt", "--support", table, "--label-column", "Befnd")
    assert "'Befnd'" in said
    assert "Befund" in said


def test_named_columns_work(medfs, support, manifest, out):
    images = sorted(p for p in support.rglob("*.nii.gz") if "_mask" not in p.name)
    rows = [(p.name, p, mask_of(p), p.parent.name) for p in images]
    table = manifest(("case", "scan file", "mask", "Befund"), *rows)
    chosen = ("--label-column", "Befund", "--image-column", "scan file")
    assert medfs("adapt", "--support", table, *chosen, "--out", out).code == 0


def test_a_manifest_of_files_that_are_not_there(refused, manifest):
    rows = [("a", "a.nii.gz", "x"), ("b", "b.nii.gz", "y")]
    said = refused(3, "adapt", "--support", manifest(("case", "image", "label"), *rows))
    assert "a.nii.gz" in said


def test_an_excel_file_renamed(refused, tmp_path):
    (tmp_path / "cases.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00binary")
    assert "UTF-8" in refused(3, "adapt", "--support", tmp_path / "cases.csv")
