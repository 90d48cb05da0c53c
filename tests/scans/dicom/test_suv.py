"""Standardised uptake values, against values computed by hand from the QIBA formula."""

import warnings

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans import read_series
from medfs.scans.dicom.suv import suv_factor
from medfs.scans.options import ReadOptions

SUV = ReadOptions(suv=True)
PET = "1.2.840.10008.5.1.4.1.1.128"
F18 = 6586.2  # half-life in s


def header(**changed):
    """70 kg, 350 MBq of F-18 at 10:00:00, scan at 11:00:00; `changed` also reaches the item."""
    ds, item = Dataset(), Dataset()
    ds.Units, ds.CorrectedImage, ds.DecayCorrection = "BQML", ["NORM", "ATTN", "DECY"], "START"
    ds.PatientWeight = "70"
    ds.SeriesDate = ds.AcquisitionDate = "20240315"
    ds.SeriesTime = ds.AcquisitionTime = "110000"
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = "350000000", str(F18)
    item.RadiopharmaceuticalStartTime = "100000.00"
    ds.RadiopharmaceuticalInformationSequence = Sequence([item])
    for keyword, value in changed.items():
        target = item if keyword.startswith("Radio") else ds
        if value is None:
            delattr(target, keyword)
        else:
            with warnings.catch_warnings(action="ignore"):  # of values that are wrong on purpose
                setattr(target, keyword, value)
    return ds


def factor(acquisitions=(("20240315", "110000"),), **changed):
    return suv_factor(header(**changed), acquisitions)


def expected(seconds, half_life=F18):
    return 70_000 / (350e6 * 2 ** (-seconds / half_life))


def test_one_hour_after_the_injection():
    # 2^(-3600/6586.2) = 0.684633: 350 MBq have become 239.6216 MBq; 70000 g / 239.6216 MBq.
    assert factor() == pytest.approx(2.921273e-4, rel=1e-6)
    assert factor() == pytest.approx(expected(3600), rel=1e-12)


def test_corrected_to_the_injection_needs_neither_times_nor_half_life():
    times = {"SeriesTime": None, "RadiopharmaceuticalStartTime": None, "RadionuclideHalfLife": None}
    assert factor((), DecayCorrection="ADMIN", **times) == pytest.approx(2e-4, rel=1e-12)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("1030", 1800),  # PS3.5 6.2: a time may end after the minutes
        ("10", 3600),
        ("103015", 1785),
        ("103015.5", 1784.5),
        ("103015.250000", 1784.75),
    ],
)
def test_forms_of_a_time(time, seconds):
    assert factor(RadiopharmaceuticalStartTime=time) == pytest.approx(expected(seconds), rel=1e-9)


def test_fractions_of_a_second_matter_for_oxygen():
    found = factor(RadionuclideHalfLife="122.24", RadiopharmaceuticalStartTime="105900.5")
    assert found == pytest.approx(expected(59.5, 122.24), rel=1e-9)


@pytest.mark.parametrize(
    "stated", ["20240315100000", "20240315100000.000", "202403151000", "20240315100000.00+0100"]
)
def test_the_injection_with_its_date(stated):
    found = factor(RadiopharmaceuticalStartTime=None, RadiopharmaceuticalStartDateTime=stated)
    assert found == pytest.approx(expected(3600), rel=1e-9)


def test_a_scan_after_midnight():
    after = {"SeriesDate": "20240316", "SeriesTime": "003000"}
    acquired = [("20240316", "003000")]
    stated = {
        "RadiopharmaceuticalStartDateTime": "20240315233000",
        "RadiopharmaceuticalStartTime": "233000",
    }
    assert factor(acquired, **after, **stated) == pytest.approx(expected(3600), rel=1e-9)
    with pytest.raises(ScanReadError, match=r"begin -82800 s after the injection"):
        factor(acquired, **after, RadiopharmaceuticalStartTime="233000")


def test_beds_before_and_after_midnight():
    """The earliest by date and time, not the smallest time of day."""
    beds = [("20240316", "000500"), ("20240315", "235000"), ("20240315", "235730")]
    times = {"SeriesTime": "235000", "RadiopharmaceuticalStartTime": "225000"}
    assert factor(beds, **times) == pytest.approx(expected(3600), rel=1e-9)
    # Re-sent the next day: the series is younger than its images.
    copied = times | {"SeriesDate": "20240316", "SeriesTime": "090000"}
    assert factor(beds, **copied) == pytest.approx(expected(3600), rel=1e-9)


