"""Every planted name in any bytes, through archives, compression and encodings."""

import base64
import gzip
import html
import io
import re
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

# Whatever is planted has this form; what stands between tells where it was planted.
_BEGIN, _END, _INNER = "qxj", "zvw", "[0-9a-z]"
_DATA_URI = re.compile(rb"data:[a-z0-9/+.;=-]*;base64,([A-Za-z0-9+/=\s]+)", re.IGNORECASE)
_PNG = b"\x89PNG\r\n\x1a\n"
_DEEPEST = 6


def marker(place: str) -> str:
    """What is planted at a place of letters and digits: 2 to 10 of them."""
    assert re.fullmatch(r"[0-9A-Za-z]{2,10}", place), place
    return f"{_BEGIN}{place}{_END}".upper()


def _pattern(before: str, after: str) -> bytes:
    """Of a marker whose characters have these bytes around them."""
    characters = [*_BEGIN, None, *_END]
    parts = [
        f"(?:{before}{_INNER}{after}){{2,10}}" if c is None else f"{before}{c}{after}"
        for c in characters
    ]
    return "".join(parts).encode()


_MARKERS = [
    re.compile(_pattern(*zeros), re.IGNORECASE)
    for zeros in (("", ""), ("", r"\x00"), (r"\x00", ""))
]


def found_in(content: bytes, name: str, others: tuple[str, ...] = ()) -> set[str]:
    """Each name with the place where it stands.

    Args:
        content: of a file, or text.
        name: of that file.
        others: texts to look for beside the markers, in UTF-8 and UTF-16.
    """
    found = set()
    for where, data in _layers(content, name, 0):
        for pattern in _MARKERS:
            for match in pattern.finditer(data):
                found.add(f"{where}: {match.group().replace(bytes(1), b'').decode()}")
        lower = data.lower()
        for text in others:
            for coding in ("utf-8", "utf-16-le", "utf-16-be"):
                if text.lower().encode(coding) in lower:
                    found.add(f"{where}: {text}")
    return found


def found_below(folder: Path, others: tuple[str, ...] = ()) -> set[str]:
    """`found_in` all files of a folder but those of `local/`, and in their names."""
    found = set()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if "local" in path.relative_to(folder).parts:
            continue
        found |= found_in(name.encode(), f"name of {name}", others)
        if path.is_file():
            found |= found_in(path.read_bytes(), name, others)
    return found


def _layers(content: bytes, name: str, depth: int) -> Iterator[tuple[str, bytes]]:
    """The bytes themselves, and all that can be unpacked from them."""
    yield name, content
    if depth >= _DEEPEST:
        return
    for part, inner in _unpacked(content):
        if inner != content:
            yield from _layers(inner, f"{name} › {part}", depth + 1)


def _unpacked(content: bytes) -> Iterator[tuple[str, bytes]]:
    if content[:2] == b"PK":
        yield from _members(content)
    elif content[:2] == b"\x1f\x8b":
        yield "gzip", gzip.decompress(content)
    elif content.startswith(_PNG):
        yield from _chunks(content)
    elif b"<html" in content[:200].lower():
        text = content.decode("utf-8")
        yield "entities", html.unescape(text).encode()
        yield "percent", urllib.parse.unquote(text).encode()
    elif content.lstrip()[:1] in (b"{", b"["):
        yield "escapes", re.sub(rb"\\u([0-9a-fA-F]{4})", _character, content)
    for i, match in enumerate(_DATA_URI.finditer(content)):
        yield f"data URI {i}", base64.b64decode(match.group(1))


def _character(match: "re.Match[bytes]") -> bytes:
    return chr(int(match.group(1), 16)).encode("utf-8", "replace")


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            yield f"{info.filename} (its name)", info.filename.encode()
            yield info.filename, archive.read(info)


def _chunks(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Of a PNG: compressed text and pixels are inflated, the rest is read as it is."""
    at = len(_PNG)
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        data = content[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IDAT":
            # One stream may be spread over several chunks; medfs writes a single one.
            yield "pixels", zlib.decompress(data)
        elif kind == b"zTXt":
            yield "zTXt", zlib.decompress(data.split(b"\0", 1)[1][1:])
        elif kind == b"iTXt":
            rest = data.split(b"\0", 1)[1]
            text = rest[2:].split(b"\0", 2)[2]
            yield "iTXt", zlib.decompress(text) if rest[0] else text
