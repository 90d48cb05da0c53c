"""Every loader keeps the same promises: one cohort, however it is written down."""

import json
import shutil

import pytest

from medfs.core.errors import CohortError
from medfs.scans import load_cohort


def content(path):
    """The bytes of the only scan there is below a path, without DICOM's mark."""
    if path is None:
        return None
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    (found,) = [f.read_bytes() for f in files if f.suffix != ".txt"]
    return found.removeprefix(bytes(128) + b"DICM")


def summary(cohort):
    return {
        (c.case_id, c.patient_id, c.label, content(c.image), content(c.mask)) for c in cohort.cases
    }


def wanted(layout, entries, labelled=True):
    return {
        (
            e.name,
            e.name,
            e.label if labelled else None,
            e.image,
            e.mask if layout.masks else None,
        )
        for e in entries
    }


def test_the_same_cases_from_every_layout(layout, entries, tmp_path):
    cohort = load_cohort(layout.write(tmp_path, entries))
    assert summary(cohort) == wanted(layout, entries)
    assert cohort.class_names == ("benign", "malignant")
    assert all(c.mask_label is None and c.site is None for c in cohort.cases)


def test_the_order_of_rows_changes_nothing_but_the_order(layout, entries, tmp_path):
    found = []
    for name, order in (("a", entries), ("b", entries[::-1])):
        (tmp_path / name).mkdir()
        found.append(load_cohort(layout.write(tmp_path / name, order)))
    assert summary(found[0]) == summary(found[1])
    if layout.is_list:
        orders = [[c.case_id for c in cohort.cases] for cohort in found]
        assert orders == [[e.name for e in entries], [e.name for e in entries[::-1]]]


def test_without_labels(layout, entries, tmp_path):
    place = layout.write(tmp_path, entries)
    if layout.is_list:
        assert summary(load_cohort(place, labelled=False)) == wanted(
            layout, entries, labelled=False
        )
        return
    found = set()
    for folder in ("benign", "malignant"):
        found |= summary(load_cohort(place / folder, labelled=False))
    assert found == wanted(layout, entries, labelled=False)


def test_the_region_of_every_mask_can_be_named(layout, entries, tmp_path):
    cohort = load_cohort(layout.write(tmp_path, entries), mask_label="tumour")
    named = {c.mask_label for c in cohort.cases}
    assert named == ({"tumour"} if layout.masks else {None})


def test_the_place_can_be_moved(layout, entries, tmp_path):
    (tmp_path / "a").mkdir()
    place = layout.write(tmp_path / "a", entries)
    moved = tmp_path / "b ä" / place.relative_to(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b ä")
    assert summary(load_cohort(moved)) == wanted(layout, entries)


def test_a_case_that_is_there_twice_is_refused(layout, entries, tmp_path):
    place = layout.write(tmp_path, entries)
    if layout.is_list:
        path = place / "participants.tsv" if layout.name == "BIDS" else place
        path = path / "dataset.json" if path.is_dir() else path
        if path.suffix == ".json":
            listed = json.loads(path.read_bytes())
            cases = listed if isinstance(listed, list) else listed["training"]
            cases.append(cases[0])
            path.write_text(json.dumps(listed))
        else:
            lines = path.read_bytes().split(b"\n")
            path.write_bytes(b"\n".join([*lines[:2], *lines[1:]]))
    else:
        (tmp_path / "benign/sub-01.nii").write_bytes(b"x")
    with pytest.raises(CohortError, match="used twice"):
        load_cohort(place)


@pytest.mark.parametrize("option", ["label_column", "image_column", "section", "bids_suffix"])
def test_an_option_is_used_or_refused(layout, entries, tmp_path, option):
    place = layout.write(tmp_path, entries)
    with pytest.raises(CohortError, match=r"nonsense|apply|only be named") as caught:
        load_cohort(place, **{option: "nonsense"})
    assert caught.value.why
