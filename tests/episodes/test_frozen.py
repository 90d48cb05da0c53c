import copy
import csv
import gzip
import json
import os
from pathlib import Path

import pytest

from medfs.core.cases import Case, Cohort
from medfs.core.errors import ConfigError, EpisodeError
from medfs.episodes import frozen
from medfs.episodes.frozen import read_frozen
from medfs.episodes.restriction import shared_patients

CONTENT = {
    "schema_version": 1,
    "queries_per_class": 2,
    "tasks": {
        "side": {
            "manifest": "side.csv",
            "classes": ["right", "left"],
            "shots": {
                "1": [
                    {
                        "support": {"right": ["r1"], "left": ["l1"]},
                        "query": {"right": ["r2", "r3"], "left": ["l2", "l3"]},
                    }
                ]
            },
        }
    },
}


def write(folder, content):
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    with gzip.open(folder / "episodes.json.gz", "wb") as stream:
        stream.write(data)
    return folder


def changed(path, value):
    """CONTENT with the entry at `path` replaced."""
    content = copy.deepcopy(CONTENT)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return content


TASK = ("tasks", "side")
EPISODE = (*TASK, "shots", "1", 0)


def test_reads_folder_or_file(tmp_path):
    benchmark = read_frozen(write(tmp_path, CONTENT))
    task = benchmark.tasks["side"]
    assert benchmark.queries_per_class == 2
    assert task.class_names == ("left", "right")
    assert task.manifest == tmp_path / "side.csv"
    assert list(task.shots) == [1]
    assert task.shots[1][0].support == {"left": ("l1",), "right": ("r1",)}
    assert list(task.shots[1][0].query) == ["left", "right"]
    assert read_frozen(tmp_path / "episodes.json.gz") == benchmark


@pytest.mark.parametrize(
    ("path", "value", "error", "message"),
    [
        (("schema_version",), 2, ConfigError, "version 2"),
        (("queries_per_class",), True, ConfigError, "positive integer"),
        (("queries_per_class",), 0, ConfigError, "positive integer"),
        (("extra",), 1, ConfigError, "nothing else"),
        (("tasks",), [], ConfigError, "object is needed, found list"),
        ((*TASK, "manifest"), "/etc/passwd", ConfigError, "beside"),
        ((*TASK, "manifest"), "../side.csv", ConfigError, "beside"),
        ((*TASK, "manifest"), 3, ConfigError, "beside"),
        ((*TASK, "classes"), ["left", "left"], ConfigError, "two different classes"),
        ((*TASK, "classes"), "left", ConfigError, "list is needed"),
        ((*TASK, "shots"), {"one": []}, ConfigError, "no number of shots"),
        ((*TASK, "shots"), {"01": []}, ConfigError, "no number of shots"),
        ((*TASK, "shots", "1"), {}, ConfigError, "list is needed"),
        ((*EPISODE, "query"), {"left": ["l2", "l3"]}, EpisodeError, "its classes are"),
        ((*EPISODE, "support", "left"), [], EpisodeError, "has 0 cases, not 1"),
        ((*EPISODE, "query", "left"), ["l2"], EpisodeError, "has 1 cases, not 2"),
        ((*EPISODE, "query", "left"), ["l2", 3], ConfigError, "list of names"),
        ((*EPISODE, "query", "left"), ["l1", "l2"], EpisodeError, "used twice"),
    ],
)
def test_what_breaks_the_schema_is_refused(tmp_path, path, value, error, message):
    with pytest.raises(error) as caught:
        read_frozen(write(tmp_path, changed(path, value)))
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [b"{", b"[" * 100_000, b"\xff\xfe"])
def test_broken_json_is_refused(tmp_path, data):
    with pytest.raises(ConfigError, match="JSON"):
        read_frozen(write(tmp_path, data))


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_frozen(tmp_path)
    file = write(tmp_path, CONTENT) / "episodes.json.gz"
    whole = file.read_bytes()
    for data in (b"no gzip", whole[:-20], whole[:15] + b"\x00" * 20 + whole[35:]):
        file.write_bytes(data)
        with pytest.raises(ConfigError, match="cannot be read"):
            read_frozen(tmp_path)


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "MAX_BYTES", 1000)
    with pytest.raises(ConfigError, match="more than 1000 bytes"):
        read_frozen(write(tmp_path, b" " * 1001))


def shared_folder():
    given = os.environ.get("MEDFS_SHARED")
    return Path(given) if given else Path(__file__).parents[3] / "shared"


def manifest_cohort(path):
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return Cohort(
        tuple(
            # Where a manifest knows no patients, every case counts as one.
            Case(r["case"], r["patient"] or r["case"], Path(r["image"]), label=r["label"])
            for r in rows
        )
    )


@pytest.mark.shared
def test_shared_benchmark_is_patient_disjoint():
    folder = shared_folder() / "benchmark"
    if not (folder / "episodes.json.gz").exists():
        pytest.skip("the shared benchmark is not here; set MEDFS_SHARED to its parent folder")
    for task in read_frozen(folder).tasks.values():
        cohort = manifest_cohort(task.manifest)
        assert cohort.class_names == task.class_names
        for episodes in task.shots.values():
            assert len(episodes) == 100
            assert not any(shared_patients(episode, cohort) for episode in episodes)
