"""Folders and manifests become the cohort that they describe, or are explained."""

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfs.core.errors import CohortError
from medfs.scans import load_cohort


def touch(root, *names, content=b"x"):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def dicom(root, *names):
    touch(root, *names, content=bytes(128) + b"DICM")


def table(root, text, name="m.csv", encoding="utf-8"):
    (root / name).write_bytes(text.encode(encoding))
    return root / name


class TestFolders:
    def test_classes_cases_masks_and_series(self, tmp_path):
        touch(tmp_path, "b/z.nii.gz", "b/z_mask.nii.gz", "a/é 1.nii", "a/é 1_mask.nii")
        dicom(tmp_path, "a/series/1", "a/series/2")
        touch(tmp_path, "a/series_mask.nii.gz")
        cohort = load_cohort(tmp_path)
        assert cohort.class_names == ("a", "b")
        rows = {
            c.case_id: (c.label, c.patient_id, c.image.name, c.mask and c.mask.name)
            for c in cohort.cases
        }
        assert rows == {
            "series": ("a", "series", "series", "series_mask.nii.gz"),
            "é 1": ("a", "é 1", "é 1.nii", "é 1_mask.nii"),
            "z": ("b", "z", "z.nii.gz", "z_mask.nii.gz"),
        }
        assert cohort.notes == ("no patient column: every case is taken as a patient of its own",)

    def test_notes_on_what_was_left_out(self, tmp_path):
        touch(tmp_path, "a/1.nii", "b/2.nii", "b/lone_mask.nii", "b/x.json", "a/.hidden", "read.me")
        notes = " ".join(load_cohort(tmp_path).notes)
        assert "1 mask(s) without a scan were left out: b/lone_mask.nii" in notes
        assert "2 file(s) or folder(s) are no scan (1 × .json, 1 × .me): read.me, b/x.json" in notes
        assert "hidden" not in notes

    def test_same_name_in_two_classes_stays_one_patient(self, tmp_path):
        touch(tmp_path, "a/1.nii", "b/1.nii", "b/2.nii")
        cohort = load_cohort(tmp_path)
        assert [c.case_id for c in cohort.cases] == ["a/1", "b/1", "2"]
        assert [c.patient_id for c in cohort.cases] == ["1", "1", "2"]
        assert any("taken as the same patient" in n for n in cohort.notes)

    def test_series_one_level_deeper_is_a_case_not_lost(self, tmp_path):
        dicom(tmp_path, "a/case/series1/1")
        touch(tmp_path, "b/2.nii")
        assert [c.case_id for c in load_cohort(tmp_path).cases] == ["case", "2"]

    @pytest.mark.parametrize(
        ("files", "words"),
        [
            (["a/1.nii", "b/x.txt"], "'b' holds no case"),
            (["1.nii", "a/2.nii"], "outside the class folders"),
            (["x.txt"], "no class folders"),
        ],
    )
    def test_layouts_that_are_not_understood(self, tmp_path, files, words):
        touch(tmp_path, *files)
        with pytest.raises(CohortError, match=words) as caught:
            load_cohort(tmp_path)
        assert "CASES/<class>/<case>.nii.gz" in str(caught.value)

    def test_dicom_files_as_class(self, tmp_path):
        dicom(tmp_path, "a/1", "b/1")
        with pytest.raises(CohortError, match="where case folders were expected"):
            load_cohort(tmp_path)

    def test_missing_path_and_single_file(self, tmp_path):
        with pytest.raises(CohortError, match="no such folder"):
            load_cohort(tmp_path / "absent")
        touch(tmp_path, "1.nii")
        with pytest.raises(CohortError, match="has no classes"):
            load_cohort(tmp_path / "1.nii")
        with pytest.raises(CohortError, match="only be named for a manifest"):
            load_cohort(tmp_path, label_column="x")


class TestUnlabelled:
    def test_folder_of_cases(self, tmp_path):
        touch(tmp_path, "1.nii.gz", "1_mask.nii.gz", "notes.txt")
        dicom(tmp_path, "2/I1")
        cohort = load_cohort(tmp_path, labelled=False)
        assert [(c.case_id, c.label) for c in cohort.cases] == [("1", None), ("2", None)]
        assert cohort.cases[0].mask == tmp_path / "1_mask.nii.gz"

    def test_one_file_and_one_series(self, tmp_path):
        touch(tmp_path, "1.nii.gz", "1_mask.nii.gz")
        dicom(tmp_path, "series/I1")
        one = load_cohort(tmp_path / "1.nii.gz", labelled=False).cases
        assert [(c.case_id, c.mask and c.mask.name) for c in one] == [("1", "1_mask.nii.gz")]
        two = load_cohort(tmp_path / "series", labelled=False).cases
        assert [(c.case_id, c.image) for c in two] == [("series", tmp_path / "series")]

    def test_manifest_labels_are_not_read(self, tmp_path):
        path = table(tmp_path, "image,label\na.nii,x\nb.nii,\n")
        assert [c.label for c in load_cohort(path, labelled=False).cases] == [None, None]

    def test_class_folders_point_to_one_of_them(self, tmp_path):
        touch(tmp_path, "a/1.nii", "b/2.nii")
        with pytest.raises(CohortError, match="Give one of these folders"):
            load_cohort(tmp_path, labelled=False)

    def test_nothing(self, tmp_path):
        with pytest.raises(CohortError, match="no scans were found"):
            load_cohort(tmp_path, labelled=False)


