"""Presets are parsed strictly."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.errors import ConfigError, UsageError
from medfs.preprocess.presets import Preset, load_preset, parse_preset

GOOD = load_preset("ct-lung").to_dict()
REMOVED = object()


def edited(key, value):
    changed = {**GOOD, "intensity": dict(GOOD["intensity"])}
    place = changed
    *path, last = key.split(".")
    for step in path:
        place = place[step]
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return changed


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, REMOVED) for key in GOOD),
        *((key, None) for key in GOOD),
        ("unknown", 1),
        ("intensity.unknown", 1),
        ("intensity.kind", REMOVED),
        ("intensity.kind", "log"),
        ("intensity.kind", ["window"]),
        ("intensity.low", "-1000"),
        ("intensity.high", -2000.0),
        ("intensity.high", True),
        ("intensity", []),
        ("region", "magic"),
        ("region", {}),
        ("kinds", []),
        ("kinds", "ct"),
        ("kinds", ["xray"]),
        ("kinds", [["ct"]]),
        ("spacing_mm", [1.0, 1.0]),
        ("spacing_mm", [1.0, 0.0, 1.0]),
        ("spacing_mm", [1.0, "1", 1.0]),
        ("spacing_mm", [1.0, float("nan"), 1.0]),
        ("spacing_mm", 1.0),
        ("shape", [48, 48, 48.5]),
        ("shape", [48, 48, True]),
        ("shape", [3, 48, 48]),
        ("shape", [48, 48, 10**400]),
        ("margin_mm", -1.0),
        ("margin_mm", float("nan")),
        ("margin_mm", float("inf")),
        ("margin_mm", 10**400),
        ("summary", 3),
        ("name", 3),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(key, value):
    with pytest.raises(ConfigError):
        parse_preset(edited(key, value))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
KEYS = [*GOOD, *(f"intensity.{key}" for key in GOOD["intensity"])]


@given(st.sampled_from(KEYS), values)
def test_any_value_gives_a_preset_or_a_config_error(key, value):
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_preset(edited(key, value)), Preset)


def test_a_whole_number_does_for_a_real_one():
    assert parse_preset(edited("spacing_mm", [1, 1, 1])).identity == load_preset("ct-lung").identity


@pytest.mark.parametrize("key", ["spacing_mm", "shape", "margin_mm", "intensity.high", "region"])
def test_the_identity_follows_what_makes_another_patch(key):
    other = {"spacing_mm": [2, 1, 1], "shape": [40, 48, 48], "margin_mm": 6, "region": "whole"}
    changed = parse_preset(edited(key, other.get(key, 999.0)))
    assert changed.identity != load_preset("ct-lung").identity


def test_a_preset_of_the_user_is_read_from_its_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "summary: mine\nkinds: [mr]\nspacing_mm: [1, 1, 2]\nshape: [8, 8, 4]\nmargin_mm: 0\n"
        "intensity: {kind: zscore, clip: 3}\nregion: whole\n"
    )
    assert load_preset(str(path)).shape == (8, 8, 4)
    path.write_text("- a list\n")
    with pytest.raises(ConfigError):
        load_preset(str(path))
    path.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(ConfigError):
        load_preset(str(path))
    with pytest.raises(UsageError, match="Known"):
        load_preset("ct-lungs")


@pytest.mark.parametrize(
    ("name", "known"),
    [("ct-lung", True), ("shape", True), ("ct-soft", False), ("mr", False), ("pet", False)],
)
def test_a_plain_rule_does_not_know_the_finding(name, known):
    assert load_preset(name).knows_the_finding is known
