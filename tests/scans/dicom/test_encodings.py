"""One series in every transfer syntax: the same voxels. Damaged or missing decoders are told."""

import io
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medfs.core.errors import GeometryError, MissingExtraError, ScanReadError
from medfs.scans import read_series
from medfs.scans.dicom.decode import decode
from medfs.scans.dicom.headers import read_header
from medfs.scans.files import find_files

NAMED = {
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "RLE": RLELossless,
}


def rewritten(folder, change, **save):
    for path in sorted(folder.iterdir()):
        ds = pydicom.dcmread(path)
        change(ds)
        ds.save_as(path, enforce_file_format=True, **save)


def no_change(ds):
    pass


def numbers(signed, bits):
    """Values over the whole range, the ends included; 32 × 32, the least that OpenJPEG takes."""
    low = -(1 << (bits - 1)) if signed else 0
    high = low + (1 << bits)
    stored = np.random.default_rng(bits).integers(low, high, (3, 32, 32))
    stored[0, 0, 0], stored[0, 0, 1] = low, high - 1
    return stored


def stored_as(ds, values, signed, bits):
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, int(signed)
    ds.RescaleIntercept = "0"
    ds.BitsAllocated = 8 if bits <= 8 else 16
    kind = f"<{'i' if signed else 'u'}{ds.BitsAllocated // 8}"
    ds.PixelData = values.astype(kind).tobytes()


def in_order(volume):
    """(slice, row, column) of the default axial grid."""
    return volume.voxels[0][::-1, ::-1].transpose(2, 1, 0)


@pytest.fixture
def written(tmp_path, write_series):
    def write(signed=True, bits=16, then=no_change):
        values = numbers(signed, bits)

        def edit(ds, k):
            stored_as(ds, values[k], signed, bits)
            then(ds)

        write_series(
            tmp_path / "s",
            values.astype(np.int16),
            edit=edit,
        )
        return tmp_path / "s", values

    return write


@pytest.mark.parametrize("form", ["implicit", "big endian", "deflated", *NAMED])
@pytest.mark.parametrize(("signed", "bits"), [(True, 16), (False, 16), (False, 12), (True, 12)])
def test_every_lossless_encoding_gives_the_same_voxels(written, form, signed, bits):
    if form in ("JPEG-LS", "JPEG 2000"):
        pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    folder, values = written(signed, bits, to_big_endian if form == "big endian" else no_change)
    if form == "implicit":
        rewritten(folder, lambda ds: setattr(ds.file_meta, "TransferSyntaxUID", IMPLICIT))
    elif form == "deflated":
        rewritten(folder, lambda ds: setattr(ds.file_meta, "TransferSyntaxUID", DEFLATED))
    elif form != "big endian":
        rewritten(folder, lambda ds: ds.compress(NAMED[form], generate_instance_uid=False))
    syntaxes = {read_header(f).syntax for f in find_files(folder)}
    assert syntaxes != {"1.2.840.10008.1.2.1"}
    volume = read_series(folder)
    np.testing.assert_array_equal(in_order(volume), values)
    assert volume.unit == "HU"


IMPLICIT, DEFLATED = ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian


def to_big_endian(ds):
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    values = np.frombuffer(ds.PixelData, "<u2")
    ds.PixelData = values.astype(">u2").tobytes()
    ds["PixelData"].VR = "OW"


@pytest.mark.parametrize("form", ["plain", *NAMED])
def test_eight_bits(written, form):
    if form in ("JPEG-LS", "JPEG 2000"):
        pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    folder, values = written(signed=False, bits=8)
    if form != "plain":
        rewritten(folder, lambda ds: ds.compress(NAMED[form], generate_instance_uid=False))
    np.testing.assert_array_equal(in_order(read_series(folder)), values)


def encapsulated(ds, syntax, frames):
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True


def test_baseline_jpeg(written):
    """With loss: near the values, equal to what the codec itself decodes, and told in a note."""
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    folder, _ = written(signed=False, bits=8)
    smooth = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8) * 4
    stream = io.BytesIO()
    image.fromarray(smooth).save(stream, "JPEG", quality=95)

    def change(ds):
        encapsulated(ds, JPEGBaseline8Bit, [stream.getvalue()])
        ds.LossyImageCompression = "01"

    rewritten(folder, change)
    volume = read_series(folder)
    decoded = np.asarray(image.open(stream)).astype(int)
    assert np.abs(in_order(volume) - decoded).max() <= 1  # decoders may round otherwise
    assert np.abs(in_order(volume) - smooth.astype(int)).max() <= 4
    assert ("compression", "the images were compressed with loss") in volume.provenance.notes


