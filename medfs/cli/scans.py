"""`medfs scans`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medfs.cli import options as opt
from medfs.cli.console import counter, data, say, table
from medfs.core.errors import DataError

if TYPE_CHECKING:
    from medfs.workflows.scans import ScanListing

_REASONS = 8


def scans(
    place: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder tree, zip, DICOMDIR, or one file.")
    ],
    series: opt.Series = None,
    json: opt.Json = False,
) -> None:
    """List DICOM studies and series, what is wrong with them, and which would be read."""
    from medfs.storage.files import to_json
    from medfs.workflows.scans import list_scans

    with counter("reading headers") as progress:
        done = 0

        def step(now: int, _all: int) -> None:
            nonlocal done
            progress(now - done)
            done = now

        listing = list_scans(place, opt.asked(series=series).reading, step)
    if json:
        data(to_json(listing.as_dict()))
    else:
        data(_text(listing))
        for reason, count in Counter(why for _, why in listing.skipped).most_common(_REASONS):
            say(f"left out: {count} file(s): {reason}")
    say(f"{'chosen' if listing.readable else 'no choice'}: {listing.why}")
    if not listing.readable:
        raise typer.Exit(DataError.exit_code)


def _text(listing: "ScanListing") -> str:
    head = ("", "study", "series", "modality", "description", "size", "mm", "remarks")
    rows = [_row(e, i == listing.chosen) for i, e in enumerate(listing.entries)]
    parts = [table([head, *rows])] if rows else []
    if listing.nifti:
        parts.append(f"{len(listing.nifti)} NIfTI file(s), each a scan of its own")
    return "\n".join([*parts, f"{listing.n_files} file(s) in all"])


def _row(entry: dict[str, Any], chosen: bool) -> tuple[str, ...]:
    remarks = entry["problem"] or entry["excluded"] or ""
    size, spacing = f"{entry['slices']} image(s)", ""
    if entry["usable"]:
        size = " × ".join(map(str, entry["shape"]))
        spacing = " × ".join(f"{v:.3g}" for v in entry["spacing_mm"])
        told = [f"{entry['volumes']} volumes"] if entry["volumes"] > 1 else []
        told += [f"leans by {entry['tilt_degrees']:.1f}°"] if entry["tilt_degrees"] > 0.1 else []
        told += [entry["component"]] if entry["component"] else []
        remarks = "; ".join(filter(None, [*told, remarks]))
    return (
        "→" if chosen else "",
        str(entry["study"]),
        entry["series_number"] or "?",
        entry["modality"] or "?",
        entry["description"] or "-",
        size,
        spacing,
        remarks,
    )
