"""Whatever is written is written whole, or not at all."""

import json
import os
import stat
from pathlib import Path

import pytest

from medfs.core.errors import OutputError
from medfs.storage.files import check_new, new_folder, to_json, write_bytes, write_text


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_bytes_arrive_whole_and_missing_folders_are_made(tmp_path):
    write_bytes(tmp_path / "a" / "b" / "file.bin", b"\x00content")
    assert (tmp_path / "a" / "b" / "file.bin").read_bytes() == b"\x00content"
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["file.bin"]


def test_modes_follow_the_umask_unless_private(tmp_path, umask):
    write_bytes(tmp_path / "public", b"")
    write_bytes(tmp_path / "private", b"", private=True)
    assert _mode(tmp_path / "public") == 0o640
    assert _mode(tmp_path / "private") == 0o600


class _Crash(BaseException):
    """As a signal would end the run."""


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_crash_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def crash(*_):
        raise _Crash

    monkeypatch.setattr(*(os, "fsync") if step == "fsync" else (Path, step), crash)
    with pytest.raises(_Crash):
        write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize("target", ["file/below", "folder"])
def test_what_cannot_be_written_is_an_error_in_words(tmp_path, target):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / target, "text")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_full_disk_is_an_error_in_words_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_bytes(tmp_path / "file", b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a" * 250, "ümläut 名前", ".hidden", "with\nbreak"])
def test_unusual_names_are_written(tmp_path, name):
    write_text(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x"


def test_text_is_utf8(tmp_path):
    write_text(tmp_path / "t", "µ σ²\n")
    assert (tmp_path / "t").read_bytes() == "µ σ²\n".encode()


def test_json_has_stable_bytes_and_no_nan():
    assert to_json({"b": 1, "a": [1.5]}) == to_json({"a": [1.5], "b": 1})
    assert json.loads(to_json({"ä": "µ"})) == {"ä": "µ"}
    with pytest.raises(ValueError, match="JSON"):
        to_json({"x": float("nan")})


def test_a_new_folder_appears_when_its_block_ends(tmp_path, umask):
    with new_folder(tmp_path / "out" / "model") as folder:
        (folder / "file").write_text("x")
        assert not (tmp_path / "out" / "model").exists()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["model"]
    assert (tmp_path / "out" / "model" / "file").read_text() == "x"
    assert _mode(tmp_path / "out" / "model") == 0o750


@pytest.mark.parametrize("error", [_Crash, ValueError])
def test_a_block_that_ends_in_an_error_leaves_no_folder(tmp_path, error):
    with pytest.raises(error), new_folder(tmp_path / "model") as folder:  # noqa: PT012
        (folder / "file").write_text("x")
        raise error
    assert sorted(p.name for p in tmp_path.iterdir()) == []


def test_an_existing_output_is_left_alone(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("x")
    with pytest.raises(OutputError, match="exists already"), new_folder(tmp_path / "model"):
        pass
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["mine"]


def test_an_output_that_appears_meanwhile_is_not_overwritten(tmp_path):
    with pytest.raises(OutputError), new_folder(tmp_path / "model"):  # noqa: PT012
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "theirs").write_text("x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["theirs"]


def test_check_new_writes_nothing_and_names_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("x")
    check_new(tmp_path / "deep" / "er" / "model")
    with pytest.raises(OutputError, match="is a file"):
        check_new(tmp_path / "file" / "model")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_a_link_to_nowhere_is_not_taken_for_a_free_place(tmp_path):
    (tmp_path / "model").symlink_to(tmp_path / "gone")
    with pytest.raises(OutputError), new_folder(tmp_path / "model") as folder:
        (folder / "file").write_text("x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
