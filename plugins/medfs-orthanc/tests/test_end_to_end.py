"""From an upload to an answer, against a real Orthanc."""

import hashlib
import json

import pytest

from medfs.scans.write_dicom import write_ct_series
from medfs.workflows.predict import load_predictor, predict

PLANTED = ("MUELLER", "ANNA", "Schmidt", "19620319")


def files(folder):
    return sorted(folder.iterdir())


def upload(server, *folders):
    series = [server.upload(*files(folder)) for folder in folders]
    server.until_stable(*series)
    return series


def said_by_medfs(model, folder):
    (found,) = predict(load_predictor(model, use_cache=False), folder)
    return found


@pytest.fixture
def not_a_volume(tmp_path):
    """Two slices of a patient, in whose headers names stand in several places."""
    from pydicom import dcmread
    from pydicom.data import get_testdata_file

    paths = []
    for k in range(2):
        headers = dcmread(get_testdata_file("CT_small.dcm"))
        headers.PatientName, headers.PatientID = "MUELLER^ANNA", "MUELLER-4711"
        headers.PatientBirthDate = "19620319"
        headers.SeriesDescription = "Schmidt"
        headers.StudyDescription = "Thorax ANNA MUELLER"
        headers.SOPInstanceUID = f"{headers.SeriesInstanceUID}.{k + 1}"
        headers.file_meta.MediaStorageSOPInstanceUID = headers.SOPInstanceUID
        headers.ImagePositionPatient = [0, 0, 5 * k]
        paths.append(tmp_path / f"{k}.dcm")
        headers.save_as(paths[-1])
    return paths


def test_an_answer_is_what_medfs_predicts(server, scans, model, once):
    series = upload(server, *scans)
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
    (series,) = upload(server, scans[0])
    once()
    answer = server.answer(series)
    assert answer["schema_version"] == 1
    assert answer["statement"] == "For research use only. Not a medical device."
    assert set(answer["made_by"]) == {"medfs", "medfs-orthanc"}
    sums = (model / "SHA256SUMS").read_bytes()
    assert answer["model"] == {"sha256": hashlib.sha256(sums).hexdigest()}
    assert answer["series"]["instances"] == len(files(scans[0]))
    assert answer["classes"] == ["smooth", "spiculated"]


def test_a_bad_series_is_told_and_the_others_are_answered(server, scans, once, not_a_volume):
    bad = server.upload(*not_a_volume)
    good = upload(server, scans[0], scans[1])
    server.until_stable(bad)
    done = once()
    assert done.code == 5
    assert f"warning: series {bad}: no answer: " in done.err
    assert "2 answered, 1 failed" in done.err
    answer = server.answer(bad)
    assert "at least 3 are needed" in answer["note"]
    assert (answer["familiar"], answer["prediction"], answer["probabilities"]) == (None,) * 3
    assert all(server.answer(series)["familiar"] is not None for series in good)


def test_nobody_is_named(server, scans, once, not_a_volume):
    bad = server.upload(*not_a_volume)
    (good,) = upload(server, scans[0])
    server.until_stable(bad)
    done = once()
    told = [done.err, json.dumps(server.answer(bad)), json.dumps(server.answer(good))]
    assert bad in done.err
    assert good in done.err
    for text in told:
        for word in PLANTED:
            assert word.lower() not in text.lower(), text


def test_unlike_the_support_is_an_answer_without_probabilities(
    server, simulated, once, tmp_path, model
):
    case, folder = simulated[-1], tmp_path / "flipped"
    flipped = (-1000 - case.voxels).clip(-1024, None).astype("int16")
    write_ct_series(folder, flipped, case.affine, patient="MUELLER", description="x")
    expected = said_by_medfs(model, folder)
    assert expected.familiar is False
    (series,) = upload(server, folder)
    done = once()
    assert done.code == 0, done.err
    assert f"series {series}: no probability: unlike the support" in done.err
    answer = server.answer(series)
    assert (answer["familiar"], answer["probabilities"]) == (False, None)
    assert answer["note"] == expected.note


def test_other_modalities_are_passed_over_unless_asked_for(server, once, tmp_path):
    from pydicom import dcmread
    from pydicom.data import get_testdata_file

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
