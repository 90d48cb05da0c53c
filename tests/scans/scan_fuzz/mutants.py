"""The mutant of a seed and an index: the same on every machine, however many run at once."""

import gzip
import io
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np

from scan_fuzz import archives, byte_damage, elements, nifti_headers
from scan_fuzz.seeds import Seed, all_seeds

Random = np.random.Generator


@dataclass(frozen=True)
class Mutant:
    """Damaged files by relative path, what was done to them, and the seed they come from."""

    index: int
    seed: Seed
    files: dict[str, bytes]
    damage: str


@cache
def seeds() -> dict[str, Seed]:
    return all_seeds()


def mutant(seed: int, index: int) -> Mutant:
    """Kinds come in turn, so that any run of indices has all of them."""
    with warnings.catch_warnings():  # of pydicom, about what was damaged on purpose
        warnings.simplefilter("ignore")
        return _mutant(seed, index)


def _mutant(seed: int, index: int) -> Mutant:
    rng = np.random.default_rng((seed, index))
    kinds = list(seeds().values())
    of = kinds[index % len(kinds)]
    files, done = dict(of.files), []
    for _ in range(1 if rng.random() < 0.8 else 2):
        # One file of a series, or the same damage in all of them.
        everywhere = rng.random() < 0.3
        names = of.mutable if everywhere else (of.mutable[int(rng.integers(len(of.mutable)))],)
        state = rng.bit_generator.state
        for name in names:
            rng.bit_generator.state = state
            files[name], what = _damaged(name, files[name], rng)
        done.append(f"{what} in {'all' if everywhere else names[0]}")
    return Mutant(index, of, files, ", ".join(done))


def _damaged(name: str, content: bytes, rng: Random) -> tuple[bytes, str]:
    if rng.random() < 0.35:
        return _applied(byte_damage.OPERATIONS, content, rng)
    if name.endswith(".zip"):
        return _in_zip(content, rng)
    if name.endswith(".gz"):
        return _in_gzip(content, rng)
    if name.endswith((".nii", ".hdr")):
        return _applied(nifti_headers.OPERATIONS, content, rng)
    if name.endswith(".img"):
        return _applied(byte_damage.OPERATIONS, content, rng)
    return _in_dicom(content, rng)


def _applied(operations: tuple, content: bytes, rng: Random) -> tuple[bytes, str]:
    operation = operations[int(rng.integers(len(operations)))]
    try:
        return operation(content, rng), operation.__name__
    except Exception:  # damaged beyond this kind of damage by the first one
        return content[:-1], "truncate"


def _in_dicom(content: bytes, rng: Random) -> tuple[bytes, str]:
    operation = elements.OPERATIONS[int(rng.integers(len(elements.OPERATIONS)))]
    try:
        file = elements.File(content)
        return file.join(operation(file, rng)), operation.__name__
    except Exception:  # what the first damage left is no DICOM any more
        return _applied(byte_damage.OPERATIONS, content, rng)


def _in_zip(content: bytes, rng: Random) -> tuple[bytes, str]:
    if rng.random() < 0.4:
        return _applied(archives.OPERATIONS, content, rng)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError):
        return _applied(byte_damage.OPERATIONS, content, rng)
    name = list(files)[int(rng.integers(len(files)))]
    files[name], what = _damaged(name, files[name], rng)
    return archives.zipped(files), f"{what} in the zip"


def _in_gzip(content: bytes, rng: Random) -> tuple[bytes, str]:
    if rng.random() < 0.2:
        return content + gzip.compress(
            bytes(int(rng.choice([10, 40_000_000]))), 1
        ), "append a member"
    try:
        inner = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return _applied(byte_damage.OPERATIONS, content, rng)
    changed, what = _applied(nifti_headers.OPERATIONS, inner, rng)
    return gzip.compress(changed, mtime=0), f"{what} in the gzip"
