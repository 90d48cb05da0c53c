"""Cases, masks and others in folders, and the columns that name regions and channels."""

import pytest

from medfs.core.errors import CohortError
from medfs.scans import load_cohort


def touch(root, *names, content=b"x"):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def dicom(root, *names):
    return touch(root, *names, content=bytes(128) + b"DICM")


def masks_of(cohort):
    return {c.case_id: c.mask and c.mask.name for c in cohort.cases}


class TestMasks:
    @pytest.mark.parametrize("other", ["a_mask.nii.gz", "a.SEG.dcm", "a_mask/M1", "a_rtstruct.dcm"])
    @pytest.mark.parametrize("place", [".", "x", "x/a"])
    def test_two_masks_of_one_case_are_not_chosen_among(self, tmp_path, other, place):
        dicom(tmp_path, "x/a/I1", "x/a_seg.dcm", f"x/{other}")
        with pytest.raises(CohortError, match=r"more than one mask.*a_seg\.dcm"):
            load_cohort(tmp_path / place, labelled=place == ".")

    def test_masks_do_not_make_a_folder_a_series(self, tmp_path):
        dicom(tmp_path, "1/I1", "1.seg.dcm", "2/deep/er/I1", "2_rtstruct.dcm", "3_mask.dcm")
        cohort = load_cohort(tmp_path, labelled=False)
        assert masks_of(cohort) == {"1": "1.seg.dcm", "2": "2_rtstruct.dcm"}
        assert "1 mask(s) without a scan were left out: 3_mask.dcm" in cohort.notes

    def test_a_folder_called_mask_without_a_case_is_a_case(self, tmp_path):
        dicom(tmp_path, "a_mask/I1", "b/I1", "b_mask/M1")
        assert masks_of(load_cohort(tmp_path, labelled=False)) == {"a_mask": None, "b": "b_mask"}

    @pytest.mark.parametrize("scan", ["a.zip", "a.img", "a.nii", "a/I1"])
    def test_the_mask_beside_a_single_scan(self, tmp_path, scan):
        dicom(tmp_path, scan, "a.seg.dcm", "ab_seg.dcm")
        place = tmp_path / scan.split("/")[0]
        assert masks_of(load_cohort(place, labelled=False)) == {"a": "a.seg.dcm"}

    def test_a_mask_has_no_mask(self, tmp_path):
        touch(tmp_path, "a.nii", "a_mask.nii")
        found = load_cohort(tmp_path / "a_mask.nii", labelled=False)
        assert masks_of(found) == {"a_mask": None}


class TestCases:
    def test_a_zip_beside_a_folder_of_its_name_is_refused(self, tmp_path):
        touch(dicom(tmp_path, "x/a/I1"), "x/a.zip")
        with pytest.raises(CohortError, match="used twice"):
            load_cohort(tmp_path)

    def test_zips_in_class_folders_are_not_taken_for_one_folder(self, tmp_path):
        touch(tmp_path, "x/a.zip", "y/b.zip")
        with pytest.raises(CohortError, match="Give one of these folders"):
            load_cohort(tmp_path, labelled=False)

    def test_links_that_lead_back_end(self, tmp_path):
        touch(tmp_path, "x/a/notes.txt", "x/b.nii")
        (tmp_path / "x/a/loop").symlink_to(tmp_path / "x", target_is_directory=True)
        cohort = load_cohort(tmp_path)
        assert [c.case_id for c in cohort.cases] == ["b"]
        assert any("are no scan" in note and "a" in note for note in cohort.notes)


class TestColumns:
    def test_regions_of_masks(self, tmp_path):
        text = "image,mask,Mask Segment,label\na.nii,m.dcm,tumour,x\nb.nii,,edema,y\nc.nii,m,,y\n"
        (tmp_path / "m.csv").write_text(text)
        cohort = load_cohort(tmp_path / "m.csv", mask_label="2")
        assert [c.mask_label for c in cohort.cases] == ["tumour", None, "2"]
        assert "rows 3 name a region but no mask: the name is not used" in cohort.notes

    def test_several_channels(self, tmp_path):
        text = "SubjectID,Channel_0,Channel_1,ValueToPredict\nS,a.nii,b.nii,x\n"
        (tmp_path / "m.csv").write_text(text)
        with pytest.raises(CohortError, match=r"several channels.*Channel_0, Channel_1"):
            load_cohort(tmp_path / "m.csv")
        (case,) = load_cohort(tmp_path / "m.csv", image_column="Channel_1").cases
        assert case.image.name == "b.nii"

    @pytest.mark.parametrize("header", ["CaseID,Channel_0,Label", "case,image,label"])
    def test_masks_are_no_classes(self, tmp_path, header):
        (tmp_path / "m.csv").write_text(f"{header}\n1,a.nii.gz,m1.nii.gz\n2,b.nii.gz,m2.nii.gz\n")
        with pytest.raises(CohortError, match="is for segmentation"):
            load_cohort(tmp_path / "m.csv")
        found = load_cohort(tmp_path / "m.csv", labelled=False)
        assert masks_of(found) == {"1": "m1.nii.gz", "2": "m2.nii.gz"}

    @pytest.mark.parametrize("missing", ["", "nan", "NaN", "NA", "n/a", "#N/A", "<NA>", "null"])
    def test_missing_values(self, tmp_path, missing):
        path = tmp_path / "m.csv"
        path.write_text(f"image,label\na.nii,{missing}\n")
        with pytest.raises(CohortError, match="row 2 of the manifest has no label"):
            load_cohort(path)
        path.write_text(f"image,label,mask,patient\na.nii,x,{missing},p\nb.nii,x,m,{missing}\n")
        one, two = load_cohort(path).cases
        # NA may be the initials of a patient, and is no name of a file.
        assert one.mask == (None if missing != "NA" else tmp_path / "NA")
        assert two.patient_id == ("b" if missing != "NA" else "NA")
