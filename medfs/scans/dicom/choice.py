"""Which of several volumes is meant: by rules, by the only one, or not at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medfs.core.errors import GeometryError, ScanReadError, UserError
from medfs.scans.dicom.agreement import same_grid
from medfs.scans.dicom.frames import Frame
from medfs.scans.dicom.geometry import place_in_ras
from medfs.scans.dicom.index import Index
from medfs.scans.dicom.stacks import Candidate, NoVolume, Stack
from medfs.scans.files import ScanFile
from medfs.scans.files.names import printable
from medfs.scans.options import ReadOptions

_SHOWN = 8
# Of a voxel, or of the distance of two slices.
_ON_GRID = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A stack, why it was taken, and (what, why) of all that was left out."""

    stack: Stack
    reason: str
    skipped: tuple[tuple[str, str], ...]


def choose(index: Index, options: ReadOptions) -> Choice:
    """The one volume that is meant.

    What is no volume by its nature (localizers, reports, single images) is left out and told. What
    should be a volume and cannot be used is never passed over in silence: unless a rule excludes
    it, there is no choice.

    Raises:
        GeometryError: nothing usable, no clear choice (all candidates are listed), or an image of
            another series that continues the volume.
        ScanReadError: no image at all, or a damaged file that may belong to the volume.
    """
    fitting, excluded = _apply_rules(_with_few(index.candidates, options), options)
    stacks = [c for c in fitting if isinstance(c, Stack)]
    others = [c for c in fitting if isinstance(c, NoVolume)]
    broken = [c for c in others if not c.by_nature]
    if not stacks:
        raise _nothing(index, others, excluded)
    if broken:
        raise _blocked(stacks, broken)
    chosen, reason, passed_over = _prefer(stacks, options)
    _refuse_damaged(index, chosen)
    _refuse_continuation(chosen, others)
    skipped = (
        *index.skipped,
        *((label(c), c.error.what) for c in others),
        *((label(c), why) for c, why in excluded),
        *((label(c), why) for c, why in passed_over),
        # Reasons name nothing: they go where names may not.
        *((f.name, e.what.replace(f.name, "the file")) for f, e in index.damaged),
    )
    return Choice(chosen, reason, skipped)


def label(candidate: Candidate) -> str:
    """A line that tells a series from the others: description, modality, size, thickness."""
    header = candidate.header
    parts = [printable(header.text("Modality")) or "no modality"]
    if isinstance(candidate, Stack):
        columns, rows, slices = candidate.shape
        parts.append(f"{columns} × {rows} × {slices}")
        if len(candidate.volumes) > 1:
            parts.append(f"{len(candidate.volumes)} volumes")
        if candidate.component:
            parts.append(candidate.component)
    else:
        parts.append(f"{candidate.count} image(s)")
    thickness = _thickness(candidate)
    if thickness is not None:
        parts.append(f"{thickness:g} mm")
    number = header.text("SeriesNumber")
    name = printable(header.text("SeriesDescription")) or "no description"
    return f"series {number or '?'} '{name}' ({', '.join(parts)})"


def _with_few(found: Sequence[Candidate], options: ReadOptions) -> list[Candidate]:
    """Stacks of one or two slices count as volumes where that is asked for."""
    keep = options.few_slices == "keep"
    return [c.few if isinstance(c, NoVolume) and c.few and keep else c for c in found]


def _apply_rules(
    candidates: Sequence[Candidate], options: ReadOptions
) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
    fitting: list[Candidate] = []
    excluded: list[tuple[Candidate, str]] = []
    for candidate in candidates:
        why = options.excludes(facts(candidate))
        if why is None:
            fitting.append(candidate)
        else:
            excluded.append((candidate, why))
    return fitting, excluded


def facts(candidate: Candidate) -> dict[str, object]:
    """What rules may ask of a candidate."""
    header = candidate.header
    return {
        "modality": header.text("Modality"),
        "description": header.text("SeriesDescription"),
        "image_type": header.image_type,
        "slices": candidate.shape[2] if isinstance(candidate, Stack) else candidate.count,
        "thickness_mm": _thickness(candidate),
        "series_number": header.text("SeriesNumber"),
        "component": candidate.component,
    }


def _thickness(candidate: Candidate) -> float | None:
    stack = candidate if isinstance(candidate, Stack) else None
    return stack.thickness if stack else candidate.header.number("SliceThickness")


