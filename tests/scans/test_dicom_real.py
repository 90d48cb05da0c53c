"""Real series: equal to their reference conversion, or refused for the right reason."""

import nibabel
import numpy as np
import pytest

from medfs.core.errors import GeometryError
from medfs.scans import read_nifti, read_series
from medfs.scans.options import ReadOptions


def reference_of(path, index=None):
    """Voxels and affine of a reference conversion in RAS order, or of one volume of a 4D one."""
    image = nibabel.load(path)
    image = image if index is None else image.slicer[..., index]
    image = nibabel.as_closest_canonical(image)
    return np.asanyarray(image.dataobj).astype(float), image.affine


def assert_equals(volume, reference, *, index=None, atol=0.0):
    voxels, affine = reference_of(reference, index)
    assert volume.voxels.shape[1:] == voxels.shape
    np.testing.assert_allclose(volume.affine, affine, atol=1e-4)
    np.testing.assert_allclose(volume.voxels[0].astype(float), voxels, rtol=0, atol=atol)


@pytest.mark.shared
def test_ct_head_equals_its_reference(shared):
    volume = read_series(shared / "dicom/ct_head/series")
    assert (volume.modality, volume.unit) == ("CT", "HU")
    assert volume.provenance.skipped[0][0] == "DIRFILE"
    assert_equals(volume, next((shared / "dicom/ct_head/reference").glob("*.nii.gz")))


GE = "vendor_series/ge"
SINGLE = f"{GE}/anatomical/001_single_slice"
VENDORS = [
    "anatomical/001",
    "anatomical/001_implicit",
    "ge/anatomical/001",
    "ge/anatomical/001_implicit",
    "generic/anatomical/001",
    "generic/anatomical/001_implicit",
    "generic/compressed/001",
    "generic/compressed_j2k/001",
    "generic/compressed_jpeg/001",
    "generic/compressed_jpegls/001",
    "generic/compressed_rle/001",
]


@pytest.mark.shared
@pytest.mark.parametrize("series", VENDORS)
def test_vendor_series_equal_their_ground_truth(shared, series):
    root = shared / "dicom/vendor_series"
    if "compressed" in series:
        pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    assert_equals(read_series(root / series), root / f"{series}_ground_truth.nii.gz")


@pytest.mark.shared
def test_series_with_a_slope_per_slice(shared):
    root = shared / "dicom/vendor_series/generic/anatomical"
    volume = read_series(root / "002_non_isotropic")
    assert_equals(volume, root / "002_non_isotropic_ground_truth.nii.gz", atol=1e-4)


@pytest.mark.shared
@pytest.mark.parametrize("number", range(1, 10))
def test_a_mosaic_in_nine_encodings(shared, number):
    if number >= 4:
        pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    root = shared / "dicom/transfer_syntaxes"
    assert_equals(read_series(root / f"In/{number}.dcm"), root / f"Ref/{number}.nii")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "number"),
    [("12bitUnsigned", 2), ("12bitUnsigned_0x0F0F", 3), ("12bitSigned_0x0F0F", 4)],
)
def test_signed_and_unsigned_twelve_bits(shared, name, number):
    root = shared / "dicom/signed_12bit"
    assert_equals(read_series(root / f"In/{name}.dcm"), root / f"Ref/{number}.nii")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("series", "reference", "count"),
    [
        ("mr_epi/siemens/mr_0003", "mr_epi/reference/EPI_PE=AP_3.nii", 2),
        ("mr_epi/siemens/mr_0004", "mr_epi/reference/EPI_PE=PA_4.nii", 2),
        ("mr_epi/siemens/mr_0005", "mr_epi/reference/EPI_PE=RL_5.nii", 2),
        ("mr_epi/siemens/mr_0006", "mr_epi/reference/EPI_PE=LR_6.nii", 2),
        ("mr_epi/ge/mr_0004", "mr_epi/reference/DCM2NIIX_regression_test_4.nii", 10),
        ("mr_enhanced/In/Siemens/XA10", "mr_enhanced/Ref/Siemens_REST1_w_SMS_PF7-8_6.nii", 4),
        (f"{GE}/dti/001", f"{GE}/dti/001_ground_truth.nii.gz", 2),
        (
            f"{GE}/dti/001_implicit",
            f"{GE}/dti/001_implicit_ground_truth.nii.gz",
            2,
        ),
        (f"{GE}/dti/002", f"{GE}/dti/002_ground_truth.nii.gz", 4),
        (f"{GE}/fmri/001", f"{GE}/fmri/001_ground_truth.nii.gz", 2),
    ],
)
def test_four_dimensions_only_by_rule(shared, series, reference, count):
    folder, expected = shared / "dicom" / series, shared / "dicom" / reference
    with pytest.raises(GeometryError, match=f"4D: .* {count} volumes"):
        read_series(folder)
    for index in (0, count - 1):
        assert_equals(read_series(folder, ReadOptions(volume=index)), expected, index=index)
    assert_equals(read_series(folder, ReadOptions(volume="first")), expected, index=0)
    mean = read_series(folder, ReadOptions(volume="mean"))
    all_of_them = [reference_of(expected, i)[0] for i in range(count)]
    np.testing.assert_allclose(mean.voxels[0], np.mean(all_of_them, axis=0), rtol=1e-5, atol=1e-3)
    assert mean.provenance.notes[0][0] == "volume"


