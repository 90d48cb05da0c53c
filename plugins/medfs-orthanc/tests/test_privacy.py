"""What is concealed in a text, by the headers of the files that it is about."""

import pytest
from medfs_orthanc.privacy import CONCEALED, nameless
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian


@pytest.fixture
def folder(tmp_path):
    inner = Dataset()
    inner.PersonName = "NURSE^BERTA"
    headers = Dataset()
    headers.Modality, headers.Manufacturer = "CT", "MAKER"
    headers.PatientName, headers.PatientID = "MÜLLER^ANNA MARIA^^Dr", "7"
    headers.OtherPatientNames = ["SCHMIDT^ANNA", "GRAF^ANNA"]
    headers.PatientBirthDate, headers.PatientAge = "19620319", "061Y"
    headers.SeriesDescription = " Lung \x1b7 of M. "
    headers.SpecificCharacterSet = "ISO_IR 192"
    headers.PersonIdentificationCodeSequence = [inner]
    headers.add_new(0x00091001, "LO", "private words")
    headers.SOPClassUID, headers.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    scans = tmp_path / "scans"
    scans.mkdir()
    headers.file_meta = Dataset()
    headers.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    headers.save_as(scans / "00001.dcm", enforce_file_format=True)
    return scans


@pytest.mark.parametrize(
    "quoted",
    [
        *("MÜLLER^ANNA MARIA^^Dr", "Müller", "anna maria", "schmidt", "GRAF^ANNA", "19620319"),
        *("061Y", "Lung �7 of M.", "BERTA", "private words"),
    ],
)
def test_what_headers_say_of_people_is_concealed(folder, quoted):
    text = f"series 2 '{quoted}' (CT, 3 mm) is 1.7 times MAKER's"
    assert nameless(text, folder) == f"series 2 '{CONCEALED}' (CT, 3 mm) is 1.7 times MAKER's"


def test_short_values_are_no_parts_of_numbers(folder):
    assert nameless("7 of 17 slices of '7'", folder) == f"7 of 17 slices of '{CONCEALED}'"


def test_nothing_is_said_where_a_header_cannot_be_searched(folder):
    (folder / "00002.dcm").mkdir()
    assert "withheld" in nameless("series 2 'Anna'", folder)
    assert "Anna" not in nameless("series 2 'Anna'", folder)
    assert nameless("", folder) == ""
