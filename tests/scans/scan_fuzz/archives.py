"""Zip files that are meant to harm."""

import io
import zipfile

import numpy as np

Random = np.random.Generator
_NAMES = (
    "../../outside.dcm",
    "/tmp/outside.dcm",
    "C:\\outside.dcm",
    "a/" * 300 + "x",
    "\x00",
    "scan/",
)


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def hostile_name(content: bytes, rng: Random) -> bytes:
    files = _members(content)
    moved = list(files)[int(rng.integers(len(files)))]
    files[_NAMES[int(rng.integers(len(_NAMES)))]] = files.pop(moved)
    return zipped(files)


def bomb(content: bytes, rng: Random) -> bytes:
    return zipped(_members(content) | {"scan/bomb": bytes(int(rng.choice([1 << 16, 1 << 26])))})


def nested(content: bytes, rng: Random) -> bytes:
    files = _members(content) if rng.random() < 0.5 else {}
    return zipped(files | {"scan/inner.zip": content})


def many_members(content: bytes, rng: Random) -> bytes:
    return zipped(_members(content) | {f"scan/{k}": b"" for k in range(int(rng.integers(1, 3000)))})


def link(content: bytes, rng: Random) -> bytes:
    out = io.BytesIO(content)
    with zipfile.ZipFile(out, "a") as archive:
        info = zipfile.ZipInfo("scan/link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, str(rng.choice(["/etc/passwd", "../..", "/dev/zero"])))
    return out.getvalue()


OPERATIONS = (hostile_name, bomb, nested, many_members, link)


def _members(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except Exception as error:  # damaged already
        raise ValueError("no zip any more") from error
