"""Episodes held against the cases that are really there."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from medfs.core.cases import Cohort
from medfs.core.episodes import Episode
from medfs.core.errors import EpisodeError


@dataclass(frozen=True, slots=True)
class Dropped:
    """What `restrict_all` left out: cases of kept episodes, and whole episodes."""

    support: int
    query: int
    episodes: int


def restrict(episode: Episode, available: AbstractSet[str]) -> Episode | None:
    """The episode less the cases that are not available; None if a class runs empty on a side."""

    def keep(side: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {name: tuple(c for c in cases if c in available) for name, cases in side.items()}

    kept = Episode(keep(episode.support), keep(episode.query))
    return kept if all((*kept.support.values(), *kept.query.values())) else None


def restrict_all(
    episodes: Iterable[Episode], available: AbstractSet[str]
) -> tuple[tuple[Episode, ...], Dropped]:
    """`restrict` each episode, and count what was dropped on the way."""
    kept: list[Episode] = []
    support = query = lost = 0
    for episode in episodes:
        smaller = restrict(episode, available)
        if smaller is None:
            lost += 1
            continue
        kept.append(smaller)
        support += _size(episode.support) - _size(smaller.support)
        query += _size(episode.query) - _size(smaller.query)
    return tuple(kept), Dropped(support, query, lost)


def shared_patients(episode: Episode, cohort: Cohort) -> tuple[str, ...]:
    """Patients on both sides of an episode, sorted: none, or its figures cannot be trusted.

    Raises:
        EpisodeError: the episode names a case that the cohort does not have.
    """
    support, query = (_patients(side, cohort) for side in (episode.support, episode.query))
    return tuple(sorted(support & query))


def _patients(side: Mapping[str, tuple[str, ...]], cohort: Cohort) -> set[str]:
    ids = [case_id for cases in side.values() for case_id in cases]
    unknown = [case_id for case_id in ids if case_id not in cohort.by_id]
    if unknown:
        raise EpisodeError(
            "the episode uses a case that the cohort does not have",
            case=unknown[0],
            todo="Check that manifest and episodes belong together",
        )
    return {cohort.by_id[case_id].patient_id for case_id in ids}


def _size(side: Mapping[str, tuple[str, ...]]) -> int:
    return sum(len(cases) for cases in side.values())
