"""Who made it: SHA256SUMS of a model or bundle, checked and signed in the format of minisign.

Sums say that nothing was changed by accident; a signature says by whom they were made. Ed25519 keys
and signatures are those of the `minisign` tool, read and written by its author's Python library.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medfs.core.errors import (
    IntegrityError,
    MissingExtraError,
    OutputError,
    ScanReadError,
    UsageError,
)
from medfs.export.audit.files import audit_sums
from medfs.export.audit.trees import open_tree
from medfs.storage.files import write_bytes

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.minisig"
# What a model folder keeps beside its sums: never signed, never copied.
_LOCAL = "local/"


@dataclass(frozen=True)
class Verified:
    """What holds.

    Attributes:
        files: how many are listed and unchanged.
        signed: whether the sums carry a valid signature of the given key.
        comment: what the signature says, which is signed too; empty without one.
    """

    files: int
    signed: bool
    comment: str


def verify_sums(folder: Path) -> int:
    """Number of files that SHA256SUMS lists, all of them there and unchanged.

    Raises:
        ScanReadError: no such folder.
        IntegrityError: no sums, a file that differs, or one that is there and not listed.
    """
    if not folder.is_dir():
        raise ScanReadError("there is no folder here", case=str(folder))
    tree = open_tree(folder)
    if SUMS not in tree.files:
        raise _broken(folder, f"{SUMS} is missing")
    if found := [*tree.findings, *audit_sums({SUMS: tree.files[SUMS], **tree.files})]:
        raise _broken(folder, f"{found[0].where}: {found[0].what}. {found[0].why}")
    text = (tree.files[SUMS].content() or b"").decode("utf-8", "replace")
    listed = {line.split("  ", 1)[-1] for line in text.splitlines()} | {SUMS, SIGNATURE}
    more = [n for n in tree.files if n not in listed and not n.startswith(_LOCAL)]
    if more:
        raise _broken(folder, f"{more[0]} is there, but not in {SUMS}")
    return len(listed) - 2


def verify(folder: Path, key: Path | None) -> Verified:
    """Check the sums, and with a public key their signature.

    Raises:
        ScanReadError: the folder or the key is not there.
        IntegrityError: something was changed, or was signed by nobody or by another key.
        MissingExtraError: signatures need a package that is not installed.
    """
    count = verify_sums(folder)
    if key is None:
        return Verified(count, False, "")
    minisign = _library()
    if not (folder / SIGNATURE).is_file():
        raise _broken(folder, f"{SIGNATURE} is missing: nobody signed it")
    public = _read_key(minisign.PublicKey, key, "public")
    try:
        signature = minisign.Signature.from_file(folder / SIGNATURE)
        public.verify((folder / SUMS).read_bytes(), signature)
    except (minisign.Error, ValueError) as error:
        raise _broken(folder, f"the signature is not of this key: {error}") from error
    return Verified(count, True, str(signature.trusted_comment))


def sign(folder: Path, key: Path, password: str | None, comment: str) -> Path:
    """Sign the sums of a folder that holds; the signature lies beside them.

    Raises:
        ScanReadError: the folder or the key is not there.
        IntegrityError: the folder does not hold what its sums say.
        UsageError: the key needs a password, or another one.
        OutputError: there is a signature already.
    """
    verify_sums(folder)
    minisign = _library()
    if (folder / SIGNATURE).exists():
        raise OutputError(
            "it is signed already", case=str(folder), todo=f"Remove {SIGNATURE} first"
        )
    secret = _read_key(minisign.SecretKey, key, "secret")
    if secret.is_encrypted():
        if password is None:
            raise UsageError("the key needs its password", todo="Set MEDFS_SIGNING_PASSWORD")
        try:
            secret.decrypt(password)
        except (minisign.Error, ValueError) as error:
            raise UsageError("the password does not open the key") from error
    made = secret.sign((folder / SUMS).read_bytes(), trusted_comment=comment)
    write_bytes(folder / SIGNATURE, bytes(made))
    return folder / SIGNATURE


def _library() -> Any:
    try:
        import minisign
    except ImportError as error:
        raise MissingExtraError(
            "signatures cannot be read or written here",
            why="py-minisign is not installed",
            todo="pip install 'medfs[sign]'",
        ) from error
    return minisign


def _read_key(kind: Any, path: Path, name: str) -> Any:
    if not path.is_file():
        raise ScanReadError(f"there is no {name} key here", case=str(path))
    try:
        return kind.from_file(path)
    except Exception as error:  # the library's parser raises whatever a damaged text leads it to
        raise IntegrityError(
            f"is no {name} key of minisign", case=str(path), why=str(error) or type(error).__name__
        ) from error


def _broken(folder: Path, why: str) -> IntegrityError:
    return IntegrityError(
        "is not as it was made",
        case=str(folder),
        why=why[:1].upper() + why[1:],
        todo="Do not use it; copy it again from where it was made",
    )
