"""The same little cohort, written in every layout that is read."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Entry:
    """A case before it is written; its image and mask hold its name."""

    name: str
    label: str

    @property
    def image(self):
        return f"image of {self.name}".encode()

    @property
    def mask(self):
        return f"mask of {self.name}".encode()


ENTRIES = (
    Entry("sub-04", "malignant"),
    Entry("sub-01", "benign"),
    Entry("sub-03", "benign"),
    Entry("sub-02", "malignant"),
)
Write = Callable[[Path, tuple[Entry, ...]], Path]


def scans(root, entries):
    """Images and masks in folders of their own, as lists refer to them."""
    for entry in entries:
        for folder, content in (("images", entry.image), ("masks", entry.mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / f"{entry.name}.nii.gz").write_bytes(content)


def table(name, delimiter, header, mask=True, **text):
    """A layout that is a table with one row per case."""

    def write(root, entries):
        scans(root, entries)
        rows = [header] + [
            [f"images/{e.name}.nii.gz", *([f"masks/{e.name}.nii.gz"] if mask else []), e.label]
            for e in entries
        ]
        end = text.get("end", "\n")
        content = end.join(delimiter.join(row) for row in rows) + end
        (root / name).write_bytes(content.encode(text.get("encoding", "utf-8")))
        return root / name

    return write


def gandlf(root, entries):
    scans(root, entries)
    rows = ["SubjectID,Channel_0,Label,ValueToPredict"] + [
        f"{e.name},images/{e.name}.nii.gz,masks/{e.name}.nii.gz,{e.label}" for e in entries
    ]
    (root / "train.csv").write_text("\n".join(rows))
    return root / "train.csv"


def datalist(keys, named=None, top=None, name="dataset.json"):
    """A JSON layout; `keys` are those of image, mask and class."""

    def write(root, entries):
        scans(root, entries)
        cases = [
            {
                keys[0]: f"./images/{e.name}.nii.gz",
                keys[1]: f"./masks/{e.name}.nii.gz",
                keys[2]: (named or {}).get(e.label, e.label),
            }
            for e in entries
        ]
        content = {"name": "x", "numTest": 0, **(top or {}), "training": cases, "test": []}
        (root / name).write_text(json.dumps(content))
        return root if name == "dataset.json" else root / name

    return write


def json_list(root, entries):
    path = datalist(("img", "seg", "class"), name="cases.json")(root, entries)
    path.write_text(json.dumps(json.loads(path.read_text())["training"]), "utf-16")
    return path


def folders(image, mask, inside=""):
    """A folder per class; `image` and `mask` are endings after the name of the case."""

    def write(root, entries):
        for e in entries:
            for ending, content in ((image, e.image), (mask, e.mask)):
                path = root / e.label / f"{e.name}{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        return root

    return write


def series(mask):
    """A folder per class, a tree of DICOM files per case; the mask is a file or in a folder."""

    def write(root, entries):
        for e in entries:
            for path, content in (
                (f"{e.name}/study/1/I1", bytes(128) + b"DICM" + e.image),
                (f"{e.name}/study/report.txt", b"text"),
                (f"{e.name}{mask}", bytes(128) + b"DICM" + e.mask),
            ):
                place = root / e.label / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        return root

    return write


def bids(root, entries):
    rows = ["participant_id\tage\tdiagnosis"]
    for i, e in enumerate(entries):
        place = root / e.name / ("ses-a/anat" if i % 2 else "anat")
        place.mkdir(parents=True)
        (place / f"{e.name}_T1w.nii.gz").write_bytes(e.image)
        rows.append(f"{e.name}\t{i}\t{e.label}")
    (root / "participants.tsv").write_text("\n".join(rows))
    return root


COLUMNS = ["image", "mask", "label"]
LAYOUTS: dict[str, Write] = {
    "csv": table("m.csv", ",", COLUMNS),
    "csv with a mark and CRLF": table("m.csv", ",", COLUMNS, encoding="utf-8-sig", end="\r\n"),
    "csv with semicolons": table("m.csv", ";", ["Image Path", "roi", "Diagnosis"]),
    "csv where label is the mask": table("m.csv", ",", ["image", "label", "class"]),
    "csv without masks": table("m.csv", ",", ["file", "target"], mask=False),
    "tsv": table("m.tsv", "\t", COLUMNS),
    "GaNDLF": gandlf,
    "MONAI": datalist(("image", "mask", "label"), name="list.json"),
    "MONAI, numbered": datalist(
        ("image", "mask", "label"),
        {"benign": 0, "malignant": 1},
        {"label_names": {"0": "benign", "1": "malignant"}},
    ),
    "MONAI, numbered the other way": datalist(
        ("image", "mask", "label"),
        {"benign": 7, "malignant": 2.0},
        {"labels": {"benign": 7, "malignant": 2}},
    ),
    "MSD with a class": datalist(
        ("image", "label", "class"), None, {"labels": {"0": "background", "1": "tumour"}}
    ),
    "list of cases": json_list,
    "folders": folders(".nii.gz", "_mask.nii.gz"),
    "folders of zips": folders(".zip", ".seg.dcm"),
    "folders of pairs": folders(".hdr", "_mask.nii"),
    "series with .seg.dcm": series(".seg.dcm"),
    "series with _seg.dcm": series("_seg.dcm"),
    "series with _mask.dcm": series("_mask.dcm"),
    "series with _rtstruct.dcm": series("_rtstruct.dcm"),
    "series with a folder of masks": series("_mask/M1"),
    "BIDS": bids,
}


@dataclass(frozen=True)
class Layout:
    """How a cohort is written, and what the layout has."""

    name: str
    write: Write

    @property
    def masks(self):
        return self.name not in ("BIDS", "csv without masks")

    @property
    def is_list(self):
        return not self.name.startswith(("folders", "series"))


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return Layout(request.param, LAYOUTS[request.param])


@pytest.fixture(scope="session")
def entries():
    return ENTRIES
