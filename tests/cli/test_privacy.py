"""No patient identity leaves: names may stand in folders, files and manifests."""

import json
import shutil

import pytest
from safetensors import safe_open

TELL_TALE = ("MUELLER", "ANNA", "SCHMIDT", "Station7", "cases.csv", ".nii")


@pytest.fixture
def adapted(medfs, support, manifest, out):
    images = sorted(p for p in support.rglob("*.nii.gz") if "_mask" not in p.name)
    rows = [
        (
            p.name[:-7],
            p,
            str(p).replace(".nii", "_mask.nii"),
            f"SCHMIDT^{i}",
            "Station7",
            p.parent.name,
        )
        for i, p in enumerate(images)
    ]
    images[0].write_bytes(b"")
    table = manifest(("case", "image", "mask", "patient", "site", "label"), *rows)
    assert medfs("adapt", "--support", table, "--out", out).code == 5
    return out


@pytest.mark.parametrize("name", ["model.json", "report.json", "weights.safetensors", "SHA256SUMS"])
def test_what_can_be_copied_names_nobody(adapted, tmp_path, name):
    content = (adapted / name).read_bytes()
    for word in (*TELL_TALE, str(tmp_path)):
        assert word.encode() not in content, word


def test_local_names_everybody(adapted):
    table = (adapted / "local" / "cases.csv").read_text()
    lines = table.splitlines()
    assert len(lines) == 9
    for i in range(8):
        assert f"MUELLER_ANNA_{i}" in table
        assert f"SCHMIDT^{i}" in table
    assert "case-008,MUELLER_ANNA_0" in lines[-1]
    assert "is empty" in lines[-1]


def test_weights_have_no_metadata(adapted):
    with safe_open(adapted / "weights.safetensors", "pt") as file:
        assert not file.metadata()


def test_the_report_knows_ordinals(adapted):
    report = json.loads((adapted / "report.json").read_text())
    ordinals = [c["case"] for c in (*report["cases"], *report["excluded"])]
    assert ordinals == [f"case-{i:03d}" for i in range(1, 9)]


def test_files_left_out_of_a_series_are_not_named(medfs, tmp_path, out):
    from pydicom import dcmread
    from pydicom.data import get_testdata_file
    from pydicom.uid import generate_uid

    cases = tmp_path / "cases"
    for number, (label, case) in enumerate([("a", "one"), ("b", "two")]):
        folder = cases / label / case
        folder.mkdir(parents=True)
        for z in range(6):
            slice_ = dcmread(get_testdata_file("CT_small.dcm"))
            slice_.SOPInstanceUID = generate_uid()
            slice_.SeriesInstanceUID = f"1.2.3.{number}"
            x, y, _ = slice_.ImagePositionPatient
            slice_.ImagePositionPatient = [x, y, 5 * z]
            slice_.InstanceNumber = z + 1
            slice_.PixelData = (slice_.pixel_array + 10 * number).astype("int16").tobytes()
            slice_.save_as(folder / f"{z}.dcm")
        (folder / "MUELLER_ANNA_Befund.txt").write_text("nothing found")
    done = medfs("adapt", "--support", cases, "--out", out, "--preset", "ct-soft")
    assert done.code == 0, done.err
    for name in ("model.json", "report.json", "weights.safetensors"):
        assert b"MUELLER" not in (out / name).read_bytes()
    assert "MUELLER_ANNA_Befund.txt" in (out / "local" / "cases.csv").read_text()
    shutil.rmtree(out)
