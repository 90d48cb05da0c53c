"""Real series: equal to their reference conversion, or refused for the right reason."""

import nibabel
import numpy as np
import pytest

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans import read_nifti, read_series


def assert_equals(series, reference, *, atol=0.0):
    expected = read_nifti(reference)
    assert series.voxels.shape == expected.voxels.shape
    np.testing.assert_allclose(series.affine, expected.affine, atol=1e-4)
    np.testing.assert_allclose(
        series.voxels.astype(float), expected.voxels.astype(float), rtol=0, atol=atol
    )


@pytest.mark.shared
def test_ct_head_equals_its_reference(shared):
    volume = read_series(shared / "dicom/ct_head/series")
    assert (volume.modality, volume.unit) == ("CT", "HU")
    assert volume.provenance.skipped[0][0] == "DIRFILE"
    assert_equals(volume, next((shared / "dicom/ct_head/reference").glob("*.nii.gz")))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "reference"),
    [
        ("anatomical/001", "anatomical/001_ground_truth.nii.gz"),
        ("anatomical/001_implicit", "anatomical/001_implicit_ground_truth.nii.gz"),
        ("ge/anatomical/001", "ge/anatomical/001_ground_truth.nii.gz"),
        ("ge/anatomical/001_implicit", "ge/anatomical/001_implicit_ground_truth.nii.gz"),
        ("generic/anatomical/001", "generic/anatomical/001_ground_truth.nii.gz"),
        ("generic/anatomical/001_implicit", "generic/anatomical/001_implicit_ground_truth.nii.gz"),
        ("generic/compressed/001", "generic/compressed/001_ground_truth.nii.gz"),
        ("generic/compressed_j2k/001", "generic/compressed_j2k/001_ground_truth.nii.gz"),
        ("generic/compressed_jpeg/001", "generic/compressed_jpeg/001_ground_truth.nii.gz"),
        ("generic/compressed_jpegls/001", "generic/compressed_jpegls/001_ground_truth.nii.gz"),
        ("generic/compressed_rle/001", "generic/compressed_rle/001_ground_truth.nii.gz"),
    ],
)
def test_vendor_series_equal_their_ground_truth(shared, folder, reference):
    root = shared / "dicom/vendor_series"
    if "compressed" in folder:
        pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    assert_equals(read_series(root / folder), root / reference)


@pytest.mark.shared
def test_series_with_a_slope_per_slice(shared):
    root = shared / "dicom/vendor_series/generic/anatomical"
    volume = read_series(root / "002_non_isotropic")
    assert_equals(volume, root / "002_non_isotropic_ground_truth.nii.gz", atol=1e-4)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("ct_head/S1000", "localizer"),
        ("ct_head/S4010", "Secondary Capture"),
        ("ct_gantry_tilt/series", r"leans by 18\.50°, and GantryDetectorTilt is -18\.5°"),
        ("refuse/gantrytilting/001", r"leans by 14\.00°"),
        ("refuse/notavolume/001", "at the same position"),
        ("refuse/slicecount/001", "2 image"),
        ("refuse/sliceincrement/001", r"lie 10\.000 mm where 5\.000 mm"),
        ("refuse/sliceincrement/002", r"leans by 15\.50°"),
        ("refuse/sliceorientation/001", "not lie parallel"),
        ("mr_epi/ge/mr_0004", "4D series"),
        ("mr_epi/siemens/mr_0003", "mosaic"),
        ("mr_enhanced/In/Philips", "multi-frame"),
        ("mr_enhanced/In/Siemens/XA10", "multi-frame"),
        ("vendor_series/ge/anatomical/001_single_slice", "1 image"),
        ("vendor_series/ge/dti/001", "4D series"),
        ("vendor_series/ge/dti/002", "4D series"),
        ("vendor_series/ge/fmri/001", "4D series"),
        ("vendor_series/generic/rgb/001", "colour"),
        ("signed_12bit/In", "mosaic"),
        ("transfer_syntaxes/In", "mosaic"),
    ],
)
def test_real_series_that_must_be_refused(shared, folder, words):
    with pytest.raises(GeometryError, match=words):
        read_series(shared / "dicom" / folder)


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("77654033/CT2", r"202\.500 mm where 1\.250 mm"),
        ("98892003/MR700", "rotating projections"),
        ("98892003/MR1", "3 series"),
        ("98892003/MR2", "3 series"),
        ("98892001/CT2N", "localizer"),
        ("77654033/CR1", "Computed Radiography"),
    ],
)
def test_series_of_pydicom_that_must_be_refused(pydicom_series, folder, words):
    with pytest.raises(GeometryError, match=words):
        read_series(pydicom_series / folder)


def test_series_of_pydicom_that_is_a_volume(pydicom_series):
    volume = read_series(pydicom_series / "98892001/CT5N")
    assert volume.voxels.shape == (1, 16, 16, 5)
    np.testing.assert_allclose(volume.spacing, (0.488281, 0.488281, 2.5))


def test_folder_of_series_is_refused(pydicom_series):
    with pytest.raises(ScanReadError, match="98892001"):
        read_series(pydicom_series)


@pytest.mark.shared
def test_nifti_files_of_the_cohorts_are_read(shared):
    for pattern in ("cohorts/lung_nodules/images", "volumes/hippocampus/images"):
        for path in sorted((shared / pattern).glob("*.nii.gz"))[:5]:
            expected = nibabel.as_closest_canonical(nibabel.load(path))
            volume = read_nifti(path)
            np.testing.assert_array_equal(volume.voxels[0], np.asarray(expected.dataobj))
            np.testing.assert_allclose(volume.affine, expected.affine)
