"""BIDS data sets: the table of participants is joined to their scans, or it is said why not."""

import pytest

from medfs.core.errors import CohortError
from medfs.scans import load_cohort


def data_set(root, table, *scans):
    (root / "participants.tsv").write_text(table.replace(" ", "\t"), "utf-8")
    for scan in scans:
        (root / scan).parent.mkdir(parents=True, exist_ok=True)
        (root / scan).write_bytes(b"x")
    return root


TWO = ("sub-1/anat/sub-1_T1w.nii.gz", "sub-2/anat/sub-2_T1w.nii.gz")


def test_the_table_or_its_folder(tmp_path):
    root = data_set(tmp_path, "participant_id group site\nsub-1 a s\n2 b n/a\n", *TWO)
    for place in (root, root / "participants.tsv"):
        found = load_cohort(place).cases
        assert [(c.case_id, c.patient_id, c.label, c.site) for c in found] == [
            ("sub-1", "sub-1", "a", "s"),
            ("sub-2", "sub-2", "b", None),
        ]
        assert [c.image for c in found] == [root / scan for scan in TWO]


def test_the_class_is_named_or_known(tmp_path):
    root = data_set(tmp_path, "participant_id age sex\nsub-1 1 m\nsub-2 2 f\n", *TWO)
    with pytest.raises(CohortError, match="no label column"):
        load_cohort(root)
    assert load_cohort(root, label_column="Sex").class_names == ("f", "m")
    assert len(load_cohort(root, labelled=False).cases) == 2


def test_kinds_of_scans_are_listed_and_one_can_be_named(tmp_path):
    root = data_set(
        tmp_path,
        "participant_id group\nsub-1 a\nsub-2 b\n",
        *TWO,
        "sub-1/anat/sub-1_FLAIR.nii.gz",
        "sub-1/anat/sub-1_T1w.json",
        "sub-1/func/sub-1_bold.nii.gz",
    )
    with pytest.raises(CohortError, match=r"several kinds.*Found are FLAIR \(1\), T1w \(2\)"):
        load_cohort(root)
    assert len(load_cohort(root, bids_suffix="T1w").cases) == 2
    flair = load_cohort(root, bids_suffix="FLAIR")
    assert [c.image.name for c in flair.cases] == ["sub-1_FLAIR.nii.gz"]
    assert "1 participant(s) without a scan were left out: sub-2" in flair.notes
    with pytest.raises(CohortError, match="suffix 'bold'"):
        load_cohort(root, bids_suffix="bold")


def test_sessions_are_not_chosen_among(tmp_path):
    scans = [f"sub-1/ses-{s}/anat/sub-1_ses-{s}_T1w.nii.gz" for s in "ab"]
    root = data_set(tmp_path, "participant_id group\nsub-1 a\n", *scans)
    with pytest.raises(CohortError, match=r"sub-1 has sub-1_ses-a_T1w\.nii\.gz, sub-1_ses-b"):
        load_cohort(root)


def test_who_is_left_out_is_noted(tmp_path):
    root = data_set(tmp_path, "participant_id group\nsub-1 a\nsub-9 b\n", *TWO, "sub-3/other/x.nii")
    cohort = load_cohort(root)
    assert len(cohort.cases) == 1
    assert "1 participant(s) without a scan were left out: sub-9" in cohort.notes
    assert any("does not list them: sub-2" in n for n in cohort.notes)


def test_scans_that_are_not_fetched_are_cases(tmp_path):
    root = data_set(tmp_path, "participant_id group\nsub-1 a\n")
    (root / "sub-1/anat").mkdir(parents=True)
    (root / "sub-1/anat/sub-1_T1w.nii.gz").symlink_to(root / "annex/absent")
    assert len(load_cohort(root).cases) == 1


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "is empty"),
        ("id group\nsub-1 a\n", "no column 'participant_id'"),
        ("participant_id group\n", "no scans of the participants"),
        ("participant_id group\nsub-7 a\n", "no scans of the participants.*sub-7"),
        ("participant_id group\nsub-1 a\nsub-1 a\n", "used twice"),
        ("participant_id group\nsub-1 a\n1 b\n", "used twice"),
        ("participant_id group\nsub-1 n/a\n", "row 2 of the manifest has no label. It says 'n/a'"),
        ("participant_id group\n../../etc a\n", "no scans of the participants"),
        ("participant_id group\n/etc a\n", "no scans of the participants"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, table, words):
    with pytest.raises(CohortError, match=words):
        load_cohort(data_set(tmp_path, table, *TWO))


def test_no_scans_at_all(tmp_path):
    with pytest.raises(CohortError, match="There is no sub-"):
        load_cohort(data_set(tmp_path, "participant_id group\nsub-1 a\n"))