@pytest.mark.shared
def test_enhanced_magnitude_and_field_map_are_told_apart(shared):
    """The reference scales by the vendor's private slopes: the stored values are the same."""
    root = shared / "dicom/mr_enhanced"
    magnitude = read_series(root / "In/Philips")
    assert magnitude.provenance.choice == "the magnitude images of the series"
    voxels, affine = reference_of(root / "Ref/Philips_WIP_B0_NS_801_e1.nii")
    np.testing.assert_allclose(magnitude.affine, affine, atol=1e-4)
    inside = voxels != 0
    ratio = magnitude.voxels[0][inside] / voxels[inside]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-6)
    field = read_series(root / "In/Philips", ReadOptions(component="real"))
    hertz, _ = reference_of(root / "Ref/Philips_WIP_B0_NS_801_e2_fieldmaphz.nii")
    # The slope in the reference has six digits.
    np.testing.assert_allclose(field.voxels[0], hertz, atol=0.01)


@pytest.mark.shared
def test_a_tilted_gantry_is_kept_corrected_or_refused(shared):
    folder = shared / "dicom/ct_gantry_tilt/series"
    kept = read_series(folder)
    references = shared / "dicom/ct_gantry_tilt/reference"
    voxels, _ = reference_of(references / "1F_STEREOTAXIS_Head_201.nii.gz")
    np.testing.assert_array_equal(kept.voxels[0], voxels)
    assert ("tilt", "the stack leans by 18.50° (gantry tilt)") in kept.provenance.notes
    # The slices lie 2.5 mm apart along the table, as their positions say.
    np.testing.assert_allclose(kept.spacing, (0.48242188, 0.48242188, 2.5), atol=1e-4)
    with pytest.raises(GeometryError, match=r"leans by 18\.50°, and GantryDetectorTilt is -18\.5"):
        read_series(folder, ReadOptions(tilt="refuse"))
    corrected = read_series(folder, ReadOptions(tilt="correct"))
    other, affine = reference_of(references / "1F_STEREOTAXIS_Head_201_Tilt_1.nii.gz")
    assert abs(np.linalg.det(corrected.affine[:3, :3] / corrected.spacing) - 1) < 1e-6
    assert best_row_correlation(corrected, other, affine) > 0.99


