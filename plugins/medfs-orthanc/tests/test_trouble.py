"""Servers that are away, refuse or misbehave; models that do not fit; Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from threading import Timer

import pytest
from medfs_orthanc.errors import UnreachableError
from medfs_orthanc.server import Orthanc

PROGRAM = [sys.executable, "-c", "from medfs_orthanc.cli import main; main()"]


def test_a_server_that_is_down(server, once, tmp_path):
    server.stop()
    done = once()
    assert done.code == 1
    assert f"error: {server.url}: Orthanc cannot be reached. " in done.err
    assert "Check that it runs" in done.err
    assert not (tmp_path / "state.json").exists()


def test_a_wrong_password(server, once, monkeypatch):
    monkeypatch.setenv("MEDFS_ORTHANC_PASSWORD", "a wrong password")
    done = once()
    assert done.code == 1
    assert "Orthanc does not accept the user name and password. It answered 401" in done.err
    assert "a wrong password" not in done.err


def test_a_user_without_a_password(server, once, monkeypatch):
    monkeypatch.delenv("MEDFS_ORTHANC_PASSWORD")
    done = once()
    assert (done.code, "a user and a password belong together" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8042", "none that can be used"),
        ("http://127.0.0.1:port", "none that can be used"),
        ("file:///etc/passwd", "none that can be used"),
        ("http://tester:secret@127.0.0.1:8042", "holds more than an address"),
    ],
)
def test_addresses_that_cannot_be_used(once, url, said):
    done = once("--url", url)
    assert (done.code, said in done.err) == (2, True)
    assert "secret" not in done.err


def test_a_model_with_masks_is_refused(server, watch, tmp_path, simulated):
    from medfs.scans.write import write_nifti
    from medfs.workflows.adapt import AdaptRequest, adapt

    for i, case in enumerate(simulated[:4]):
        folder = tmp_path / "cases" / case.label
        write_nifti(folder / f"{i}.nii.gz", case.voxels, case.affine, "int16")
        write_nifti(folder / f"{i}_mask.nii.gz", case.mask, case.affine, "uint8")
    request = AdaptRequest(tmp_path / "cases", tmp_path / "model", features=("radiomics",))
    adapt(request)
    call = ["--once", "--url", server.url, "--user", "tester", "--state", tmp_path / "state.json"]
    done = watch(*call, "--model", tmp_path / "model")
    assert done.code == 2
    assert "needs the mask of every scan" in done.err
    assert "--no-masks" in done.err
    assert not (tmp_path / "state.json").exists()


def test_an_unforeseen_error_stops_nothing_and_shows_no_data(server, scans, once, monkeypatch):
    from medfs_orthanc.answer import Model

    series = server.put_series(scans[0], scans[1])
    answer, seen = Model.answer, []

    def stumble(model, one, folder):
        seen.append(one.orthanc_id)
        if len(seen) == 1:
            raise RuntimeError("patient MUELLER")
        return answer(model, one, folder)

    monkeypatch.setattr(Model, "answer", stumble)
    done = once()
    assert done.code == 5
    assert "stumbled over something it does not expect (RuntimeError)" in done.err
    assert "MUELLER" not in done.err
    assert set(seen) == set(series)
    assert server.content_of(seen[0]) is None
    assert server.content_of(seen[1]) is not None


def test_a_series_that_is_deleted_meanwhile_is_passed_over(server, scans, once, monkeypatch):
    gone, left = server.put_series(scans[0], scans[1])
    ask = Orthanc.series

    def too_late(orthanc, series):
        if series == gone:
            server.delete(f"/series/{gone}")
        return ask(orthanc, series)

    monkeypatch.setattr(Orthanc, "series", too_late)
    done = once()
    assert done.code == 0, done.err
    assert f"series {gone}: passed over, as it was deleted" in done.err
    assert server.content_of(left) is not None


def test_a_file_that_orthanc_lost_fails_its_series_alone(server, scans, once):
    bad, good = server.put_series(scans[0], scans[1])
    instance = server.get(f"/series/{bad}").json()["Instances"][0]
    uuid = server.get(f"/instances/{instance}/attachments/dicom/info").json()["Uuid"]
    # Orthanc keeps in memory what it was given lately.
    server.stop()
    (lost,) = server.folder.glob(f"db/*/*/{uuid}")
    lost.unlink()
    server.start()
    done = once()
    assert done.code == 5
    assert f"warning: series {bad}: {server.url}: " in done.err
    assert server.content_of(bad) is None
    assert server.content_of(good) is not None


def test_a_series_at_which_the_server_goes_silent_is_given_up(server, scans, once, monkeypatch):
    bad, good = server.put_series(scans[0], scans[1])
    fetch = Orthanc.fetch

    def silent(orthanc, series, folder):
        if series.orthanc_id == bad:
            raise UnreachableError("Orthanc does not answer", case=server.url)
        fetch(orthanc, series, folder)

    monkeypatch.setattr(Orthanc, "fetch", silent)
    assert [once().code for _ in range(2)] == [1, 1]
    done = once()
    assert done.code == 5
    assert f"series {bad}: given up after 3 tries" in done.err
    assert server.content_of(good) is not None
    assert "nothing new" in once().err


def _as_in_a_terminal():
    """Shells let what they start in the background ignore Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_watch_goes_on_until_it_is_stopped(server, scans, model, tmp_path, stop):
    """A series is answered, Orthanc goes away and comes back, and another one is answered."""
    call = [*PROGRAM, "--url", server.url, "--user", "tester", "--model", str(model)]
    call += ["--state", str(tmp_path / "state.json"), "--interval", "0.5"]
    spare = tmp_path / "tmp"
    spare.mkdir()
    environment = {**os.environ, "MEDFS_ORTHANC_PASSWORD": "a password for tests"}
    environment["TMPDIR"] = str(spare)
    with subprocess.Popen(
        call, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=_as_in_a_terminal
    ) as running:
        too_long = Timer(180, running.kill)
        too_long.start()
        wait_for(running, "are answered in attachment")
        (first,) = server.put_series(scans[0])
        wait_for(running, first)
        server.stop()
        wait_for(running, "It is tried again every 0.5 s")
        server.start()
        wait_for(running, "Orthanc answers again")
        (second,) = server.put_series(scans[1])
        wait_for(running, second)
        time.sleep(0.2)
        running.send_signal(stop)
        rest = running.stderr.read()
        code = running.wait()
        too_long.cancel()
    assert code == 130
    assert rest == "interrupted\n"
    assert server.content_of(first) is not None
    assert server.content_of(second) is not None
    assert not list(spare.glob("medfs-orthanc-*"))


def wait_for(running, text):
    lines = []
    for line in running.stderr:
        lines.append(line)
        if text in line:
            return
    raise AssertionError(f"{text!r} is not in {lines}")
