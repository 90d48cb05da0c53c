"""The readers inside MONAI pipelines."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medfs.core.errors import ConfigError, GeometryError, ScanReadError, UsageError
from medfs.scans import ReadOptions, read_volume, write_nifti

# MONAI's LoadImage builds all of its own readers, of which one warns where its codec is absent.
pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")

LPS = np.array([[-0.5, 0, 0, 3], [0, -0.7, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1.0]])


@pytest.fixture
def sample(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 99, (6, 5, 4)).astype(np.int16)
    write_nifti(tmp_path / "scan.nii.gz", voxels, LPS, np.int16)
    write_nifti(tmp_path / "mask.nii.gz", voxels > 60, LPS, np.uint8)
    return {"image": str(tmp_path / "scan.nii.gz"), "mask": str(tmp_path / "mask.nii.gz")}


def test_load_imaged_with_our_reader_equals_monais_own_after_orientation(sample):
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Orientationd

    from medfs.scans.monai import ScanReader

    keys = ["image", "mask"]
    ours = Compose([LoadImaged(keys, reader=ScanReader()), EnsureChannelFirstd(keys)])(sample)
    theirs = Compose(
        [LoadImaged(keys), EnsureChannelFirstd(keys), Orientationd(keys, axcodes="RAS")]
    )(sample)
    for key in keys:
        np.testing.assert_array_equal(ours[key].numpy(), theirs[key].numpy())
        np.testing.assert_allclose(ours[key].affine.numpy(), theirs[key].affine.numpy(), atol=1e-6)
    assert ours["image"].meta["space"] == "RAS"
    assert tuple(ours["image"].meta["spatial_shape"]) == (6, 5, 4)


def test_dicom_folder_through_load_imaged(tmp_path, write_series, random_stack):
    from monai.transforms import LoadImaged

    from medfs.scans.monai import ScanReader

    write_series(tmp_path / "s", random_stack())
    loaded = LoadImaged(["image"], reader=ScanReader(), ensure_channel_first=True)(
        {"image": str(tmp_path / "s")}
    )["image"]
    volume = read_volume(tmp_path / "s")
    np.testing.assert_array_equal(loaded.numpy(), volume.voxels)
    np.testing.assert_allclose(loaded.affine.numpy(), volume.affine)


def test_load_scand_in_compose_with_spacing(sample):
    from monai.transforms import Compose, Spacingd

    from medfs.scans.monai import LoadScand

    load = LoadScand(["image"], mask_keys=["mask"])
    loaded = load(sample)
    assert loaded["image"].shape == loaded["mask"].shape == (1, 6, 5, 4)
    assert sample["image"].endswith("scan.nii.gz")  # the sample given is left as it was
    out = Compose([load, Spacingd(["image", "mask"], (1, 1, 1), mode=("bilinear", "nearest"))])(
        sample
    )
    assert out["image"].shape == out["mask"].shape
    assert out["image"].pixdim.tolist() == [1, 1, 1]


def test_load_scand_refuses_a_mask_elsewhere_and_missing_keys(tmp_path, sample):
    from medfs.scans.monai import LoadScand

    write_nifti(tmp_path / "other.nii", np.ones((6, 5, 4)), np.eye(4), np.uint8)
    with pytest.raises(GeometryError):
        LoadScand("image", "mask")(sample | {"mask": tmp_path / "other.nii"})
    with pytest.raises(KeyError):
        LoadScand("image", "mask")({"image": sample["image"]})
    only = LoadScand("image", "mask", allow_missing_keys=True)({"image": sample["image"]})
    assert set(only) == {"image"}


def test_reader_takes_one_scan_per_key(sample):
    from medfs.scans.monai import ScanReader

    reader = ScanReader()
    assert reader.verify_suffix(sample["image"])
    assert not reader.verify_suffix("a.png")
    with pytest.raises(UsageError):
        reader.read([sample["image"], sample["mask"]])


def leaning_4d(write_series, random_stack, folder):
    """Two volumes of a tilted gantry in one folder."""
    for time in (1, 2):

        def edit(ds, k, time=time):
            ds.AcquisitionNumber = time
            ds.SeriesInstanceUID = ds.FrameOfReferenceUID = "1.2.3"
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"1.2.3.{time}.{k}"

        names = [f"{time}-{k}" for k in range(5)]
        stack = random_stack(seed=time)
        write_series(folder, stack, step=(0, 0.3, 2.0), names=names, edit=edit)


RULES = {"volume": "first", "tilt": "correct"}


def test_rules_reach_the_readers_in_every_form(tmp_path, write_series, random_stack):
    from monai.transforms import LoadImaged

    from medfs.scans.monai import LoadScand, ScanReader

    leaning_4d(write_series, random_stack, tmp_path / "s")
    sample, options = {"image": str(tmp_path / "s")}, ReadOptions(volume="first", tilt="correct")
    expected = read_volume(tmp_path / "s", options)
    assert read_volume(tmp_path / "s", ReadOptions(volume="first")).voxels.shape[1:] == (6, 4, 5)
    loaded = [
        LoadImaged("image", reader=ScanReader(**RULES), ensure_channel_first=True)(sample),
        LoadImaged("image", reader=ScanReader(options), ensure_channel_first=True)(sample),
        LoadImaged("image", reader=ScanReader, ensure_channel_first=True, **RULES)(sample),
        LoadScand("image", **RULES)(sample),
        LoadScand("image", options=options)(sample),
    ]
    for found in loaded:
        np.testing.assert_array_equal(found["image"].numpy(), expected.voxels)
        np.testing.assert_allclose(found["image"].affine.numpy(), expected.affine)
        assert "tilt: corrected" in found["image"].meta["notes"]
    with pytest.raises(GeometryError, match="4D"):
        LoadScand("image")(sample)


def test_a_bundle_states_rules_as_plain_data(tmp_path, write_series, random_stack):
    from monai.bundle import ConfigParser

    from medfs.scans.options import load_options

    leaning_4d(write_series, random_stack, tmp_path / "s")
    text = json.dumps(RULES | {"slices": {"min": 3}, "prefer": ["thinnest"]})
    (tmp_path / "rules.yaml").write_text(text)  # JSON is YAML
    options = load_options(tmp_path / "rules.yaml")
    rules = json.loads(text)
    config = ConfigParser(
        {
            "reader": {"_target_": "medfs.scans.monai.ScanReader", **rules},
            "load": {"_target_": "medfs.scans.monai.LoadScand", "keys": "image", **rules},
        }
    )
    assert config.get_parsed_content("reader").options == options
    load = config.get_parsed_content("load")
    assert load.options == options
    again = pickle.loads(pickle.dumps(load))
    assert again({"image": tmp_path / "s"})["image"].shape[0] == 1


def test_wrong_rules_are_told_at_once():
    from medfs.scans.monai import LoadScand, ScanReader

    with pytest.raises(ConfigError, match="unknown rule"):
        LoadScand("image", colour="blue")
    with pytest.raises(ConfigError, match="tilt cannot be"):
        ScanReader(tilt="sideways")
    with pytest.raises(UsageError, match="given twice"):
        ScanReader(ReadOptions(), tilt="keep")
    assert ScanReader(prefer=("thinnest",)).options == ReadOptions(prefer=("thinnest",))


def test_zips_and_single_files_are_scans(tmp_path, write_series, random_stack):
    from monai.transforms import LoadImage

    from medfs.scans.monai import ScanReader

    write_series(tmp_path / "s", random_stack())
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as packed:
        for file in (tmp_path / "s").iterdir():
            packed.write(file, file.name)
    reader, one = ScanReader(), tmp_path / "s" / "I000"
    assert reader.verify_suffix([tmp_path / "s.zip", one, str(tmp_path / "s")])
    load = LoadImage(reader=reader, ensure_channel_first=True)
    found = load(tmp_path / "s.zip")
    np.testing.assert_array_equal(found.numpy(), read_volume(tmp_path / "s").voxels)
    assert found.meta["choice"]
    with pytest.raises(GeometryError, match="at least 3 are needed"):
        reader.read(one)


def test_load_scand_takes_one_region_of_several(tmp_path, sample):
    from medfs.scans.monai import LoadScand

    labels = read_volume(Path(sample["image"])).voxels[0] % 3
    path = tmp_path / "labels.nii.gz"
    write_nifti(path, labels[::-1, ::-1], LPS, np.uint8)
    (tmp_path / "labels.json").write_text('{"labels": {"1": "a", "2": "b"}}')
    for label, number in (("b", 2), (1, 1), ("2", 2)):
        load = LoadScand("image", "mask", mask_label=label)
        mask = load(sample | {"mask": path})["mask"]
        np.testing.assert_array_equal(mask.numpy()[0], labels == number)
        assert mask.meta["notes"].startswith(f"label: {number}")
    with pytest.raises(ScanReadError, match="several labels"):
        LoadScand("image", "mask")(sample | {"mask": path})
