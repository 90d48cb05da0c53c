"""All DICOM files of a place, by series: headers only, in parallel, each file opened once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from medfs.core.errors import UserError
from medfs.scans.dicom.headers import Header, read_header
from medfs.scans.dicom.kinds import holds_no_image, kind_name
from medfs.scans.dicom.stacks import Candidate, candidates
from medfs.scans.files import ScanFile
from medfs.scans.guards import quiet

# One reads while the other parses; more only wait for each other, unless a share is slow.
_THREADS, _BATCH = 2, 64
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Series:
    """The images of one series, as found.

    Attributes:
        headers: in the order of the files.
        candidates: the volumes it holds, and what makes none.
    """

    headers: tuple[Header, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """What lies in a place.

    Attributes:
        series: sorted by study, series number and UID.
        skipped: (file, reason) of what is not DICOM or holds no image.
        damaged: DICOM files whose header cannot be read, with the error.
    """

    series: tuple[Series, ...]
    skipped: tuple[tuple[str, str], ...]
    damaged: tuple[tuple[ScanFile, UserError], ...]

    @property
    def candidates(self) -> list[Candidate]:
        return [c for series in self.series for c in series.candidates]


def index_files(files: Sequence[ScanFile], on_progress: Progress | None = None) -> Index:
    """Read the headers of `files` and say which volumes they hold. Nothing is raised for one file.

    Args:
        files: DICOM or anything else.
        on_progress: called with (files done, all files).
    """
    skipped: list[tuple[str, str]] = []
    damaged: list[tuple[ScanFile, UserError]] = []
    series: dict[tuple[str, str], list[Header]] = {}
    done = 0
    for batch in _headers(files):
        for file, found in batch:
            if isinstance(found, Header) and holds_no_image(found):
                skipped.append((file.name, f"holds no image ({kind_name(found)})"))
            elif isinstance(found, Header):
                uids = found.text("StudyInstanceUID"), found.text("SeriesInstanceUID")
                series.setdefault(uids, []).append(found)
            elif isinstance(found, str):
                skipped.append((file.name, found))
            else:
                damaged.append((file, found))
        done += len(batch)
        if on_progress is not None:
            on_progress(done, len(files))
    listed = sorted(series.values(), key=_series_order)
    return Index(
        tuple(Series(tuple(headers), tuple(candidates(headers))) for headers in listed),
        tuple(skipped),
        tuple(damaged),
    )


def _headers(
    files: Sequence[ScanFile],
) -> Iterator[list[tuple[ScanFile, Header | str | UserError]]]:
    batches = [files[i : i + _BATCH] for i in range(0, len(files), _BATCH)]
    if len(batches) == 1:
        yield _read_batch(batches[0])
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(_read_batch, batches)


def _read_batch(
    files: Sequence[ScanFile],
) -> list[tuple[ScanFile, Header | str | UserError]]:
    found: list[tuple[ScanFile, Header | str | UserError]] = []
    with quiet():  # once for all of them: silencing warnings costs as much as a small file
        for file in files:
            try:
                found.append((file, read_header(file)))
            except UserError as error:
                found.append((file, error))
    return found


def _series_order(headers: list[Header]) -> tuple[str, float, str]:
    first = headers[0]
    number = first.number("SeriesNumber")
    return (
        first.text("StudyInstanceUID"),
        float("inf") if number is None else number,
        first.text("SeriesInstanceUID"),
    )
