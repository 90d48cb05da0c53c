"""Ctrl-C, closed pipes and mistakes of medfs itself."""

import os
import signal
import subprocess
import sys
import time
from threading import Timer

import pytest

from medfs.cli.main import main

PROGRAM = [sys.executable, "-c", "from medfs.cli.main import main; main()"]


@pytest.mark.parametrize(
    "where",
    [
        "medfs.workflows.embed.make_patch",
        "medfs.workflows.adapt.choose",
        "medfs.export.model_folder.tensors_to_bytes",
    ],
)
def test_ctrl_c_while_adapting(medfs, support, out, monkeypatch, where):
    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, stop)
    done = medfs("adapt", "--support", support, "--out", out, "--no-cache")
    assert done.code == 130
    assert "interrupted" in done.err
    assert list(out.parent.iterdir()) == []


def _as_in_a_terminal():
    """Shells let what they start in the background ignore Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_signal_ends_the_process_with_130(support, out):
    call = [*PROGRAM, "evaluate", "--cohort", str(support), "--shots", "1", "--queries", "1"]
    call += ["--episodes", "100000", "--out", str(out)]
    with subprocess.Popen(
        call, stderr=subprocess.PIPE, text=True, preexec_fn=_as_in_a_terminal
    ) as running:
        too_long = Timer(120, running.kill)
        too_long.start()
        for line in running.stderr:
            if "shots" in line:
                break
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
        code = running.wait()
        too_long.cancel()
    assert code == 130
    assert "Traceback" not in rest
    assert "interrupted" in rest
    assert list(out.parent.iterdir()) == []


def test_a_closed_pipe_gives_no_traceback(model, scans):
    read, write = os.pipe()
    os.close(read)
    call = [*PROGRAM, "predict", str(model), str(scans)]
    done = subprocess.run(call, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def broken(*_args, **_kwargs):
    raise RuntimeError("patient MUELLER")


def test_an_unexpected_error_shows_no_data(monkeypatch, capsys):
    monkeypatch.setattr("medfs.workflows.info.describe", broken)
    monkeypatch.setattr(sys, "argv", ["medfs", "info"])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr()
    assert stop.value.code == 1
    assert "--debug" in said.err
    assert "MUELLER" not in said.err
    assert "Traceback" not in said.err


def test_debug_shows_the_traceback(monkeypatch, capsys):
    monkeypatch.setattr("medfs.workflows.info.describe", broken)
    monkeypatch.setattr(sys, "argv", ["medfs", "--debug", "info"])
    with pytest.raises(SystemExit):
        main()
    assert "Traceback" in capsys.readouterr().err
