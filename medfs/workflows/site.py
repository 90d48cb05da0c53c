"""Unlabelled scans of a site → features, from which a mapper learns what is usual there."""

from collections.abc import Callable
from pathlib import Path

from medfs.core.errors import CohortError
from medfs.core.features import Features
from medfs.workflows.asked import Asked
from medfs.workflows.embed import Embedder, Failed, embed_all
from medfs.workflows.sources import FileSource

# Fewer cases say less of a spread than meta-training does.
_FEWEST = 10


def site_rows(
    scans: Path,
    asked: Asked,
    use_masks: bool,
    embedder: Embedder,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Features, list[Failed]]:
    """Features of every scan that can be used, and what could not.

    Args:
        scans: one folder of scans or a list; labels in it are not read.
        asked: how to find and read them.
        use_masks: as the support was read.
        embedder: of the support.
        progress: called for each scan.

    Raises:
        CohortError: too few scans can be used, or the masks are missing that the support has.
    """
    cohort = asked.cohort(scans, labelled=False)
    if use_masks and (bare := [c.case_id for c in cohort.cases if c.mask is None]):
        raise CohortError(
            f"{len(bare)} of {len(cohort.cases)} unlabelled scans have no mask",
            case=bare[0],
            why="The labelled cases have masks: a region that is found is another one",
            todo="Add the missing masks, or use none with --no-masks",
        )
    sources = [FileSource(case, use_masks, asked.reading) for case in cohort.cases]
    done, failed = embed_all(embedder, sources, progress)
    if len(done) < _FEWEST:
        raise CohortError(
            f"{len(done)} unlabelled scan(s) can be used, at least {_FEWEST} are needed",
            case=str(scans),
            why=f"The first that cannot: {failed[0].error}" if failed else None,
            todo="Give more scans, or leave --unlabelled out",
        )
    return Features.stack([d.features for d in done]), failed