def best_row_correlation(volume, other, affine):
    """Slices are the same; rows of the two enlarged fields of view are matched by their place."""
    row = np.linalg.inv(affine) @ volume.affine @ np.array([0, 0, 0, 1])
    first = round(row[1])
    height = min(volume.voxels.shape[2], other.shape[1] - first)
    ours = volume.voxels[0][:, max(0, -first) : height].astype(float)
    theirs = other[:, max(0, first) : first + height]
    both = (ours > -1000) & (theirs > -1000)
    return np.corrcoef(ours[both], theirs[both])[0, 1]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("ct_head/S1000", "localizer"),
        ("ct_head/S4010", "none of the 2 series.*only CT, MR and PET.*colour images"),
        ("refuse/notavolume/001", "at the same position"),
        ("refuse/slicecount/001", "2 image"),
        ("refuse/sliceincrement/001", r"lie 10\.000 mm where 5\.000 mm"),
        ("refuse/sliceincrement/002", r"lie 1\.499 mm where 0\.750 mm"),
        ("refuse/sliceorientation/001", "not lie parallel"),
        ("vendor_series/ge/anatomical/001_single_slice", "1 image"),
        ("vendor_series/generic/rgb/001", "colour"),
        ("signed_12bit/In", "in the folder twice"),
        ("transfer_syntaxes/In", "nothing in the headers tells the repeats apart"),
    ],
)
def test_real_series_that_must_be_refused(shared, folder, words):
    with pytest.raises(GeometryError, match=words):
        read_series(shared / "dicom" / folder)


@pytest.mark.shared
def test_two_slices_are_read_where_that_is_asked_for(shared):
    root, keep = shared / "dicom/refuse/slicecount", ReadOptions(few_slices="keep")
    volume = read_series(root / "001", keep)
    assert_equals(volume, root / "001_ground_truth.nii.gz")
    assert any("cannot be checked" in why for _, why in volume.provenance.notes)


@pytest.mark.shared
def test_the_thickness_of_a_single_slice_is_not_made_up(shared):
    """The reference says 1 mm, but the header neither thickness nor distance of slices."""
    with pytest.raises(GeometryError, match=r"not a volume.*complete series\.$"):
        read_series(shared / "dicom" / SINGLE, ReadOptions(few_slices="keep"))


@pytest.mark.shared
def test_a_tilted_series_of_four_slices_is_solved_by_keeping_its_grid(shared):
    volume = read_series(shared / "dicom/refuse/gantrytilting/001")
    assert ("tilt", "the stack leans by 14.00° (gantry tilt)") in volume.provenance.notes


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("77654033/CT2", r"202\.500 mm where 1\.250 mm"),
        ("98892003/MR700", "rotating projections"),
        ("98892003/MR1", "none of the 3 series"),
        ("98892003/MR2", "none of the 3 series.*not lie parallel"),
        ("98892001/CT2N", "localizer"),
        ("77654033/CR1", "Computed Radiography"),
        (".", "which volume is meant is not clear.*SmartScore"),
    ],
)
def test_series_of_pydicom_that_must_be_refused(pydicom_series, folder, words):
    with pytest.raises(GeometryError, match=words):
        read_series(pydicom_series / folder)


def test_series_of_pydicom_that_is_a_volume(pydicom_series):
    volume = read_series(pydicom_series / "98892001/CT5N")
    assert volume.voxels.shape == (1, 16, 16, 5)
    np.testing.assert_allclose(volume.spacing, (0.488281, 0.488281, 2.5))


def test_a_rule_finds_the_volume_in_a_tree_of_studies(pydicom_series):
    options = ReadOptions(description=("*smartscore*",))
    volume = read_series(pydicom_series, options)
    alone = read_series(pydicom_series / "98892001/CT5N")
    np.testing.assert_array_equal(volume.voxels, alone.voxels)
    assert volume.provenance.sha256 == alone.provenance.sha256
    assert any("description matches none" in why for _, why in volume.provenance.skipped)


@pytest.mark.shared
def test_nifti_files_of_the_cohorts_are_read(shared):
    for pattern in ("cohorts/lung_nodules/images", "volumes/hippocampus/images"):
        for path in sorted((shared / pattern).glob("*.nii.gz"))[:5]:
            expected = nibabel.as_closest_canonical(nibabel.load(path))
            volume = read_nifti(path)
            np.testing.assert_array_equal(volume.voxels[0], np.asarray(expected.dataobj))
            np.testing.assert_allclose(volume.affine, expected.affine)
