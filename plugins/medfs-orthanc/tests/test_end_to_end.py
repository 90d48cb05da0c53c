"""From an upload to an answer, against a real Orthanc."""

import hashlib

import pytest
from medfs_orthanc.privacy import CONCEALED
from pydicom import dcmread
from pydicom.data import get_testdata_file

from medfs.workflows.predict import load_predictor, predict

PLANTED = ("MUELLER", "ANNA", "Schmidt", "19620319")


def said_by_medfs(model, folder):
    (found,) = predict(load_predictor(model, use_cache=False), folder)
    return found


@pytest.fixture
def not_a_volume(tmp_path, simulated, write_series):
    """Two volumes in one series, a case in which medfs quotes its description."""
    case = simulated[-1]
    axial = case.affine
    sagittal = axial.copy()
    sagittal[:3, 0], sagittal[:3, 2] = axial[:3, 2], axial[:3, 0]
    for name, affine in (("axial", axial), ("sagittal", sagittal)):
        write_series(tmp_path / name, case, affine_ras=affine)
    paths = sorted(tmp_path.glob("*al/*.dcm"))
    uid = dcmread(paths[0]).SeriesInstanceUID
    for path in paths:
        headers = dcmread(path)
        headers.SeriesInstanceUID = uid
        headers.PatientName, headers.PatientID = "MUELLER^ANNA", "MUELLER-4711"
        headers.PatientBirthDate = "19620319"
        headers.SeriesDescription = "Thorax Schmidt for ANNA MUELLER *19620319"
        headers.save_as(path)
    return paths


def test_an_answer_is_what_medfs_predicts(server, scans, model, once):
    series = server.put_series(*scans)
    done = once()
    assert done.code == 0, done.err
    assert done.out == ""
    assert "3 answered" in done.err
    for orthanc_id, folder in zip(series, scans, strict=True):
        answer, expected = server.answer(orthanc_id), said_by_medfs(model, folder)
        assert expected.probabilities is not None
        told = [answer["probabilities"][name] for name in answer["classes"]]
        assert told == pytest.approx(expected.probabilities, abs=1e-6)
        assert answer["prediction"] == expected.best(answer["classes"])
        assert (answer["familiar"], answer["note"]) == (expected.familiar, expected.note)


def test_an_answer_says_what_it_is_and_where_it_comes_from(server, scans, model, once):
    (series,) = server.put_series(scans[0])
    once()
    answer = server.answer(series)
    assert answer["schema_version"] == 1
    assert answer["statement"] == "For research use only. Not a medical device."
    assert set(answer["made_by"]) == {"medfs", "medfs-orthanc"}
    sums = (model / "SHA256SUMS").read_bytes()
    assert answer["model"] == {"sha256": hashlib.sha256(sums).hexdigest()}
    assert answer["series"]["instances"] == len(list(scans[0].iterdir()))
    assert answer["classes"] == ["smooth", "spiculated"]


def test_a_bad_series_is_told_and_the_others_are_answered(server, scans, once, not_a_volume):
    bad = server.upload(*not_a_volume)
    good = server.put_series(scans[0], scans[1])
    server.until_stable(bad)
    done = once()
    assert done.code == 5
    assert f"warning: series {bad}: no answer: " in done.err
    assert "2 answered, 1 failed" in done.err
    answer = server.answer(bad)
    assert answer["note"].startswith("2 volumes fit, and which of them is meant is not clear")
    assert (answer["familiar"], answer["prediction"], answer["probabilities"]) == (None,) * 3
    assert all(server.answer(series)["familiar"] is not None for series in good)


def test_nobody_is_named(server, scans, once, not_a_volume):
    bad = server.upload(*not_a_volume)
    (good,) = server.put_series(scans[0])
    server.until_stable(bad)
    done = once()
    assert bad in done.err
    assert good in done.err
    told = [done.err, *(server.content_of(series).decode() for series in (bad, good))]
    for text in told:
        for word in PLANTED:
            assert word.lower() not in text.lower(), text
    assert CONCEALED in server.answer(bad)["note"]


def test_unlike_the_support_is_an_answer_without_probabilities(
    server, simulated, once, tmp_path, model, write_series
):
    folder = tmp_path / "flipped"
    flipped = (-1000 - simulated[-1].voxels).clip(-1024, None).astype("int16")
    write_series(folder, simulated[-1], voxels=flipped)
    expected = said_by_medfs(model, folder)
    assert expected.familiar is False
    (series,) = server.put_series(folder)
    done = once()
    assert done.code == 0, done.err
    assert f"series {series}: no probability: unlike the support" in done.err
    answer = server.answer(series)
    assert (answer["familiar"], answer["probabilities"]) == (False, None)
    assert answer["note"] == expected.note


def test_other_modalities_are_passed_over_unless_asked_for(server, once, tmp_path):
    headers = dcmread(get_testdata_file("MR_small.dcm"))
    headers.save_as(tmp_path / "mr.dcm")
    series = server.upload(tmp_path / "mr.dcm")
    server.until_stable(series)
    done = once()
    assert (done.code, server.content_of(series)) == (0, None)
    assert "another modality" in done.err
    done = once("--modality", "MR", "--state", tmp_path / "other.json")
    assert done.code == 5
    assert server.answer(series)["familiar"] is None
