"""The readers inside MONAI pipelines."""

import numpy as np
import pytest

from medfs.core.errors import GeometryError, UsageError
from medfs.scans import read_volume, write_nifti

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
