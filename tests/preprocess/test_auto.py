"""Which preset a scan asks for, and scans that do not fit the one chosen."""

import numpy as np
import pytest

from medfs.core.errors import CohortError, ScanReadError
from medfs.preprocess.auto import check, choose, suggest
from medfs.preprocess.presets import load_preset


@pytest.fixture(scope="session")
def scans(volume, ball):
    rng = np.random.default_rng(0)
    tissue = rng.normal(40, 20, (30, 30, 30))
    lung = np.where(ball((30, 30, 30), (15, 15, 15), 6), tissue, rng.normal(-850, 40, (30,) * 3))
    body = np.where(
        ball((30, 30, 30), (15, 15, 15), 13), tissue, -1000 + rng.normal(0, 5, (30,) * 3)
    )
    shape = ball((30, 30, 30), (15, 15, 15), 6).astype(np.uint8)
    return {
        "lung": volume(lung),
        "body": volume(body),
        "mr": volume(rng.gamma(2, 100, (30, 30, 30))),
        "shape": volume(shape),
        "pet": volume(rng.gamma(2, 100, (30, 30, 30)), modality="PT"),
        "ct tag": volume(tissue, modality="CT", unit="HU"),
        "mr tag": volume(rng.gamma(2, 100, (30, 30, 30)), modality="MR"),
    }


@pytest.mark.parametrize(
    ("scan", "preset"),
    [
        ("lung", "ct-lung"),
        ("body", "ct-soft"),
        ("mr", "mr"),
        ("shape", "shape"),
        ("pet", "pet"),
        ("ct tag", "ct-soft"),
        ("mr tag", "mr"),
    ],
)
def test_every_kind_of_scan_gets_its_preset(scans, scan, preset):
    chosen, reason = choose({"case": suggest(scans[scan])})
    assert chosen == preset
    assert reason


@pytest.mark.parametrize("scan", ["lung", "body", "mr", "shape", "pet", "ct tag", "mr tag"])
def test_a_scan_passes_the_check_of_the_preset_chosen_for_it(scans, scan):
    check(scans[scan], load_preset(choose({"case": suggest(scans[scan])})[0]))


def test_a_mixed_cohort_is_refused_with_an_example_of_each_kind(scans):
    with pytest.raises(CohortError, match=r"one kind.*case-a.*case-b"):
        choose({"case-a": suggest(scans["lung"]), "case-b": suggest(scans["shape"])})


@pytest.mark.parametrize(
    ("scan", "preset"),
    [
        ("lung", "mr"),
        ("lung", "shape"),
        ("shape", "ct-lung"),
        ("pet", "mr"),
        ("mr tag", "ct-lung"),
        ("ct tag", "pet"),
    ],
)
def test_a_scan_that_is_certainly_of_another_kind_is_refused(scans, scan, preset):
    with pytest.raises(ScanReadError, match="not of the kind"):
        check(scans[scan], load_preset(preset))


@pytest.mark.parametrize("preset", ["ct-lung", "ct-soft", "mr", "pet"])
def test_a_file_that_says_nothing_is_taken_at_its_word(scans, preset):
    check(scans["mr"], load_preset(preset))


def test_the_share_of_lung_decides_by_the_median_of_the_cohort(scans):
    found = {name: suggest(scans["lung"]) for name in "abc"} | {"d": suggest(scans["body"])}
    assert choose(found)[0] == "ct-lung"
