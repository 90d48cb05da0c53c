"""Nothing that leaves holds a name that stood in a scan, a path, a table or an archive."""

import csv
import gzip
import io
import sys
import zipfile
import zlib
from base64 import b64encode
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from identities.plant import (
    OTHERS,
    plant_in_file,
    plant_in_nifti,
    plant_in_series,
    planted_texts,
    zip_of,
)
from identities.search import found_below, found_in, marker

from medfs.cli.main import main
from medfs.scans.write import write_nifti
from medfs.scans.write_dicom import write_ct_series
from medfs.scans.write_seg import write_segmentation
from medfs.synthesis.cohorts import simulate_cohort

KEPT = ("model.json", "report.json", "weights.safetensors", "SHA256SUMS", "local")


@dataclass(frozen=True)
class Made:
    """Where scans lie, where what leaves lies, and what the commands said."""

    cases: Path
    out: Path
    said: dict[str, bytes]


def _write_nifti(folder: Path, stem: str, case) -> tuple[Path, Path]:
    image, mask = folder / f"{stem}.nii.gz", folder / f"{stem}_seg.nii.gz"
    write_nifti(image, case.voxels, case.affine, "int16")
    write_nifti(mask, case.mask, case.affine, "uint8")
    for path in (image, mask):
        plant_in_nifti(path)
    return image, mask


def _write_dicom(folder: Path, stem: str, case, packed: bool) -> tuple[Path, Path]:
    series, mask = folder / stem, folder / f"{stem}.seg.dcm"
    who = {"patient": marker("WRITTEN"), "description": marker("SERIES")}
    write_ct_series(series, case.voxels, case.affine, **who)
    write_segmentation(mask, case.mask, case.affine, series, label=marker("SEGMENT"))
    plant_in_series(series)
    plant_in_file(mask)
    if not packed:
        return series, mask
    archive = folder / f"{stem}.zip"
    zip_of(series, archive)
    return archive, mask


def _write_cohort(root: Path) -> Path:
    """A table of NIfTI, DICOM folders and zips; the last case is a scan that nobody can read."""
    columns = ["case", "image", "mask", "patient", "site", "remark", "label"]
    rows = []
    for i, case in enumerate(islice(simulate_cohort(4, 0), 8)):
        folder = root / marker("DIR") / f"{marker('WARD')}_{i}"
        folder.mkdir(parents=True)
        stem = f"{marker('STEM')}_{i}"
        if i % 4 < 2:
            image, mask = _write_nifti(folder, stem, case)
        else:
            image, mask = _write_dicom(folder, stem, case, packed=i >= 6)
        names = [f"{marker('CASE')}_{i}", image, mask, f"{marker('PATIENT')}^{i}"]
        rows.append([*names, marker("SITE"), marker("CELL"), case.label])
    table = root / f"{marker('TABLE')}.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return table


