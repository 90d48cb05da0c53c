"""Scans that tell of their patient in every place that can hold text."""

import gzip
import io
import zipfile
from functools import cache
from pathlib import Path

import nibabel
from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary
from pydicom.sequence import Sequence

from identities.search import marker

_TEXTS = ("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
_DATES = {"DA": "19470311", "TM": "031415.926", "DT": "19470311031415.926", "AS": "083Y"}
_NUMBERS = {"IS": "471108152", "DS": "4711.08152"}
# Not searched: the age is three digits, which stand in many numbers.
OTHERS = (*(v for v in (_DATES | _NUMBERS).values() if len(v) > 4), "1.2.826.0.1.4711.815")
# What decides how voxels are read: image pixel, multi-frame and file meta groups, and of the rest
# a few numbers and codes.
_MEANT = (0x0000, 0x0002, 0x0028, 0x5200, 0x7FE0)
_KEPT = {
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "InstanceNumber", "AcquisitionNumber", "SeriesNumber",
    "GantryDetectorTilt", "ImagePosition", "ImageOrientation", "SliceLocation",
    "TemporalPositionIdentifier", "NumberOfTemporalPositions", "TriggerTime", "EchoNumbers",
    "ImagerPixelSpacing", "NominalScannedPixelSpacing", "SpecificCharacterSet",
}  # fmt: skip


@cache
def _planted() -> Dataset:
    """Everything that is free: each text element says its own tag."""
    ds = Dataset()
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        if tag >> 16 in _MEANT or not keyword or keyword in _KEPT or retired:
            continue
        if vr in _TEXTS:
            ds.add_new(tag, vr, _text(vr, f"{tag:08X}"))
        elif vr in _DATES or (vr in _NUMBERS and tag >> 16 in (0x0010, 0x0040)):
            ds.add_new(tag, vr, (_DATES | _NUMBERS)[vr])
    _plant_private(ds)
    inner = Dataset()
    inner.PatientName, inner.PatientComments = marker("SEQPN"), marker("SEQLT")
    ds.OtherPatientIDsSequence = Sequence([inner])
    ds.DeviceUID = ds.StorageMediaFileSetUID = OTHERS[-1] + ".1"
    return ds


def planted_texts() -> set[str]:
    """The marker of every text element that the standard names, in lower case."""
    named = [e for e in _planted() if e.VR in _TEXTS and not e.tag.is_private]
    return {marker(f"{int(e.tag):08X}").lower() for e in named}


def _text(vr: str, place: str) -> str:
    text = marker(place)
    if vr == "UR":
        return f"https://{text}.example/{text}"
    return f"{text}^Anna^^Dr." if vr == "PN" else text


def _plant_private(ds: Dataset) -> None:
    block = ds.private_block(0x0009, marker("CREATOR"), create=True)
    for i, vr in enumerate((*_TEXTS, "CS", "UN", "OB")):
        text = _text(vr, f"PRIV{vr}")
        block.add_new(i, vr, text.encode() + b" " * (len(text) % 2) if vr in ("UN", "OB") else text)
    for i, (vr, value) in enumerate((_DATES | _NUMBERS).items()):
        block.add_new(0x20 + i, vr, value)
    inner = Dataset()
    inner.PatientName = marker("PRIVSEQ")
    block.add_new(0x40, "SQ", Sequence([inner]))


def plant_in_series(folder: Path) -> None:
    """In every file of a folder of DICOM files, and in the files' names."""
    for i, path in enumerate(sorted(folder.glob("*.dcm"))):
        plant_in_file(path)
        path.rename(folder / f"{marker('FILE')}_{i}.dcm")


def plant_in_file(path: Path) -> None:
    """In one DICOM file, its meta header and preamble too."""
    ds = dcmread(path)
    ds.update(_planted())
    meta = ds.file_meta
    meta.SourceApplicationEntityTitle = marker("META")
    meta.PrivateInformationCreatorUID = OTHERS[-1] + ".2"
    meta.PrivateInformation = marker("METAOB").encode() + b" "
    ds.preamble = marker("PREAMBLE").encode().ljust(128, b"\0")
    ds.save_as(path, enforce_file_format=True)


def zip_of(folder: Path, archive: Path) -> None:
    """A zip of a folder, with a comment, and a comment at each member."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.comment = marker("ZIPNOTE").encode()
        for path in sorted(folder.iterdir()):
            info = zipfile.ZipInfo(f"{marker('ZIPDIR')}/{path.name}")
            info.comment = marker("MEMBER").encode()
            packed.writestr(info, path.read_bytes())


def plant_in_nifti(path: Path) -> None:
    """In all texts of a compressed NIfTI-1 file, its extensions, and the header of gzip."""
    image = nibabel.load(path)
    image.get_fdata()
    header = image.header
    for key in ("descrip", "db_name", "aux_file", "intent_name", "data_type"):
        place = "NII" + key.replace("_", "")[:6]
        header[key] = marker(place).encode()[: header[key].dtype.itemsize]
    extensions = nibabel.nifti1.Nifti1Extensions()
    xml = f"<AFNI_attributes self_idcode='{marker('AFNI')}'/>".encode()
    dicom = Dataset()
    dicom.PatientName = marker("NIIDICOM")
    for code, content in ((6, marker("COMMENT").encode()), (4, xml), (44, marker("ODD").encode())):
        extensions.append(nibabel.nifti1.Nifti1Extension(code, content))
    extensions.append(nibabel.nifti1.Nifti1DicomExtension(2, dicom))
    header.extensions[:] = extensions
    planted = nibabel.Nifti1Image(image.dataobj, image.affine, header)
    packed = io.BytesIO()
    with gzip.GzipFile(f"{marker('GZIP')}.nii", "wb", fileobj=packed, mtime=0) as file:
        file.write(planted.to_bytes())
    path.write_bytes(packed.getvalue())
