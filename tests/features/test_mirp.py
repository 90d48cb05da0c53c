"""Parity with MIRP, which takes part in the validation of IBSI's reference values."""

import numpy as np
import pytest
import torch

from medfs.features.radiomics import Radiomics

pytest.importorskip("mirp")

# Isotropic, so that a voxel's own extent adds the same s² / 12 along every principal axis.
CASES = [(0, (1.3, 1.3, 1.3)), (1, (0.8, 0.8, 0.8)), (2, (0.7, 1.0, 2.0))]
AXES = ("maj", "min", "least")


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"blob {case[0]}")
def pair(request, blob, as_batch, tmp_path_factory):
    """(spacing, region, our features, those of MIRP)"""
    import nibabel
    from mirp import extract_features

    seed, spacing = request.param
    roi = blob(seed)
    image = np.random.default_rng(seed).gamma(2, 3, roi.shape).astype(np.float32)
    folder = tmp_path_factory.mktemp("mirp")
    for name, array in (("image", image), ("mask", roi.astype(np.uint8))):
        nibabel.save(
            nibabel.Nifti1Image(array, np.diag([*spacing, 1])), folder / f"{name}.nii.gz"
        )
    theirs = extract_features(
        image=str(folder / "image.nii.gz"),
        mask=str(folder / "mask.nii.gz"),
        base_feature_families=["statistics", "morphological"],
        mask_select_largest_region=False,
    )[0].iloc[0]
    ours = Radiomics()(as_batch(image, roi, spacing, torch.float64))[0]
    return spacing, roi, dict(zip(Radiomics.feature_names, ours.tolist(), strict=True)), theirs


@pytest.mark.filterwarnings("ignore")
def test_first_order_statistics(pair):
    _, _, ours, theirs = pair
    assert ours["roi_sd"] ** 2 == pytest.approx(theirs["stat_var"], rel=1e-5)
    for name, their_name in {
        "mean": "mean",
        "skewness": "skew",
        "kurtosis": "kurt",
        "median": "median",
        "p10": "p10",
        "p90": "p90",
        "min": "min",
        "max": "max",
    }.items():
        assert ours[f"roi_{name}"] == pytest.approx(theirs[f"stat_{their_name}"], rel=1e-5), name


def test_volume_by_counting_voxels(pair):
    _, _, ours, theirs = pair
    assert np.exp(ours["log_volume"]) == pytest.approx(theirs["morph_vol_approx"], rel=1e-5)


def test_axes_elongation_and_flatness_after_adding_the_extent_of_a_voxel(pair):
    spacing, roi, ours, theirs = pair
    lengths = np.array([theirs[f"morph_pca_{a}_axis"] for a in AXES])
    if len(set(spacing)) == 1:
        lengths = np.sqrt(lengths**2 + 16 * spacing[0] ** 2 / 12)
    else:  # the correction turns the axes: check the definition without it, then correct
        second = np.cov((np.argwhere(roi) * spacing).T, bias=True)
        np.testing.assert_allclose(lengths, 4 * np.sqrt(np.linalg.eigvalsh(second)[::-1]), rtol=1e-5)
        corrected = second + np.diag(np.square(spacing)) / 12
        lengths = 4 * np.sqrt(np.linalg.eigvalsh(corrected)[::-1])
    for name, length in zip(("major", "minor", "least"), lengths, strict=True):
        assert np.exp(ours[f"log_{name}_axis"]) == pytest.approx(length, rel=1e-5)
    assert ours["elongation"] == pytest.approx(lengths[1] / lengths[0], rel=1e-5)
    assert ours["flatness"] == pytest.approx(lengths[2] / lengths[0], rel=1e-5)