def _run(*arguments: object) -> bytes:
    """The command in this process; all that it says."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["medfs", *map(str, arguments)])
        with redirect_stdout(said), redirect_stderr(said), suppress(SystemExit):
            main()
    assert "Traceback" not in said.getvalue(), said.getvalue()
    return said.getvalue().encode()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    table = _write_cohort(root / marker("ROOT"))
    out = root / "out"
    model = out / "model"
    scans = table.parent / f"{marker('SCANS')}.csv"
    lines = [row[:4] for row in csv.reader(table.read_text().splitlines())]
    with scans.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    private = root / f"{marker('PREDICTED')}.csv"
    said = {"adapt": _run("adapt", "--support", table, "--out", model, "--json", "--no-cache")}
    _run("predict", model, scans, "--out", private, "--no-cache")
    for kind in ("onnx", "pt2"):
        said[kind] = _run("export", model, "--format", kind, "--out", out / f"model.{kind}")
    bundle = out / "Nodules_classification"
    said["bundle"] = _run("export", model, "--format", "bundle", "--zip", "--out", bundle)
    given = ("--predictions", private, "--saliency", 1)
    said["report"] = _run("report", model, "--support", table, "--out", out / "r.html", *given)
    return Made(table.parent, out, said)


@pytest.mark.slow
def test_the_scans_hold_what_is_looked_for(made):
    """Or the tests below could not fail."""
    found = found_below(made.cases, OTHERS)
    told = {line.rsplit(": ", 1)[1].lower() for line in found}
    places = "00100010 00100020 00104000 00080080 00081030 00081010 PRIVLO PRIVUT PRIVUN PRIVOB"
    places += " CREATOR SEQPN PRIVSEQ META PREAMBLE NIIDICOM NIIDBNAME NIIDESCRI NIIAUXFIL AFNI ODD"
    places += " COMMENT GZIP ZIPDIR CASE PATIENT SITE CELL STEM WARD FILE"
    # What is cut to the length of its field, or stands in a zip's directory, has no end to find.
    for place in places.split():
        begin = marker(place).lower()[: 3 + len(place)]
        assert any(name.startswith(begin) for name in told), place
    assert set(OTHERS) <= told
    assert len(planted_texts()) > 400
    assert planted_texts() <= told


@pytest.mark.slow
def test_no_file_that_leaves_names_anybody(made):
    suffixes = {p.suffix for p in made.out.rglob("*") if p.is_file()}
    assert {".json", ".safetensors", ".pt", ".zip", ".onnx", ".pt2", ".html"} <= suffixes
    assert sorted(p.name for p in (made.out / "model").iterdir()) == sorted(KEPT)
    assert found_below(made.out, (*OTHERS, str(made.cases))) == set()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["adapt", "onnx", "pt2", "bundle", "report"])
def test_no_command_says_a_name_while_all_goes_well(made, command):
    assert found_in(made.said[command], command, (*OTHERS, str(made.cases))) == set()


@pytest.mark.slow
def test_what_stays_knows_the_cases(made):
    assert marker("CASE").encode() in (made.out / "model" / "local" / "cases.csv").read_bytes()


def _png(kind: bytes, data: bytes) -> bytes:
    body = len(data).to_bytes(4, "big") + kind + data
    return b"\x89PNG\r\n\x1a\n" + body + zlib.crc32(kind + data).to_bytes(4, "big")


def _zip(content: bytes, name: str = "a") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


_NAME = marker("HIDDEN").encode()
_TEXT_CHUNK = _png(b"tEXt", b"Comment\0" + _NAME)
_HIDDEN = {
    "plain": _NAME,
    "lower": _NAME.lower(),
    "utf-16-le": _NAME.decode().encode("utf-16-le"),
    "utf-16-be": b"1" + _NAME.decode().encode("utf-16-be"),
    "gzip": gzip.compress(_NAME),
    "zip": _zip(_NAME),
    "name in a zip": _zip(b"", _NAME.decode()),
    "zip in a zip": _zip(_zip(gzip.compress(_NAME))),
    "png text": _TEXT_CHUNK,
    "png compressed text": _png(b"zTXt", b"Comment\0\0" + zlib.compress(_NAME)),
    "png international": _png(b"iTXt", b"Comment\0\1\0de\0K\0" + zlib.compress(_NAME)),
    "png pixels": _png(b"IDAT", zlib.compress(_NAME)),
    "data URI": b"<html><img src='data:image/png;base64," + b64encode(_TEXT_CHUNK) + b"'>",
    "entities": b"<html>" + "".join(f"&#{c};" for c in _NAME).encode(),
    "percent": b"<html>" + "".join(f"%{c:02x}" for c in _NAME).encode(),
    "escapes": b'{"a": "' + "".join(f"\\u{c:04x}" for c in _NAME).encode() + b'"}',
}


@pytest.mark.parametrize("way", _HIDDEN)
def test_the_search_finds_what_is_hidden(way):
    assert found_in(_HIDDEN[way], "file")
    assert found_in(_HIDDEN[way], "file", ("hidden",)) > found_in(_HIDDEN[way], "file")