def _prefer(
    stacks: list[Stack], options: ReadOptions
) -> tuple[Stack, str, list[tuple[Stack, str]]]:
    if len(stacks) == 1:
        return stacks[0], "the only volume", []
    magnitude = [s for s in stacks if s.component == "magnitude"]
    together = len({s.header.text("SeriesInstanceUID") for s in stacks}) == 1
    if options.component is None and together and len(magnitude) == 1:
        rest = [(s, "not magnitude") for s in stacks if s is not magnitude[0]]
        return magnitude[0], "the magnitude images of the series", rest
    studies = {s.header.text("StudyInstanceUID") for s in stacks}
    # Preferences decide between series of one study: never between patients.
    for rule in options.prefer if len(studies) == 1 and "" not in studies else ():
        measured = [_MEASURES[rule](s) for s in stacks]
        known = [m for m in measured if m is not None]
        # What one of them does not state cannot decide.
        if len(known) < len(stacks):
            continue
        first = [s for s, m in zip(stacks, known, strict=True) if m == min(known)]
        if len(first) == 1:
            rest = [(s, f"not preferred by the rule {rule!r}") for s in stacks if s is not first[0]]
            return first[0], f"preferred by the rule {rule!r}", rest
        stacks = first
    raise GeometryError(
        f"{len(stacks)} volumes fit, and which of them is meant is not clear",
        why="Found: " + listing(stacks),
        todo="Give the folder of one series, or rules that leave one (--series RULES.yaml; "
        "`medfs scans` lists what is there)",
    )


# The smallest is preferred; None where the images do not say.
_MEASURES: dict[str, Callable[[Stack], float | None]] = {
    "thinnest": lambda s: s.thickness,
    "thickest": lambda s: _minus(s.thickness),
    "most-slices": lambda s: -s.shape[2],
    "fewest-slices": lambda s: s.shape[2],
    "lowest-number": lambda s: s.header.number("SeriesNumber"),
    "highest-number": lambda s: _minus(s.header.number("SeriesNumber")),
}


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def listing(candidates: Sequence[Candidate]) -> str:
    """The first few candidates, in one sentence."""
    shown = [label(c) for c in candidates[:_SHOWN]]
    more = len(candidates) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _nothing(
    index: Index, others: list[NoVolume], excluded: list[tuple[Candidate, str]]
) -> UserError:
    homes = {_home(c.header.file) for c in others}
    beside = [error for file, error in index.damaged if not others or _home(file) in homes]
    if beside:
        return beside[0]
    if not others and excluded:
        shown = "; ".join(f"{label(c)}: {why}" for c, why in excluded[:_SHOWN])
        return GeometryError(
            "no volume fits the rules", why=shown, todo="Change the rules, or give another folder"
        )
    if not others:
        return ScanReadError(
            "the folder holds no DICOM image",
            why=f"It holds {len(index.skipped)} other file(s)",
            todo="Give the folder that holds the images of one series",
        )
    if len(others) == 1:
        return others[0].error
    broken = [c for c in others if not c.by_nature]
    if len(broken) == 1:
        return broken[0].error
    shown = "; ".join(f"{label(c)}: {c.error.what}" for c in others[:_SHOWN])
    return GeometryError(
        f"none of the {len(others)} series is a volume that can be used",
        why=shown,
        todo="Give the folder of one complete series",
    )


def _blocked(stacks: list[Stack], broken: list[NoVolume]) -> GeometryError:
    one = broken[0]
    return GeometryError(
        "which volume is meant is not clear, since one of them cannot be used",
        why=f"Usable: {listing(stacks)}. Not usable: {label(one)}: {one.error}",
        todo="Give the folder of the series that is meant, or rules that leave one "
        "(--series RULES.yaml)",
    )


def _refuse_damaged(index: Index, chosen: Stack) -> None:
    """A damaged file beside the volume's own may be one of its slices."""
    homes = {_home(f.header.file) for volume in chosen.volumes for f in volume}
    for file, error in index.damaged:
        if _home(file) in homes:
            raise ScanReadError(
                "a damaged DICOM file lies among those of the series",
                why=str(error),
                todo="Copy or export the series again, or remove the file if it does not belong",
            )


def _refuse_continuation(chosen: Stack, others: Sequence[NoVolume]) -> None:
    """One or two images that continue the stack are slices of it that went astray."""
    for other in others:
        if other.few is not None and any(_continues(chosen, f) for f in other.few.volumes[0]):
            raise GeometryError(
                "an image of another series continues the volume: it may be one of its slices",
                why=f"{label(other)} lies where the next slice of {label(chosen)} would be",
                todo="Export the series again, or leave the image out by a rule (--series)",
            )


def _continues(stack: Stack, frame: Frame) -> bool:
    """Whether the plane lies one step beyond either end of the stack, on its grid."""
    if frame.position is None or not same_grid(stack.volumes[0][0], frame):
        return False
    column, row, place = np.linalg.solve(stack.affine, place_in_ras(frame.position))[:3]
    beyond = min(abs(place + 1), abs(place - stack.shape[2]))
    return max(abs(column), abs(row)) < _ON_GRID and beyond < _ON_GRID


def _home(file: ScanFile) -> tuple[Path, str]:
    return file.path.parent, (file.member or "").rpartition("/")[0]
