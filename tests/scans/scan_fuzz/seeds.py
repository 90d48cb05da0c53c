"""Small valid scans and masks of every kind that is read: what mutants are made from."""

import gzip
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.fileset import FileSet
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from medfs.scans.write_dicom import write_ct_series
from medfs.scans.write_seg import write_segmentation
from scan_fuzz.archives import zipped
from scan_fuzz.special import enhanced_ct, structure_set

SHAPE = (6, 5, 4)
# The encoder of JPEG 2000 halves images five times.
LARGER = (36, 33, 3)
AFFINE = np.array([[-0.7, 0, 0, 40], [0, 0.8, 0, -20], [0, 0, 2.5, 7], [0, 0, 0, 1.0]])


KINDS = (
    *("dicom explicit", "dicom implicit", "dicom big endian", "dicom deflated", "dicom rle"),
    *("dicom jpeg-ls", "dicom jpeg 2000", "dicom enhanced", "dicomdir", "zip", "seg", "rtstruct"),
    *("nifti", "nifti big endian", "nifti-2", "nifti-2 big endian", "nifti gzip", "nifti pair"),
)


@dataclass(frozen=True)
class Seed:
    """A valid scan, or a mask with its scan.

    `files` are contents by relative path, `mutable` the paths that mutators may change, `target`
    what is read (empty for the folder), `mask` what is read as mask on top of it.
    """

    kind: str
    files: dict[str, bytes]
    mutable: tuple[str, ...]
    target: str = ""
    mask: str = ""


def all_seeds() -> dict[str, Seed]:
    """One seed of each of `KINDS`, in that order, without those that lack an encoder."""
    series, segmentation = _series()
    seeds = [
        _of_series("dicom explicit", series),
        _of_series("dicom implicit", _saved_as(series, ImplicitVRLittleEndian)),
        _of_series("dicom big endian", _saved_as(series, ExplicitVRBigEndian)),
        _of_series("dicom deflated", _saved_as(series, DeflatedExplicitVRLittleEndian)),
        _of_series("dicom rle", _compressed(series, RLELossless)),
        _of_series("dicom jpeg-ls", _compressed(series, JPEGLSLossless)),
        _of_series("dicom jpeg 2000", _compressed(_series(LARGER)[0], JPEG2000Lossless)),
        _of_series("dicom enhanced", {"IM1": enhanced_ct(series)}),
        _dicomdir(series),
        Seed(
            "zip",
            {"scan.zip": zipped({f"scan/{n}": c for n, c in series.items()})},
            ("scan.zip",),
            target="scan.zip",
        ),
        _of_mask("seg", series, segmentation),
        _of_mask("rtstruct", series, structure_set(series)),
        *_niftis(),
    ]
    return {seed.kind: seed for seed in seeds if seed.files}


def voxels(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """(x, y, z), int16; no two slices, rows or columns are alike."""
    return np.random.default_rng(0).integers(-900, 900, shape).astype(np.int16)


def saved(ds: pydicom.Dataset) -> bytes:
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _series(shape: tuple[int, int, int] = SHAPE) -> tuple[dict[str, bytes], bytes]:
    mask = np.zeros(shape, bool)
    mask[1:4, 1:4, 1:3] = True
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        texts = {"patient": "P1", "description": "seed"}
        write_ct_series(place / "s", voxels(shape), AFFINE, **texts)
        write_segmentation(place / "m.dcm", mask, AFFINE, place / "s", label="nodule")
        series = {p.name: p.read_bytes() for p in sorted((place / "s").iterdir())}
        return series, (place / "m.dcm").read_bytes()


def _of_series(kind: str, files: dict[str, bytes]) -> Seed:
    return Seed(kind, files, tuple(files))


def _of_mask(kind: str, series: dict[str, bytes], mask: bytes) -> Seed:
    files = {f"scan/{name}": content for name, content in series.items()} | {"mask.dcm": mask}
    return Seed(kind, files, ("mask.dcm",), target="scan", mask="mask.dcm")


def _rewritten(series: dict[str, bytes], change: Callable[[pydicom.Dataset], None]) -> dict:
    files = {}
    for name, content in series.items():
        ds = pydicom.Dataset()  # one that has no byte order yet
        read = pydicom.dcmread(io.BytesIO(content))
        for element in read:
            ds.add(element)
        ds.file_meta = read.file_meta
        change(ds)
        files[name] = saved(ds)
    return files


def _saved_as(series: dict[str, bytes], syntax: str) -> dict[str, bytes]:
    def change(ds: pydicom.Dataset) -> None:
        ds.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()

    return _rewritten(series, change)


def _compressed(series: dict[str, bytes], syntax: str) -> dict[str, bytes]:
    try:
        return _rewritten(series, lambda ds: ds.compress(syntax, generate_instance_uid=False))
    except (RuntimeError, ValueError, NotImplementedError):  # no encoder is installed
        return {}


def _dicomdir(series: dict[str, bytes]) -> Seed:
    with tempfile.TemporaryDirectory() as folder:
        files = FileSet()
        files.UID = generate_uid(entropy_srcs=["seed file set"])
        for content in series.values():
            ds = pydicom.dcmread(io.BytesIO(content))
            ds.StudyDate, ds.StudyTime, ds.StudyID = "20000101", "000000", "1"
            files.add(ds)
        files.write(folder)
        files._stage["t"].cleanup()  # pydicom leaves this to the garbage collector, which warns
        found = {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(Path(folder).rglob("*"))
            if p.is_file()
        }
    return Seed("dicomdir", found, tuple(found), target="DICOMDIR")


def _niftis() -> list[Seed]:
    seeds = []
    for version, make in (("nifti", nibabel.Nifti1Image), ("nifti-2", nibabel.Nifti2Image)):
        for endian, name in (("<", ""), (">", " big endian")):
            header = make.header_class(endianness=endian)
            header.set_data_dtype(np.dtype(np.int16).newbyteorder(endian))
            image = make(voxels(), AFFINE, header)
            image.set_qform(AFFINE, code=1)
            seeds.append(_of_file(f"{version}{name}", "a.nii", image.to_bytes()))
    packed = gzip.compress(seeds[0].files["a.nii"], mtime=0)
    pair = nibabel.Nifti1Pair(voxels(), AFFINE)
    with tempfile.TemporaryDirectory() as folder:
        nibabel.save(pair, Path(folder) / "a.hdr")
        files = {p.name: p.read_bytes() for p in Path(folder).iterdir()}
    return [
        *seeds,
        _of_file("nifti gzip", "a.nii.gz", packed),
        Seed("nifti pair", files, tuple(sorted(files)), target="a.hdr"),
    ]


def _of_file(kind: str, name: str, content: bytes) -> Seed:
    return Seed(kind, {name: content}, (name,), target=name)
