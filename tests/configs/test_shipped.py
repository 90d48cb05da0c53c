"""Every shipped config is parsed against its schema."""

import pytest

from medfs.preprocess.presets import KINDS, load_preset, parse_preset
from medfs.storage.configs import config_folder, config_names, read_config

PRESETS = config_names("presets")


def test_nothing_but_presets_and_calibration_is_shipped():
    assert {"ct-lung", "ct-soft", "mr", "pet", "shape"} <= set(PRESETS)
    for path in config_folder("presets").parent.rglob("*"):
        assert path.is_dir() or path.suffix == ".yaml"


@pytest.mark.parametrize("name", PRESETS)
def test_preset_parses_and_survives_a_round_trip(name):
    preset = load_preset(name)
    assert preset.name == name
    assert preset.summary
    assert parse_preset(preset.to_dict()) == preset
    assert parse_preset(preset.to_dict()).identity == preset.identity


def test_every_kind_of_scan_has_a_preset():
    assert {kind for name in PRESETS for kind in load_preset(name).kinds} == set(KINDS)


def test_every_preset_has_its_own_identity():
    assert len({load_preset(name).identity for name in PRESETS}) == len(PRESETS)


@pytest.mark.parametrize("name", config_names("calibration"))
def test_calibration_holds_positive_numbers_for_mappers(name):
    table = read_config("calibration", name)
    assert table["spread"] > 0
    assert "default" in table["mappers"]
    for entry in table["mappers"].values():
        assert entry.keys() == {"single_shot", "few_shot"}
        assert all(value > 0 for value in entry.values())
