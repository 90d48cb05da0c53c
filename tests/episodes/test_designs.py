import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.errors import ConfigError, EpisodeError, UsageError
from medfs.episodes.designs import STANDARDS, EpisodeDesign, named_design, parse_design


def test_standards_are_what_the_literature_compares():
    for name, shots in (("5-way-1-shot", 1), ("5-way-5-shot", 5)):
        design = named_design(name)
        assert (design.n_way, design.n_shot, design.n_query) == (5, shots, 15)
        assert parse_design(name) == design


def test_unknown_standards_are_listed_with_the_known():
    with pytest.raises(UsageError, match="Known: 5-way-1-shot, 5-way-5-shot"):
        named_design("6-way")
    with pytest.raises(ConfigError, match="Known: 5-way-1-shot"):
        parse_design("6-way")


spans = st.integers(2, 9) | st.tuples(st.integers(2, 4), st.integers(4, 9))


@given(st.none() | spans, spans, st.integers(1, 20), st.booleans())
def test_a_configuration_is_read_as_it_was_written(n_way, n_shot, n_query, unequal):
    unequal = unequal and isinstance(n_shot, tuple)

    def plain(span):
        return list(span) if isinstance(span, tuple) else span

    content = {
        "n_way": "all" if n_way is None else plain(n_way),
        "n_shot": plain(n_shot),
        "n_query": n_query,
    }
    if unequal:
        content["unequal"] = True
    assert parse_design(content) == EpisodeDesign(n_way, n_shot, n_query, unequal)


FINE = {"n_way": 2, "n_shot": [1, 5], "n_query": 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shots": 3}, "unknown: shots"),
        ({3: 3}, "unknown: 3"),
        ({"n_way": "five"}, "n_way must be a whole number or a pair"),
        ({"n_way": True}, "found True"),
        ({"n_shot": 1.0}, "found 1.0"),
        ({"n_shot": [1, 2, 3]}, "found (1, 2, 3)"),
        ({"n_shot": [1, None]}, "found (1, None)"),
        ({"n_shot": None}, "found None"),
        ({"n_query": [1, 2]}, "n_query must be a whole number"),
        ({"unequal": 1}, "true or false"),
        ({"n_shot": 2, "unequal": True}, "n_shot is fixed at 2"),
    ],
)
def test_unknown_keys_and_values_are_config_errors(change, message):
    with pytest.raises(ConfigError) as caught:
        parse_design(FINE | change)
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [None, 5, ["5-way-1-shot"], {}])
def test_what_is_no_design_is_a_config_error(content):
    with pytest.raises(ConfigError):
        parse_design(content)


def test_designs_made_in_code_are_checked_too():
    with pytest.raises(ConfigError, match="n_shot is fixed at 2"):
        EpisodeDesign(2, 2, 1, unequal=True)
    with pytest.raises(EpisodeError, match="found 0"):
        EpisodeDesign(2, 0, 1)


def test_missing_keys_are_named():
    with pytest.raises(ConfigError, match="Missing: n_query, n_shot; unknown: none"):
        parse_design({"n_way": 2})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_shot": 0}, "n_shot must be at least 1, found 0"),
        ({"n_shot": [0, 4]}, "n_shot must be at least 1, found 0"),
        ({"n_query": 0}, "n_query must be at least 1, found 0"),
        ({"n_way": 1}, "n_way must be at least 2, found 1"),
        ({"n_way": [5, 3]}, "It goes from 5 to 3"),
    ],
)
def test_impossible_counts_are_episode_errors(change, message):
    with pytest.raises(EpisodeError) as caught:
        parse_design(FINE | change)
    assert message in str(caught.value)


def test_ways_end_with_the_classes_of_the_cohort():
    assert EpisodeDesign((2, 9), 1, 1).ways(6) == (2, 6)
    assert EpisodeDesign(None, 1, 1).ways(6) == (6, 6)
    assert STANDARDS["5-way-1-shot"].ways(6) == (5, 5)
    with pytest.raises(EpisodeError, match="at least 5 classes, found 4"):
        STANDARDS["5-way-1-shot"].ways(4)
    with pytest.raises(EpisodeError, match="at least 2 classes, found 1"):
        EpisodeDesign(None, 1, 1).ways(1)
