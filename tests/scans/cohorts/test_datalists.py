"""JSON datalists: which section, which class, and what a datalist cannot say."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medfs.core.cases import Cohort
from medfs.core.errors import CohortError
from medfs.scans import load_cohort
from medfs.scans.cohorts import text as limits


def write(root, content, name="list.json"):
    path = Path(root, name)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def entry(name, **keys):
    return {"image": f"{name}.nii", **keys}


def case_ids(cohort):
    return [c.case_id for c in cohort.cases]


DECATHLON = {
    "name": "Lung",
    "labels": {"0": "background", "1": "cancer"},
    "numTraining": 2,
    "training": [
        {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"},
        {"image": "./imagesTr/b.nii.gz", "label": "./labelsTr/b.nii.gz"},
    ],
    "test": ["./imagesTs/c.nii.gz", "./imagesTs/d.nii.gz"],
}


class TestDecathlon:
    def test_a_task_of_segmentation_says_what_is_missing(self, tmp_path):
        with pytest.raises(CohortError, match="is for segmentation") as caught:
            load_cohort(write(tmp_path, DECATHLON))
        assert "labelsTr/a.nii.gz" in str(caught.value)
        assert "Add a key 'class'" in str(caught.value)

    def test_without_labels_the_test_section_is_meant(self, tmp_path):
        cohort = load_cohort(write(tmp_path, DECATHLON, "dataset.json"), labelled=False)
        assert [c.image for c in cohort.cases] == [
            tmp_path / "imagesTs/c.nii.gz",
            tmp_path / "imagesTs/d.nii.gz",
        ]
        assert "section(s) of dataset.json not used: training (2)" in cohort.notes

    def test_training_cases_without_labels_keep_their_masks(self, tmp_path):
        (tmp_path / "imagesTr").mkdir()
        write(tmp_path, DECATHLON, "dataset.json")
        cohort = load_cohort(tmp_path, labelled=False, section="training")
        assert [c.mask for c in cohort.cases] == [
            tmp_path / "labelsTr/a.nii.gz",
            tmp_path / "labelsTr/b.nii.gz",
        ]

    def test_a_class_beside_the_mask(self, tmp_path):
        training = [e | {"class": c} for e, c in zip(DECATHLON["training"], "xy", strict=True)]
        cohort = load_cohort(write(tmp_path, DECATHLON | {"training": training}))
        assert [(c.label, c.mask.name) for c in cohort.cases] == [
            ("x", "a.nii.gz"),
            ("y", "b.nii.gz"),
        ]

    def test_numbered_classes_are_not_named_after_voxels(self, tmp_path):
        training = [e | {"class": i} for i, e in enumerate(DECATHLON["training"])]
        content = DECATHLON | {"training": training}
        assert load_cohort(write(tmp_path, content)).class_names == ("0", "1")
        content["class_names"] = ["benign", "malignant"]
        assert load_cohort(write(tmp_path, content)).class_names == ("benign", "malignant")

    def test_the_test_section_has_no_classes(self, tmp_path):
        with pytest.raises(CohortError, match="section 'test' has no label key"):
            load_cohort(write(tmp_path, DECATHLON), section="test")

    def test_a_folder_described_twice(self, tmp_path):
        write(tmp_path, DECATHLON, "dataset.json")
        write(tmp_path, b"participant_id\n", "participants.tsv")
        with pytest.raises(CohortError, match="describes its cases twice"):
            load_cohort(tmp_path)


class TestSections:
    def test_training_is_meant_and_the_rest_is_noted(self, tmp_path):
        content = {
            "training": [entry("a", label="x")],
            "validation": [entry("b", label="y")],
            "test": [],
        }
        path = write(tmp_path, content)
        cohort = load_cohort(path)
        assert case_ids(cohort) == ["a"]
        assert "section(s) of list.json not used: validation (1)" in cohort.notes
        assert case_ids(load_cohort(path, section="validation")) == ["b"]

    @pytest.mark.parametrize("name", ["train", "validation", "val", "testing"])
    def test_the_only_section_is_meant(self, tmp_path, name):
        content = {name: [entry("a", label="x")], "training": []}
        for labelled in (True, False):
            assert case_ids(load_cohort(write(tmp_path, content), labelled=labelled)) == ["a"]

    def test_no_clear_section(self, tmp_path):
        content = {"training": [entry("a", label="x")], "train": [entry("b", label="y")]}
        with pytest.raises(CohortError, match=r"which section .* training \(1 cases\), train"):
            load_cohort(write(tmp_path, content))
        content = {"training": [entry("a")], "validation": [entry("b")]}
        with pytest.raises(CohortError, match="which section"):
            load_cohort(write(tmp_path, content), labelled=False)

    def test_a_section_of_any_name_can_be_named(self, tmp_path):
        path = write(tmp_path, {"fold_3": [entry("a", label="x")]})
        assert case_ids(load_cohort(path, section="fold_3")) == ["a"]
        with pytest.raises(CohortError, match="its keys are fold_3"):
            load_cohort(path)


class TestClasses:
    def load(self, tmp_path, values, /, **top):
        cases = [entry(i, label=label) for i, label in enumerate(values)]
        return [c.label for c in load_cohort(write(tmp_path, {"training": cases, **top})).cases]

    def test_texts_and_numbers(self, tmp_path):
        assert self.load(tmp_path, ["a", " b ", 3, 4.0, [5], ["c"]]) == [
            "a",
            "b",
            "3",
            "4",
            "5",
            "c",
        ]

    @pytest.mark.parametrize("labels", [{"0": "x", "1": "y"}, {"x": 0, "y": 1}, ["x", "y"]])
    @pytest.mark.parametrize("key", ["labels", "label_names", "class_names"])
    def test_names_of_numbers(self, tmp_path, labels, key):
        assert self.load(tmp_path, [1, 0, [1], 0.0, "z"], **{key: labels}) == list("yxyxz")

    @pytest.mark.parametrize(
        ("label", "top", "words"),
        [
            (2, {"labels": ["x", "y"]}, "entry 1 of section 'training' has a class without a name"),
            (-1, {"labels": ["x", "y"]}, "It is -1, and named are 0: x, 1: y"),
            (0, {"labels": ["x"], "class_names": ["y"]}, "given as class_names and as labels"),
            (0, {"labels": {"0": "x", "1": "x"}}, "Two numbers have the same name"),
            (0, {"labels": {"x": 0, "y": 0}}, "not a list of names"),
            (0, {"labels": {"zero": "x"}}, "not a list of names"),
            (0, {"labels": ["x", None]}, "not a list of names"),
            (0, {"labels": "x"}, "not a list of names"),
            ([0, 1], {}, "entry 1 of section 'training' has a label that cannot be understood"),
            ({"a": 1}, {}, "'label' is an object of 1"),
            (True, {"labels": ["x", "y"]}, "label that cannot be understood"),
            (1.5, {}, "'label' is 1.5"),
            (float("inf"), {}, "'label' is inf"),
            (float("nan"), {}, "entry 1 of section 'training' has no label"),
            (None, {}, "has no label"),
            ("", {}, "has no label"),
            ("NaN", {}, "has no label. It says 'NaN'"),
            ("n/a", {}, "has no label"),
            ("a\0b", {}, "a character that no name can have"),
            ("\ud800", {}, "a character that no name can have"),
        ],
    )
    def test_classes_that_are_none(self, tmp_path, label, top, words):
        with pytest.raises(CohortError, match=words) as caught:
            self.load(tmp_path, [label], **top)
        str(caught.value).encode()

    def test_a_missing_key(self, tmp_path):
        path = write(tmp_path, [entry("a", label="x"), entry("b")])
        with pytest.raises(CohortError, match="entry 2 of section 'cases' has no label"):
            load_cohort(path)


class TestEntries:
    def test_all_keys_and_any_place(self, tmp_path):
        cases = [
            {
                "case": 7,
                "image": "../there/a.nii.gz",
                "seg": "/abs/m.dcm",
                "subject": "p",
                "class": "x",
                "site": "here",
                "segment": 2,
                "fold": {"any": "thing"},
            },
            {"image": ["b.zip"], "class": "y", "site": None},
        ]
        cohort = load_cohort(write(tmp_path, cases))
        one, two = cohort.cases
        assert (one.case_id, one.patient_id, one.site, one.mask_label) == ("7", "p", "here", "2")
        assert (one.image, one.mask) == (tmp_path / "../there/a.nii.gz", Path("/abs/m.dcm"))
        assert (two.case_id, two.image, two.mask, two.site) == ("b", tmp_path / "b.zip", None, None)
        assert "key(s) not used: fold" in cohort.notes

    def test_named_keys_win(self, tmp_path):
        path = write(tmp_path, [entry("a", label="x", ct="b.nii", grade=3)])
        (case,) = load_cohort(path, label_column="grade", image_column="ct").cases
        assert (case.case_id, case.label) == ("b", "3")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "the datalist is empty"),
            (b"{", "is not JSON"),
            (b"\xff\xfe\x00", "is not JSON"),
            (b"9" * 5000, "is not JSON"),
            (b"[" * 200_000, "nested too deeply"),
            (b'{"training": [], "training": []}', "'training' occurs twice"),
            (b'[{"image": "a", "image": "b"}]', "'image' occurs twice"),
            (3, "it lists no cases.*none: it is a int"),
            ({"a": 1}, "its keys are a"),
            ({"training": {"image": "a"}}, "it lists no cases"),
            ([], "section 'cases' lists no cases"),
            ({"training": []}, "section 'training' lists no cases"),
            ([1], "entry 1 of section 'cases' is no case"),
            ([["a.nii"]], "is no case"),
            ([{"imge": "a", "label": "x"}], "no image key.*close to it: imge"),
            ([{"image": ["a", "b"], "label": "x"}], "lists several images"),
            ([{"image": 3, "label": "x"}], "an image that cannot|a image that cannot"),
            ([{"image": "", "label": "x"}], "has no image"),
            ([{"image": "a\0", "label": "x"}], "a character that no name can have"),
            ([{"image": "a", "mask": ["m", "n"], "label": "x"}], "has a mask that cannot"),
            ([entry("a", label="x"), entry("a", label="x")], "used twice"),
            ([entry("a", label="x", case=1), entry("a", label="y", case=2)], "same image is in"),
        ],
    )
    def test_errors_say_where(self, tmp_path, content, words):
        with pytest.raises(CohortError, match=words) as caught:
            load_cohort(write(tmp_path, content))
        assert caught.value.todo

    def test_a_list_beyond_the_limit_is_not_read(self, tmp_path, monkeypatch):
        path = write(tmp_path, [entry("a", label="x")])
        monkeypatch.setattr(limits, "MAX_BYTES", path.stat().st_size)
        assert load_cohort(path)
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(CohortError, match="too large"):
            load_cohort(path)

    def test_many_different_keys_stay_cheap(self, tmp_path):
        cases = [entry(i, label="x", **{f"key{i}": 1}) for i in range(20_000)]
        cohort = load_cohort(write(tmp_path, cases))
        assert len(cohort.cases) == 20_000
        assert max(map(len, cohort.notes)) < 1000


keys = st.sampled_from(
    ["image", "label", "mask", "class", "patient", "case", "training", "test", "labels", "x"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
cases = st.lists(st.dictionaries(keys, values, max_size=4) | values, max_size=3)


@given(
    content=values
    | cases
    | st.fixed_dictionaries({"training": cases}, optional={"labels": values}),
    labelled=st.booleans(),
)
@example(content={"training": [{"image": "a", "label": 10**400}]}, labelled=True)
@example(content=[{"image": "a", "label": 1e308}], labelled=True)
def test_any_json_is_a_cohort_or_explained(content, labelled):
    with tempfile.TemporaryDirectory() as folder:
        path = write(folder, content)
        try:
            found = load_cohort(path, labelled=labelled)
        except CohortError as error:
            found = str(error)
    if isinstance(found, Cohort):
        assert all((c.label is not None) == labelled for c in found.cases)
    else:
        assert found.encode()


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_cohort_or_explained(content):
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.json", "a.csv", "a.tsv", "participants.tsv"):
            try:
                load_cohort(write(folder, content, name))
            except CohortError as error:
                text = str(error)
            assert text.encode()
