"""Every shipped config is parsed against its schema."""

import pytest

from medfs.calibration.priors import interpolate
from medfs.preprocess.presets import KINDS, load_preset, parse_preset
from medfs.storage.configs import config_folder, config_names, read_config
from medfs.workflows.recipes import SHIPPED
from medfs.workflows.registries import MAPPERS

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
def test_calibration_holds_a_positive_median_for_one_shot_and_more(name):
    table = read_config("calibration", name)
    assert table["spread"] > 0
    # The scale of a mixture is learned: without meta-training it has the wide prior of the others.
    assert set(MAPPERS.entries()) - {"mixture"} <= set(table["mappers"])
    assert SHIPPED in table["mappers"]
    for medians in (*table["mappers"].values(), table["other"]["median"]):
        assert min(medians) == 1
        assert all(type(shots) is int and value > 0 for shots, value in medians.items())


def test_the_prior_passes_through_its_table_and_is_flat_beyond():
    medians = {1: 4.0, 4: 1.0}
    found = [interpolate(medians, shots) for shots in (1, 2, 4, 50)]
    assert found == pytest.approx([4.0, 2.0, 1.0, 1.0])
