from pathlib import Path

import pytest

from medfs.core.cases import Case, Cohort
from medfs.core.episodes import Episode
from medfs.core.errors import EpisodeError
from medfs.episodes.restriction import Dropped, restrict, restrict_all, shared_patients

EPISODE = Episode(
    support={"a": ("a1", "a2"), "b": ("b1",)}, query={"a": ("a3",), "b": ("b2", "b3")}
)
ALL = {"a1", "a2", "a3", "b1", "b2", "b3"}


def test_with_everything_available_nothing_changes():
    assert restrict(EPISODE, ALL | {"other"}) == EPISODE


def test_missing_cases_are_dropped_in_order():
    smaller = restrict(EPISODE, ALL - {"a1", "b2"})
    assert smaller.support == {"a": ("a2",), "b": ("b1",)}
    assert smaller.query == {"a": ("a3",), "b": ("b3",)}


@pytest.mark.parametrize("missing", ["a3", "b1"])
def test_an_episode_with_an_empty_class_is_dropped(missing):
    assert restrict(EPISODE, ALL - {missing}) is None


def test_what_is_dropped_is_counted():
    lost = Episode({"a": ("x",), "b": ("b1",)}, {"a": ("a3",), "b": ("b2",)})
    kept, dropped = restrict_all([EPISODE, lost], ALL - {"a1", "b2"})
    assert kept == (restrict(EPISODE, ALL - {"a1", "b2"}),)
    assert dropped == Dropped(support=1, query=1, episodes=1)


def test_patients_on_both_sides_are_found():
    def cohort(**patients):
        return Cohort(tuple(Case(c, patients.get(c, c), Path(c), label=c[0]) for c in sorted(ALL)))

    assert shared_patients(EPISODE, cohort()) == ()
    assert shared_patients(EPISODE, cohort(a1="p", a2="p")) == ()
    assert shared_patients(EPISODE, cohort(a1="p", b3="p")) == ("p",)
    with pytest.raises(EpisodeError, match="a1: the episode uses a case"):
        shared_patients(EPISODE, cohort().without({"a1"}))
