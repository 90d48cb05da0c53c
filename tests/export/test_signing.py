"""Sums and signatures: whatever is changed, added, taken away or signed by others is told."""

import minisign
import pytest

from medfs.core.errors import IntegrityError, OutputError, ScanReadError, UsageError
from medfs.export.signing import SIGNATURE, sign, verify


@pytest.fixture
def keys(tmp_path):
    pair = minisign.KeyPair.generate()
    for name, key in (("secret.key", pair.secret_key), ("public.pub", pair.public_key)):
        (tmp_path / name).write_bytes(bytes(key))
    return tmp_path / "secret.key", tmp_path / "public.pub"


def test_there_and_back(model, keys):
    secret, public = keys
    assert verify(model, None).files == 3
    with pytest.raises(IntegrityError, match="nobody signed it"):
        verify(model, public)
    sign(model, secret, None, "ward 7, second reading")
    found = verify(model, public)
    assert (found.files, found.signed, found.comment) == (3, True, "ward 7, second reading")
    with pytest.raises(OutputError, match="signed already"):
        sign(model, secret, None, "again")


@pytest.mark.parametrize("name", ["model.json", "report.json", "weights.safetensors"])
def test_a_changed_or_missing_file(model, keys, name):
    sign(model, keys[0], None, "x")
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[:-1] + b"x")
    with pytest.raises(IntegrityError, match="hash mismatch"):
        verify(model, keys[1])
    (model / name).unlink()
    with pytest.raises(IntegrityError, match="missing"):
        verify(model, None)


def test_sums_that_were_made_anew_lose_their_signature(model, keys):
    sign(model, keys[0], None, "x")
    sums = model / "SHA256SUMS"
    lines = sums.read_text().splitlines()
    sums.write_text("\n".join(reversed(lines)) + "\n")
    assert verify(model, None).files == 3
    with pytest.raises(IntegrityError, match="not of this key"):
        verify(model, keys[1])


def test_what_is_not_listed_is_told(model):
    (model / "more.py").write_text("print()")
    with pytest.raises(IntegrityError, match="not in SHA256SUMS"):
        verify(model, None)


def test_another_key(model, keys, tmp_path):
    sign(model, keys[0], None, "x")
    other = minisign.KeyPair.generate()
    (tmp_path / "other.pub").write_bytes(bytes(other.public_key))
    with pytest.raises(IntegrityError, match="not of this key"):
        verify(model, tmp_path / "other.pub")


@pytest.mark.parametrize("text", [b"", b"nothing", b"untrusted comment: x\nAAAA\n"])
def test_damaged_signatures_and_keys(model, keys, tmp_path, text):
    (model / SIGNATURE).write_bytes(text)
    with pytest.raises(IntegrityError):
        verify(model, keys[1])
    (tmp_path / "bad.key").write_bytes(text)
    with pytest.raises(IntegrityError, match="is no public key"):
        verify(model, tmp_path / "bad.key")


def test_a_locked_key_needs_its_password(model, tmp_path):
    pair = minisign.KeyPair.generate()
    pair.secret_key.encrypt("right", opslimit=32768, memlimit=16777216)
    (tmp_path / "locked.key").write_bytes(bytes(pair.secret_key))
    with pytest.raises(UsageError, match="needs its password"):
        sign(model, tmp_path / "locked.key", None, "x")
    with pytest.raises(UsageError, match="does not open"):
        sign(model, tmp_path / "locked.key", "wrong", "x")
    sign(model, tmp_path / "locked.key", "right", "x")


def test_what_is_not_there(model, tmp_path):
    with pytest.raises(ScanReadError, match="no folder"):
        verify(tmp_path / "absent", None)
    (model / SIGNATURE).write_bytes(b"")
    with pytest.raises(ScanReadError, match="no public key"):
        verify(model, tmp_path / "absent.pub")
    (model / "SHA256SUMS").unlink()
    with pytest.raises(IntegrityError, match="SHA256SUMS is missing"):
        verify(model, None)
