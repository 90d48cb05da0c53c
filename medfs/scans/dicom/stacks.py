"""One series to the volumes it holds, or the reason why it holds none."""

from collections.abc import Sequence
from dataclasses import dataclass

from medfs.core.errors import GeometryError, UserError
from medfs.scans.dicom.agreement import (
    ONE_STACK,
    check_not_mixed,
    check_one_grid,
    check_same_place,
    same_grid,
)
from medfs.scans.dicom.enhanced import enhanced_frames
from medfs.scans.dicom.frames import Frame, single_frame
from medfs.scans.dicom.geometry import (
    by_height,
    check_placed,
    grid_of,
    plane_of,
    single_grid,
    tilt_degrees,
)
from medfs.scans.dicom.headers import Header
from medfs.scans.dicom.kinds import ENHANCED, MODALITIES, check_plane, is_mosaic, not_a_plane
from medfs.scans.dicom.mosaic import mosaic_frames
from medfs.scans.dicom.repeats import split_repeats
from medfs.scans.grids import Affine

# With two slices nothing shows whether one is missing between them.
MIN_SLICES = 3
# A series of more directions than this is a set of projections.
_MAX_GRIDS = 8
_KEYS, _TIME = ("EchoTime", "b-value"), "TemporalPositionIdentifier"


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Planes that make one volume, or several volumes on one grid.

    Attributes:
        header: of one of its images, for what all share.
        volumes: planes sorted along the slice normal, a tuple for each volume.
        labels: what tells the volumes apart; one empty text where there is one.
        affine: (column, row, slice) to RAS+ mm.
        component: magnitude, phase, real or imaginary where the images say, else empty.
    """

    header: Header
    volumes: tuple[tuple[Frame, ...], ...]
    labels: tuple[str, ...]
    affine: Affine
    component: str = ""

    @property
    def modality(self) -> str:
        return MODALITIES[self.header.sop_class]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows and slices."""
        first = self.volumes[0][0]
        return first.columns, first.rows, len(self.volumes[0])

    @property
    def thickness(self) -> float | None:
        """SliceThickness in mm, if its images agree on one."""
        stated = {f.thickness for volume in self.volumes for f in volume}
        return stated.pop() if len(stated) == 1 else None

    @property
    def tilt(self) -> float:
        """Degrees by which the stack leans (gantry tilt)."""
        return tilt_degrees(self.affine)


@dataclass(frozen=True, slots=True, eq=False)
class NoVolume:
    """Images of a series that make no volume.

    Attributes:
        header: of one of the images.
        count: how many images.
        error: why, for the user.
        few: one or two slices as a stack, for those who ask for it.
        component: magnitude, phase, real or imaginary; None where it is not known.
        by_nature: they never were a volume (localizer, report, single image), so that leaving them
            out loses nothing; False where something is wrong with what should be a volume.
    """

    header: Header
    count: int
    error: UserError
    by_nature: bool
    few: Stack | None = None
    component: str | None = None


Candidate = Stack | NoVolume


def candidates(headers: Sequence[Header]) -> list[Candidate]:
    """What the images of one series make. Nothing is raised: problems are candidates too."""
    planes: list[Header] = []
    others: dict[str, list[tuple[Header, UserError]]] = {}
    for header in headers:
        error = not_a_plane(header)
        if error is None:
            planes.append(header)
        else:
            others.setdefault(error.what, []).append((header, error))
    found: list[Candidate] = [
        NoVolume(header, len(alike), error, by_nature=True)
        for alike in others.values()
        for header, error in alike[:1]
    ]
    return found + _of_planes(planes) if planes else found


def _of_planes(headers: list[Header]) -> list[Candidate]:
    try:
        frames = [frame for header in headers for frame in _frames(header)]
        _check_series(headers)
        if len(frames) < MIN_SLICES:
            few = _few(frames)
            error = _too_few(frames, few)
            return [NoVolume(headers[0], len(headers), error, by_nature=True, few=few)]
        check_placed(frames)
        return [_stack(g) for group in _by_component(frames) for g in _by_grid(group)]
    except UserError as error:
        return [NoVolume(headers[0], len(headers), error, by_nature=False)]