@pytest.mark.parametrize("signed", [True, False])
def test_lossless_jpeg(tmp_path, written, signed):
    """The encoder is GDCM's, which comes with SimpleITK."""
    sitk = pytest.importorskip("SimpleITK")
    pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    folder, values = written(signed=signed, bits=16)
    for k, path in enumerate(sorted(folder.iterdir())):
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.SetFileName(str(tmp_path / "one.dcm"))
        kind = np.int16 if signed else np.uint16
        writer.Execute(sitk.GetImageFromArray(values[k : k + 1].astype(kind)))
        made = pydicom.dcmread(tmp_path / "one.dcm")
        assert made.file_meta.TransferSyntaxUID == JPEGLosslessSV1
        frame = next(iter(pydicom.encaps.generate_frames(made.PixelData, number_of_frames=1)))
        ds = pydicom.dcmread(path)
        encapsulated(ds, JPEGLosslessSV1, [frame])
        ds.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(in_order(read_series(folder)), values)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000(written, signed, syntax):
    """The code streams are OpenJPH's (imagecodecs 2026.3.6), of the image written out here."""
    pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    folder, _ = written(signed=signed, bits=16)
    name = "signed" if signed else "unsigned"
    stream = (Path(__file__).parent / "htj2k" / f"{name}.j2c").read_bytes()
    rewritten(folder, lambda ds: encapsulated(ds, syntax, [stream]))
    y, x = np.mgrid[:32, :32]
    image = 64 * x - 30 * y + 7 * (x * y % 5) + (-1000 if signed else 1000)
    np.testing.assert_array_equal(in_order(read_series(folder)), np.stack([image] * 3))


@pytest.mark.parametrize("form", NAMED)
def test_compressed_frames_of_one_enhanced_file(
    tmp_path, plain_scene, write_enhanced, in_place, form
):
    if form != "RLE":
        pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    scene = plain_scene(5, 32)
    write_enhanced(tmp_path / "f", scene, (3, 0, 4, 1, 2))
    ds = pydicom.dcmread(tmp_path / "f")
    ds.compress(NAMED[form], generate_instance_uid=False)
    ds.save_as(tmp_path / "f")
    in_place(read_series(tmp_path / "f"), scene.points(), scene.stored.astype(int))


DAMAGED = ["JPEG-lossy.dcm", "MR_truncated.dcm", "JPEG2000-embedded-sequence-delimiter.dcm"]
ITS_OWN = [
    "693_J2KI.dcm",
    "CT_small.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "JPEG2000.dcm",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "JPGExtended.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
    "image_dfl.dcm",
    "rtdose.dcm",
    "rtdose_expb.dcm",
    "rtdose_rle.dcm",
]


@pytest.fixture(scope="module")
def its_own():
    """The folder of pydicom's own test files, of those that come with its package."""
    from pydicom.data import get_testdata_file

    return Path(str(get_testdata_file("CT_small.dcm", download=False))).parent


def decoded(path):
    (file,) = find_files(path)
    header = read_header(file)
    return decode(header, file.read())


@pytest.mark.parametrize("name", ITS_OWN)
def test_files_of_pydicom_decode_as_pydicom_does(its_own, name):
    if not (its_own / name).exists():
        pytest.skip("this release of pydicom comes without it")
    ds = pydicom.dcmread(its_own / name)
    if ds.file_meta.TransferSyntaxUID.is_compressed:
        pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    with warnings.catch_warnings(action="ignore"):  # of padding
        expected = ds.pixel_array
    ours = decoded(its_own / name)
    assert ours.dtype.kind == expected.dtype.kind
    np.testing.assert_array_equal(ours.reshape(expected.shape), expected)


@pytest.mark.parametrize("name", DAMAGED)
def test_files_of_pydicom_that_are_damaged(its_own, name):
    with pytest.raises(ScanReadError, match=name):
        decoded(its_own / name)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_a_missing_codec_names_the_extra(written, monkeypatch, syntax):
    folder, _ = written()
    rewritten(folder, lambda ds: encapsulated(ds, syntax, [b"\xff\xd8\xff\xd9"]))

    class Absent:
        is_available = False

    monkeypatch.setattr("pydicom.pixels.decoders.base.get_decoder", lambda uid: Absent())
    with pytest.raises(MissingExtraError, match=r"I000 uses .*pip install 'medfs\[codecs\]'"):
        read_series(folder)


