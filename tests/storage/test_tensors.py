"""Tensors on disk and the feature cache."""

import contextlib
import os
import stat

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.errors import IntegrityError
from medfs.storage.tensors import TensorCache, tensors_from_bytes, tensors_to_bytes

TENSORS = {
    "b": torch.arange(6.0, dtype=torch.float64).reshape(2, 3),
    "a": torch.tensor(3, dtype=torch.int64),
    "empty": torch.zeros(0, 4),
    "turned": torch.arange(6.0).reshape(2, 3).T,
}


def test_round_trip_is_identity_bit_by_bit():
    back = tensors_from_bytes(tensors_to_bytes(TENSORS), "x")
    assert set(back) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)


def test_bytes_do_not_depend_on_the_order_of_names_or_on_memory_layout():
    other = {n: TENSORS[n].clone().contiguous() for n in reversed(TENSORS)}
    assert tensors_to_bytes(TENSORS) == tensors_to_bytes(other)


def test_tensors_that_share_memory_are_written():
    base = torch.arange(4.0)
    back = tensors_from_bytes(tensors_to_bytes({"a": base, "b": base, "c": base[1:]}), "x")
    assert torch.equal(back["c"], base[1:])


def test_tensors_with_a_gradient_are_written():
    tensors_to_bytes({"a": torch.ones(2, requires_grad=True) * 2})


@given(
    cut=st.one_of(st.none(), st.integers(0, 300)),
    edits=st.lists(st.tuples(st.integers(0, 199), st.integers(0, 255)), max_size=4),
)
def test_damaged_bytes_are_refused_or_read_and_nothing_else(cut, edits):
    content = bytearray(tensors_to_bytes(TENSORS)[:cut])
    for at, value in edits:
        if content:
            content[at % len(content)] = value
    with contextlib.suppress(IntegrityError):
        tensors_from_bytes(bytes(content), "x")


@pytest.fixture
def cache(tmp_path):
    return TensorCache(tmp_path / "cache")


def test_what_was_put_comes_back_and_what_was_not_is_absent(cache):
    key = cache.key("scan", "preset")
    assert cache.get(key) is None
    cache.put(key, TENSORS)
    assert torch.equal(cache.get(key)["b"], TENSORS["b"])


def test_only_the_owner_can_read_it(cache):
    before = os.umask(0)
    try:
        cache.put(cache.key("x"), TENSORS)
    finally:
        os.umask(before)
    for path in [cache.folder, *cache.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("content", [b"", b"garbage", None, "folder"])
def test_a_damaged_entry_counts_as_absent_and_is_replaced(cache, content):
    key = cache.key("x")
    cache.put(key, TENSORS)
    (entry,) = cache.folder.rglob("*.safetensors")
    entry.write_bytes(entry.read_bytes()[:-3] if content in (None, "folder") else content)
    assert cache.get(key) is None
    cache.put(key, TENSORS)
    assert cache.get(key) is not None


def test_keys_cannot_be_confused():
    cache = TensorCache(None)
    lists = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("a\x00", "bc"), ("a", "\x00bc"), ()]
    assert len({cache.key(*parts) for parts in lists}) == len(lists)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_other_parts_give_another_key(one, other):
    cache = TensorCache(None)
    assert (cache.key(*one) == cache.key(*other)) == (one == other)


def test_a_cache_that_cannot_be_written_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("x")
    cache = TensorCache(tmp_path / "file" / "cache")
    cache.put(cache.key("x"), TENSORS)
    assert cache.get(cache.key("x")) is None


def test_without_a_folder_nothing_is_kept():
    cache = TensorCache(None)
    cache.put(cache.key("x"), TENSORS)
    assert cache.get(cache.key("x")) is None


def test_the_default_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDFS_CACHE", str(tmp_path / "chosen"))
    assert TensorCache.default().folder == tmp_path / "chosen"
    monkeypatch.delenv("MEDFS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert TensorCache.default().folder == tmp_path / "medfs"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert TensorCache.default().folder == tmp_path / ".cache" / "medfs"