def _frames(header: Header) -> list[Frame]:
    check_plane(header)
    if header.sop_class in ENHANCED:
        return enhanced_frames(header)
    return mosaic_frames(header) if is_mosaic(header) else [single_frame(header)]


def _check_series(headers: list[Header]) -> None:
    if not headers[0].text("SeriesInstanceUID"):
        raise GeometryError(
            "images do not say which series they belong to",
            why=f"SeriesInstanceUID is missing in {headers[0].name}",
            todo="Export the series again, with its SeriesInstanceUID",
        )
    for header in headers[1:]:
        if header.sop_class != headers[0].sop_class:
            raise GeometryError(
                "the images of a series are of different kinds",
                why=f"{headers[0].name} and {header.name} differ in SOPClassUID",
                todo=ONE_STACK,
            )


def _few(frames: list[Frame]) -> Stack | None:
    """One or two slices on the grid that their header states, if they lie on one."""
    try:
        check_placed(frames)
        check_one_grid(frames)
        plane = plane_of(frames[0])
        levels = by_height(frames, plane.normal)
        if len(levels) < len(frames):
            return None
        ordered = [level[0] for level in levels]
        grid = grid_of(ordered, plane) if len(ordered) > 1 else single_grid(ordered[0], plane)
    except UserError:
        return None
    component = str(frames[0].keys.get("component", ""))
    return Stack(frames[0].header, (tuple(ordered),), ("",), grid, component)


def _too_few(frames: list[Frame], few: Stack | None) -> GeometryError:
    return GeometryError(
        "the series is not a volume",
        why=f"It has {len(frames)} image(s), and at least {MIN_SLICES} are needed to know the "
        "spacing of the slices",
        todo="Give the folder of a complete series"
        + (", or read it with the rule few_slices: keep" if few else ""),
    )


def _by_component(frames: list[Frame]) -> list[list[Frame]]:
    """Magnitude, phase and derived maps of one series are volumes of their own."""
    groups: dict[tuple[str, str], list[Frame]] = {}
    for frame in frames:
        key = (str(frame.keys.get("component", "")), str(frame.keys.get("frame type", "")))
        groups.setdefault(key, []).append(frame)
    return list(groups.values())


def _by_grid(frames: list[Frame]) -> list[list[Frame]]:
    """Parallel stacks of one size, if the images fall into such; else all of them together."""
    groups: list[list[Frame]] = []
    for frame in frames:
        home = next((g for g in groups if same_grid(g[0], frame)), None)
        if home is not None:
            home.append(frame)
        elif len(groups) < _MAX_GRIDS:
            groups.append([frame])
        else:
            return [frames]
    return groups if all(len(g) >= MIN_SLICES for g in groups) else [frames]


def _stack(frames: list[Frame]) -> Candidate:
    header = frames[0].header
    try:
        check_one_grid(frames)
        plane = plane_of(frames[0])
        levels = by_height(frames, plane.normal)
        if len(levels) < MIN_SLICES:
            return NoVolume(header, _files(frames), _flat(frames, levels), by_nature=True)
        volumes, labels = ([[level[0] for level in levels]], [""])
        if len(levels) < len(frames):
            volumes, labels = split_repeats(levels)
        for volume in volumes:
            check_not_mixed(volume, _KEYS if len(volumes) == 1 else (*_KEYS, _TIME))
        grids = [grid_of(volume, plane) for volume in volumes]
        check_same_place(grids, labels)
    except UserError as error:
        stated = frames[0].keys.get("component")
        return NoVolume(header, _files(frames), error, by_nature=False, component=stated)
    component = str(frames[0].keys.get("component", ""))
    return Stack(header, tuple(map(tuple, volumes)), tuple(labels), grids[0], component)


def _files(frames: list[Frame]) -> int:
    return len({id(f.header) for f in frames})


def _flat(frames: list[Frame], levels: list[list[Frame]]) -> GeometryError:
    heights = len(levels)
    return GeometryError(
        "the series is not a volume",
        why=f"Its {len(frames)} image(s) lie at the same position, or at {heights} positions; at "
        f"least {MIN_SLICES} are needed",
        todo="Give the folder of a complete series",
    )