class TestManifests:
    def test_all_columns(self, tmp_path):
        path = table(
            tmp_path,
            "Case,IMAGE,mask,Patient ID,label,site,split\n1,s/a.nii,s/m.nii,p,x,here,train\n"
            "\n2,/abs/b.nii,,,y,,\n",
        )
        cohort = load_cohort(path)
        one, two = cohort.cases
        assert (one.image, one.mask) == (tmp_path / "s/a.nii", tmp_path / "s/m.nii")
        assert (one.case_id, one.patient_id, one.label, one.site) == ("1", "p", "x", "here")
        assert (two.image, two.mask, two.patient_id, two.site) == (
            Path("/abs/b.nii"),
            None,
            "2",
            None,
        )
        assert cohort.notes == (
            "1 row(s) have no patient: each is taken as a patient of its own (rows 4)",
            "column(s) not used: split",
        )

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("\ufeffimage,label\na.nii,x\n", "m.csv"),
            ("image;label\r\na.nii;x\r\n", "m.csv"),
            ("image\tlabel\na.nii\tx\n", "m.tsv"),
            ("Image_Path,Class\na.nii,x", "m.csv"),
            ('"image","label"\n"a.nii","x"\n\n,\n', "M.CSV"),
        ],
    )
    def test_dialects(self, tmp_path, text, name):
        case = load_cohort(table(tmp_path, text, name)).cases[0]
        assert (case.case_id, case.image, case.label) == ("a", tmp_path / "a.nii", "x")

    def test_gandlf(self, tmp_path):
        text = (
            "SubjectID,Channel_0,Label,ValueToPredict\n"
            "S1,1/t1.nii,1/m.nii,a\nS2,2/t1.nii,2/m.nii,b\n"
        )
        cases = load_cohort(table(tmp_path, text)).cases
        assert [(c.case_id, c.patient_id, c.label) for c in cases] == [
            ("S1", "S1", "a"),
            ("S2", "S2", "b"),
        ]
        assert cases[0].mask == tmp_path / "1/m.nii"

    def test_bids_columns(self, tmp_path):
        text = "participant_id\timage\tdiagnosis\nsub-1\ta.nii\tx\n"
        case = load_cohort(table(tmp_path, text, "participants.tsv")).cases[0]
        assert (case.case_id, case.patient_id, case.label) == ("a", "sub-1", "x")

    def test_named_columns_win(self, tmp_path):
        text = "image,label,ct,grade\na.nii,x,b.nii,y\n"
        case = load_cohort(table(tmp_path, text), label_column="grade", image_column="CT").cases[0]
        assert (case.image.name, case.label) == ("b.nii", "y")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "is empty"),
            ("imge,label\na,b\n", r"no image column.*imge, label; close to it: imge"),
            ("image,x\na,b\n", "no label column"),
            ("image,label\na.nii,x\nb.nii, \n", "row 3 of the manifest has no label"),
            ("image,label\n,x\n", "row 2 of the manifest has no image"),
            ("image,label\na,b,c\n", "line 2 of the manifest has more cells"),
            ('image,label\n"a,b\n', "not a well-formed table"),
            ("image,label\n", "no cases were found"),
            ("case,image,label\n1,a,x\n1,b,x\n", "used twice"),
            ("image,label\na,x\na,y\n", "used twice"),
        ],
    )
    def test_errors_say_where(self, tmp_path, text, words):
        with pytest.raises(CohortError, match=words):
            load_cohort(table(tmp_path, text))

    def test_named_column_that_is_not_there(self, tmp_path):
        path = table(tmp_path, "image,grade\na,b\n")
        with pytest.raises(CohortError, match="close to it: grade"):
            load_cohort(path, label_column="grades")

    def test_other_encodings_are_explained(self, tmp_path):
        path = table(tmp_path, "image,label\nä.nii,x\n", encoding="latin-1")
        with pytest.raises(CohortError, match="CSV UTF-8"):
            load_cohort(path)

    @pytest.mark.shared
    @pytest.mark.parametrize("task", ["malignancy", "texture", "calcification", "spiculation"])
    def test_benchmark_manifests(self, shared, task):
        cohort = load_cohort(shared / f"benchmark/{task}.csv")
        assert len(cohort.class_names) in (2, 3)
        assert len(cohort.patients) < len(cohort.cases)
        assert cohort.cases[0].image.exists()
        assert cohort.cases[0].mask is not None
        assert cohort.cases[0].mask.exists()


# What stands for a missing value is no name.
MISSING = ("nan", "n/a", "#n/a", "<na>", "null", "na")
text = (
    st.text(
        st.characters(codec="utf-8", exclude_characters="\0/\r", exclude_categories=["Cs", "Cc"]),
        min_size=1,
        max_size=12,
    )
    .map(str.strip)
    .filter(lambda s: s.lower() not in ("", ".", "..", *MISSING))
)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(
        st.tuples(text, text, text, text), min_size=1, max_size=6, unique_by=lambda r: r[0]
    ),
    delimiter=st.sampled_from([",", ";", "\t"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_names_survive_the_round_trip(rows, delimiter, quoting, encoding):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("m.tsv" if delimiter == "\t" else "m.csv")
        with path.open("w", newline="", encoding=encoding) as file:
            writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
            writer.writerow(["case", "image", "patient", "label"])
            # One image per case: the same image in two classes is refused, and rightly so.
            writer.writerows([c, f"{n}-{i}", p, lab] for n, (c, i, p, lab) in enumerate(rows))
        cases = load_cohort(path).cases
    assert [(c.case_id, c.image.name, c.patient_id, c.label) for c in cases] == [
        (c, f"{n}-{i}", p, lab) for n, (c, i, p, lab) in enumerate(rows)
    ]