@pytest.mark.parametrize(
    ("syntax", "words"),
    [
        ("1.2.840.10008.1.2.4.102", "compression of an image is not supported.*MPEG-4"),
        ("1.2.840.10008.1.2.4.94", "compression of an image is not supported.*JPIP"),
        ("1.2.3.4", "compression of an image is not supported.*1.2.3.4"),
    ],
)
def test_what_no_codec_reads_is_named(written, syntax, words):
    folder, _ = written()
    rewritten(folder, lambda ds: encapsulated(ds, syntax, [b"\0" * 8]))
    with pytest.raises(ScanReadError, match=words):
        read_series(folder)


def test_compressed_pixels_of_a_fixed_length_are_refused(written):
    folder, _ = written()
    for path in folder.iterdir():
        content = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
        path.write_bytes(content)
    with pytest.raises(ScanReadError, match=r"not encapsulated.*RLE Lossless.*fixed length"):
        read_series(folder)


@pytest.mark.parametrize("form", NAMED)
def test_fewer_frames_than_declared(tmp_path, plain_scene, write_enhanced, form):
    if form != "RLE":
        pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    write_enhanced(tmp_path / "f", plain_scene(5, 32))
    ds = pydicom.dcmread(tmp_path / "f")
    ds.compress(NAMED[form], generate_instance_uid=False)
    frames = list(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=5))
    ds.PixelData = encapsulate(frames[:3])
    ds.save_as(tmp_path / "f")
    with pytest.raises(ScanReadError, match="truncated or damaged"):
        read_series(tmp_path / "f")


@pytest.mark.parametrize("form", NAMED)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_frames_cut_short_never_pass_as_whole(written, form, share):
    """A decoder may fill what is missing; then the image differs, and that must not be silent."""
    if form != "RLE":
        pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    folder, _ = written()

    def cut(ds):
        ds.compress(NAMED[form], generate_instance_uid=False)
        (frame,) = pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1)
        encapsulated(ds, NAMED[form], [frame[: max(int(len(frame) * share), 2)]])

    rewritten(folder, cut)
    with pytest.raises(ScanReadError):
        read_series(folder)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_baseline_jpeg_that_is_cut_short_never_passes_as_whole(written, share):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("pylibjpeg", reason="needs medfs[codecs]")
    folder, values = written(signed=False, bits=8)
    stream = io.BytesIO()
    image.fromarray(values[0].astype(np.uint8)).save(stream, "JPEG", quality=95)
    frame = stream.getvalue()[: int(len(stream.getvalue()) * share)]
    rewritten(folder, lambda ds: encapsulated(ds, JPEGBaseline8Bit, [frame]))
    with pytest.raises(ScanReadError, match="truncated or damaged"):
        read_series(folder)


def test_a_deflate_bomb_is_refused_quickly(written, monkeypatch):
    monkeypatch.setattr("medfs.scans.dicom.headers._MAX_INFLATED", 1 << 24)
    folder, _ = written()
    path = sorted(folder.iterdir())[1]
    rewritten(folder, lambda ds: setattr(ds.file_meta, "TransferSyntaxUID", DEFLATED))
    content = path.read_bytes()
    head = content[: meta_end(content)]
    engine = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    body = engine.compress(b"\0" * (1 << 25)) + engine.flush()
    path.write_bytes(head + body)
    begin = time.monotonic()
    with pytest.raises(
        ScanReadError, match=r"inflates without end\. I001 has \d+ bytes and gives 16777216"
    ):
        read_series(folder)
    assert time.monotonic() - begin < 5


def meta_end(content):
    """Behind group 2 (PS3.10 7.1): its length stands in its first element."""
    return 144 + int.from_bytes(content[140:144], "little")


def test_a_cut_deflated_file_is_refused(written):
    folder, _ = written()
    rewritten(folder, lambda ds: setattr(ds.file_meta, "TransferSyntaxUID", DEFLATED))
    path = sorted(folder.iterdir())[1]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises((ScanReadError, GeometryError), match="I001"):
        read_series(folder)
