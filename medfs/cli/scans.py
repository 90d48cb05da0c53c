"""`medfs scans`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from medfs.cli import options as opt
from medfs.cli.console import counter, data, say, table
from medfs.core.errors import DataError


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
        rows = [("", "study", "series", "modality", "description", "size", "mm", "remarks")]
        rows += [_row(e, i == listing.chosen) for i, e in enumerate(listing.entries)]
        data(table(rows))
        if listing.nifti:
            data(f"{len(listing.nifti)} NIfTI file(s), each a scan of its own")
        say(f"{listing.n_files} files, {len(listing.skipped)} of them no image")
    say(f"{'chosen' if listing.chosen is not None else 'no choice'}: {listing.why}")
    if listing.chosen is None and not listing.nifti:
        raise typer.Exit(DataError.exit_code)


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
