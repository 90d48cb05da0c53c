"""Patches inside MONAI pipelines."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from medfs.core.errors import GeometryError
from medfs.preprocess.patching import make_patch
from medfs.preprocess.presets import load_preset
from medfs.scans import read_mask, read_volume, write_nifti

pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")

# Voxels run to the left and to the back: every reader has to turn them to RAS.
LPS = np.array([[-0.8, 0, 0, 3], [0, -0.9, 0, 4], [0, 0, 1.5, 5], [0, 0, 0, 1.0]])


@pytest.fixture
def samples(tmp_path, ball):
    made = []
    for i in range(3):
        voxels = np.random.default_rng(i).integers(-900, 300, (40, 36, 24)).astype(np.int16)
        roi = ball(voxels.shape, (20, 16 + i, 12), 6.0, (0.8, 0.9, 1.5))
        write_nifti(tmp_path / f"scan{i}.nii.gz", voxels, LPS, np.int16)
        write_nifti(tmp_path / f"mask{i}.nii.gz", roi, LPS, np.uint8)
        made.append({"image": str(tmp_path / f"scan{i}.nii.gz"), "id": i})
        made[-1]["mask"] = str(tmp_path / f"mask{i}.nii.gz")
    return made


def _direct(sample, preset="ct-lung", use_mask=True):
    scan = read_volume(Path(sample["image"]))
    return make_patch(
        scan, read_mask(Path(sample["mask"]), scan) if use_mask else None, load_preset(preset)
    )


def _pipeline(**options):
    from monai.transforms import Compose

    from medfs.preprocess.transforms import MakePatchd
    from medfs.scans.monai import LoadScand

    return Compose([LoadScand("image", "mask", allow_missing_keys=True), MakePatchd(**options)])


@pytest.mark.parametrize("use_mask", [True, False])
@pytest.mark.parametrize("preset", ["ct-lung", "mr"])
def test_after_load_scand_it_equals_make_patch_bit_by_bit(samples, preset, use_mask):
    given = samples[0] if use_mask else {k: v for k, v in samples[0].items() if k != "mask"}
    made = _pipeline(preset=preset)(given)
    patch = _direct(samples[0], preset, use_mask)
    assert torch.equal(made["image"], patch.image)
    assert torch.equal(made["roi"], patch.roi)
    assert torch.equal(made["spacing"], patch.spacing)
    assert made["id"] == 0
    assert "mask" not in made


def test_after_monais_own_loader_it_equals_make_patch(samples):
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Orientationd

    from medfs.preprocess.transforms import MakePatchd

    keys = ["image", "mask"]
    made = Compose(
        [
            LoadImaged(keys, image_only=True),
            EnsureChannelFirstd(keys),
            Orientationd(keys, axcodes="RAS"),
            MakePatchd(),
        ]
    )(samples[1])
    patch = _direct(samples[1])
    torch.testing.assert_close(made["image"], patch.image, atol=1e-5, rtol=0)
    assert torch.equal(made["roi"], patch.roi)


def test_a_data_loader_batches_patches(samples):
    from monai.data import DataLoader, Dataset

    batch = next(iter(DataLoader(Dataset(samples, _pipeline()), batch_size=3)))
    assert batch["image"].shape == batch["roi"].shape == (3, 1, 48, 48, 48)
    assert batch["spacing"].shape == (3, 3)
    for i, sample in enumerate(samples):
        assert torch.equal(batch["image"][i], _direct(sample).image)


def test_keys_can_be_chosen_and_the_given_sample_is_left_alone(samples):
    from medfs.preprocess.transforms import MakePatchd
    from medfs.scans.monai import LoadScand

    loaded = LoadScand("image", "mask")(samples[0])
    given = {"ct": loaded["image"], "lesion": loaded["mask"]}
    made = MakePatchd("ct", mask_key="lesion", roi_key="r", spacing_key="mm")(given)
    assert set(made) == {"ct", "r", "mm"}
    assert set(given) == {"ct", "lesion"}
    assert given["ct"].shape == (1, 40, 36, 24)


def test_what_is_not_a_scan_in_ras_order_is_refused(samples):
    from monai.data import MetaTensor
    from monai.transforms import LoadImaged

    from medfs.preprocess.transforms import MakePatchd

    transform = MakePatchd()
    with pytest.raises(GeometryError, match="no affine"):
        transform({"image": torch.zeros(1, 9, 9, 9)})
    with pytest.raises(GeometryError, match="RAS"):
        transform(LoadImaged(["image"], ensure_channel_first=True)(samples[0]))
    with pytest.raises(GeometryError, match="RAS"):
        transform({"image": MetaTensor(torch.zeros(9, 9, 9), affine=torch.eye(4))})
    with pytest.raises(KeyError):
        transform({"label": 1})
    assert MakePatchd(allow_missing_keys=True)({"label": 1}) == {"label": 1}
    with pytest.raises(ValueError, match="one key"):
        MakePatchd(["a", "b"])


def test_a_mask_elsewhere_or_without_a_voxel_is_refused():
    from monai.data import MetaTensor

    from medfs.preprocess.transforms import MakePatchd

    image = MetaTensor(torch.rand(1, 9, 9, 9), affine=torch.eye(4))
    moved = torch.eye(4)
    moved[0, 3] = 5
    for mask in [
        MetaTensor(torch.ones(1, 9, 9, 9), affine=moved),
        MetaTensor(torch.ones(1, 9, 9, 8), affine=torch.eye(4)),
        MetaTensor(torch.zeros(1, 9, 9, 9), affine=torch.eye(4)),
    ]:
        with pytest.raises(GeometryError, match="mask"):
            MakePatchd()({"image": image, "mask": mask})


def test_the_rest_of_the_stage_does_not_import_monai():
    code = (
        "import sys, medfs.preprocess.patching, medfs.preprocess.auto;"
        "assert 'monai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
