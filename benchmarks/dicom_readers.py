"""Four DICOM readers on real series, each held against a reference conversion where there is one.

python benchmarks/dicom_readers.py --root ../shared/dicom --write docs/dicom-readers.md
"""

import argparse
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import reader_tools
from reader_outcomes import VERDICTS, References, outcome, verdict
from tables import progress, write_json

TITLE = """# DICOM readers compared

Written by `benchmarks/dicom_readers.py`, which says below what was compared with what. Versions:
{versions}.

- equal: after both are in RAS order, every voxel is that of the reference and no number of the
  affine differs by more than 0.0001.
- voxels equal: with the largest displacement of a corner of the volume, in mm; or but for one
  factor, where a converter applies a vendor's private scaling.
- refused: an error, with its first clause.
- read: there is no reference to hold it against. What `refuse/` holds are series that are no
  regular volume (slices missing, mixed or rotating): there, refusing is right.
- several volumes: more than one file, or a fourth axis; "equal" then means all of them. medfs
  refuses such series until it is told which volume is meant; here it was asked for each.

References are conversions by dcm2niix and dicom2nifti that come with the data. That of the tilted
stack keeps the distance between planes as spacing along the leaning axis: by its affine the last
slice is 6.85 mm from where its ImagePositionPatient says. Readers that follow the slices differ.
"""


@dataclass(frozen=True)
class Case:
    """One series: its name below the root, its files, and the references that may belong to it."""

    name: str
    files: tuple[Path, ...]
    references: References


def main() -> int:
    args = _arguments()
    if not args.root.is_dir():
        print(
            f"There is no folder {args.root}: give the folder of the series with --root.",
            file=sys.stderr,
        )
        return 2
    warnings.simplefilter("ignore")
    tools = reader_tools.available()
    rows = []
    for case in _cases(args.root, args.only):
        progress(case.name)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "series"
            folder.mkdir()
            for k, file in enumerate(case.files):
                shutil.copy(file, folder / f"{k:04d}{file.suffix[:8]}")
            said = [outcome(tool, folder, case.references) for tool in tools.values()]
        rows.append([case.name, str(len(case.files)), case.references.label, *said])
    text = _document(list(tools), rows)
    print(text)
    if args.write:
        args.write.write_text(text, "utf-8")
    write_json(args.out, {"tools": list(tools), "rows": rows})
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--root", type=Path, default=Path("../shared/dicom"))
    parser.add_argument("--only", default="", help="series whose name contains this")
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


def _document(tools: list[str], rows: list[list[str]]) -> str:
    head = ["series", "files", "reference", *tools]
    rule = ["---", "---:", *["---"] * (len(head) - 2)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))
    counts = [Counter(verdict(row[3 + k]) for row in rows) for k in range(len(tools))]
    total = [[v, *(str(c[v]) for c in counts)] for v in VERDICTS]
    summary = "\n".join(
        "| " + " | ".join(line) + " |"
        for line in (["outcome", *tools], ["---", *["---:"] * len(tools)], *total)
    )
    title = TITLE.format(versions=reader_tools.versions())
    return f"{title}\n{summary}\n\n## Every series\n\n{table}\n"


def _cases(root: Path, only: str) -> Iterator[Case]:
    from pydicom.data import get_testdata_file

    shipped = Path(str(get_testdata_file("dicomdirtests/DICOMDIR"))).parent
    for top, prefix in ((root, ""), (shipped, "pydicom/")):
        for folder in sorted({p.parent for p in top.rglob("*") if p.is_file()}):
            files = tuple(sorted(p for p in folder.iterdir() if p.is_file() and _is_dicom(p)))
            name = prefix + folder.relative_to(top).as_posix()
            alone = name in reader_tools.ONE_FILE_EACH
            for group in [(f,) for f in files] if alone else [files] * bool(files):
                label = f"{name}/{group[0].name}" if alone else name
                if only in label and any(map(_is_image, group)):
                    yield Case(label, group, References.of(folder, top, group[0]))


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM" and path.name != "DICOMDIR"


def _is_image(path: Path) -> bool:
    return "Rows" in pydicom.dcmread(path, stop_before_pixels=True)


if __name__ == "__main__":
    sys.exit(main())
