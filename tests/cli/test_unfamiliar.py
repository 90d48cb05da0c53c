"""Scans that are unlike the support get a reason and no probability; others are none the wiser."""

import csv
import io
import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medfs.scans.write import write_nifti

PRIVATE = b"MUELLER"


def rows(text):
    return {row["case"]: row for row in csv.DictReader(io.StringIO(text))}


@pytest.fixture
def put(scans, simulated):
    """Replace scan-0 by what a function makes of its voxels, mask and affine."""
    case = simulated[8]

    def write(change):
        voxels, mask, affine = change(case.voxels.copy(), case.mask.copy(), case.affine.copy())
        write_nifti(scans / "scan-0.nii.gz", voxels.astype(np.int16), affine, "int16")
        write_nifti(scans / "scan-0_mask.nii.gz", mask, affine, "uint8")

    return write


def soft_tissue(voxels, mask, affine):
    """Muscle and fat instead of lung, and air outside the body."""
    noise = np.random.default_rng(0).normal(0, 12, voxels.shape)
    body = np.where(mask, 45, 20) + noise
    body[:3] = -1000
    return body, mask, affine


def flipped(voxels, mask, affine):
    return -600 - voxels.astype(float), mask, affine


def stored_values(voxels, mask, affine):
    """The offset of the rescale was forgotten, and the padding outside the circle was not."""
    shifted = voxels + 1024.0
    shifted[:4] = -2000
    return shifted, mask, affine


def whole_crop(voxels, mask, affine):
    mask[2:-2, 2:-2, 1:-1] = True
    return voxels, mask, affine


def corrupted(voxels, mask, affine):
    """The slices through the region are all of one value."""
    voxels[:, :, mask.any(axis=(0, 1))] = -1000
    return voxels, mask, affine


def thick(voxels, mask, affine):
    affine[:3, 2] *= 12
    return voxels, mask, affine


def lung_without_a_finding(voxels, mask, affine):
    """Noise of the density of lung: nothing is where the mask says."""
    return np.random.default_rng(1).normal(-850, 15, voxels.shape), mask, affine


def a_mask_of_nothing(voxels, mask, affine):
    """Strands with edges as sharp as those of a finding, but none that follows the mask."""
    coarse = np.random.default_rng(1).normal(size=voxels.shape)
    strands = gaussian_filter(coarse, 1.2 / np.linalg.norm(affine[:3, :3], axis=0))
    return np.where(strands > 1.2 * strands.std(), -300, -850) + 15 * coarse, mask, affine


WRONG = {
    soft_tissue: "around the region is",
    flipped: "around the region is",
    stored_values: "around the region is",
    whole_crop: "the region measures",
    corrupted: "voxels that equal all their neighbours",
    thick: "voxels are at their widest",
    lung_without_a_finding: "at the edge of the region values change by",
    a_mask_of_nothing: "the region is brighter than what lies within 3 mm around it in",
}


@pytest.mark.parametrize("change", WRONG, ids=lambda c: c.__name__)
def test_a_scan_of_another_kind_gets_a_reason_and_no_probability(medfs, model, scans, put, change):
    before = rows(medfs("predict", model, scans).out)
    put(change)
    done = medfs("predict", model, scans)
    assert done.code == 0
    found = rows(done.out)
    odd = found.pop("scan-0")
    assert (odd["familiar"], odd["prediction"]) == ("no", "")
    assert odd["p_smooth"] == odd["p_spiculated"] == ""
    assert odd["note"].startswith("unlike the support: ")
    assert WRONG[change] in odd["note"]
    del before["scan-0"]
    assert found == before
    said = "1 of 3 scans are unlike the support: no probability is given"
    assert said in done.err


def test_numbers_for_unfamiliar_scans_have_to_be_asked_for(medfs, model, scans, put):
    put(soft_tissue)
    done = medfs("predict", model, scans, "--keep-unfamiliar", "--json")
    assert done.code == 0
    odd, *others = json.loads(done.out)["predictions"]
    assert odd["familiar"] is False
    assert sum(odd["probabilities"].values()) == pytest.approx(1)
    assert odd["prediction"] == max(odd["probabilities"], key=odd["probabilities"].__getitem__)
    assert all(p["familiar"] is True for p in others)
    assert "1 of 3 scans" in done.err


def test_a_scan_is_judged_alone_as_among_others(medfs, model, scans, put):
    put(soft_tissue)
    head, *together = medfs("predict", model, scans).out.splitlines()
    for i, line in enumerate(together):
        alone = medfs("predict", model, scans / f"scan-{i}.nii.gz", "--no-cache").out.splitlines()
        assert alone == [head, line]


def test_familiar_scans_are_passed_over_in_silence(medfs, model, scans):
    assert "unlike" not in medfs("predict", model, scans).err


def test_an_empty_region_is_refused_as_before(medfs, model, scans, put):
    put(lambda voxels, mask, affine: (voxels, np.zeros_like(mask), affine))
    done = medfs("predict", model, scans)
    assert done.code == 5
    odd = rows(done.out)["scan-0"]
    assert (odd["familiar"], odd["prediction"]) == ("", "")
    assert "empty" in odd["note"]


def test_a_foreign_support_case_is_named(medfs, support, out):
    image = min(p for p in (support / "smooth").glob("*.nii.gz") if "_mask" not in p.name)
    import nibabel

    scan = nibabel.load(image)
    voxels = np.random.default_rng(0).normal(40, 12, scan.shape)
    voxels[:3] = -1000
    write_nifti(image, voxels.astype(np.int16), scan.affine, "int16")
    done = medfs("adapt", "--support", support, "--out", out)
    assert done.code == 0
    assert f"{image.name.removesuffix('.nii.gz')} is unlike the other labelled cases" in done.err
    for name in ("model.json", "report.json", "weights.safetensors"):
        assert PRIVATE not in (out / name).read_bytes()