def test_the_series_begins_before_the_bed_that_was_kept():
    assert factor([("20240315", "111500")]) == pytest.approx(expected(3600), rel=1e-9)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"Units": "CNTS"}, "Units is CNTS, not BQML"),
        ({"Units": None}, "Units is not stated"),
        ({"CorrectedImage": ["ATTN"]}, r"CorrectedImage is \['ATTN'\], without ATTN and DECY"),
        ({"CorrectedImage": "DECY"}, r"CorrectedImage is \['DECY'\]"),
        ({"CorrectedImage": None}, r"CorrectedImage is \[\]"),
        ({"DecayCorrection": "NONE"}, "DecayCorrection is NONE"),
        ({"DecayCorrection": None}, "DecayCorrection is not stated"),
        ({"PatientWeight": None}, "PatientWeight is missing or not positive"),
        ({"PatientWeight": "0"}, "PatientWeight is missing or not positive"),
        ({"PatientWeight": "-70"}, "PatientWeight is missing or not positive"),
        ({"PatientWeight": "70000"}, "PatientWeight is 70000 kg: it may be in grams"),
        ({"RadionuclideTotalDose": None}, "RadionuclideTotalDose is missing"),
        ({"RadionuclideTotalDose": "350"}, "RadionuclideTotalDose is 350 Bq: it may be in MBq"),
        ({"RadionuclideHalfLife": None}, "RadionuclideHalfLife is missing"),
        ({"RadionuclideHalfLife": "109.77"}, "33 half-lives of 109.77 s"),
        ({"RadiopharmaceuticalStartTime": None}, "StartTime is not a date and time"),
        ({"RadiopharmaceuticalStartTime": "9:5"}, "StartTime is not a date and time"),
        ({"RadiopharmaceuticalStartTime": "250000"}, "StartTime is not a date and time"),
        ({"RadiopharmaceuticalStartTime": "113000"}, "begin -1800 s after the injection"),
        ({"RadiopharmaceuticalStartDateTime": "20240215100000"}, "begin 2509200 s after"),
        ({"RadiopharmaceuticalStartDateTime": "20240315093000"}, "stated at .* and at 100000"),
        ({"RadiopharmaceuticalInformationSequence": None}, "has 0 items"),
        ({"SeriesTime": None}, "SeriesTime is not a date and time"),
        ({"SeriesDate": "2024315"}, "SeriesTime is not a date and time: '2024315'"),
    ],
)
def test_what_is_missing_or_contradictory_is_refused(changed, words):
    if "RadiopharmaceuticalInformationSequence" in changed:
        ds = header()
        del ds.RadiopharmaceuticalInformationSequence
    else:
        ds = header(**changed)
    with pytest.raises(ScanReadError, match=words) as caught:
        suv_factor(ds, [("20240315", "110000")])
    assert "Read the series without suv" in str(caught.value)


def test_two_injections_are_refused():
    ds = header()
    ds.RadiopharmaceuticalInformationSequence.append(Dataset())
    with pytest.raises(ScanReadError, match=r"has 2 items, not one"):
        suv_factor(ds, [])


def test_time_zones_that_differ_are_refused():
    with pytest.raises(ScanReadError, match=r"time zone \+0000, and the scan in \+0100"):
        factor(
            RadiopharmaceuticalStartTime=None,
            RadiopharmaceuticalStartDateTime="20240315100000+0000",
            TimezoneOffsetFromUTC="+0100",
        )


def pet(write_series, folder, stored, slopes=(1, 2, 3, 4, 5), **changed):
    def edit(ds, k):
        source = header(**changed)
        for element in source:
            ds.add(element)
        ds.SOPClassUID, ds.Modality = PET, "PT"
        ds.RescaleSlope, ds.RescaleIntercept = str(slopes[k]), "0"

    write_series(folder, stored, edit=edit)


def test_a_series_with_a_slope_per_slice(tmp_path, write_series, random_stack):
    stored = np.abs(random_stack())
    pet(write_series, tmp_path / "s", stored)
    volume = read_series(tmp_path / "s", SUV)
    found = volume.voxels[0][::-1, ::-1].transpose(2, 1, 0)
    slopes = np.arange(1, 6)[:, None, None]
    np.testing.assert_allclose(found, stored * slopes * expected(3600), rtol=1e-6)
    assert (volume.modality, volume.unit, volume.voxels.dtype) == ("PT", "SUVbw", np.float32)
    assert volume.provenance.notes[-1][0] == "suv"
    assert read_series(tmp_path / "s").unit == "arbitrary"


@pytest.mark.parametrize("kind", [{}, {"SUVType": "BW"}])
def test_values_in_grams_per_millilitre_are_suvs_already(
    tmp_path, write_series, random_stack, kind
):
    pet(write_series, tmp_path / "s", np.abs(random_stack()), Units="GML", **kind)
    volume = read_series(tmp_path / "s", SUV)
    assert volume.unit == "SUVbw"
    np.testing.assert_array_equal(volume.voxels, read_series(tmp_path / "s").voxels)


def test_suvs_by_lean_body_mass_are_none_by_weight(tmp_path, write_series, random_stack):
    pet(write_series, tmp_path / "s", np.abs(random_stack()), Units="GML", SUVType="LBM")
    with pytest.raises(ScanReadError, match=r"SUVs already, of the type LBM"):
        read_series(tmp_path / "s", SUV)


def test_other_modalities_have_no_suv(tmp_path, write_series, random_stack):
    write_series(tmp_path / "s", random_stack())
    with pytest.raises(GeometryError, match=r"PET alone\. The series is CT"):
        read_series(tmp_path / "s", SUV)


def test_beds_across_midnight_in_files(tmp_path, write_series, random_stack):
    """The first file in the folder is of the last bed."""
    pet(write_series, tmp_path / "s", np.abs(random_stack()), slopes=[1] * 5, **LATE)
    for k, path in enumerate(sorted((tmp_path / "s").iterdir())):
        ds = pydicom.dcmread(path)
        if k < 2:
            ds.AcquisitionDate, ds.AcquisitionTime = "20240316", "000500"
        ds.save_as(path)
    volume = read_series(tmp_path / "s", SUV)
    plain = read_series(tmp_path / "s").voxels
    np.testing.assert_allclose(volume.voxels, plain * expected(3600), rtol=1e-6)


LATE = {
    "SeriesTime": "235000",
    "AcquisitionTime": "235000",
    "RadiopharmaceuticalStartTime": "225000",
}
