"""Parity with MIRP, which takes part in the validation of IBSI's reference values.

MIRP runs in a process of its own: importing ITK under warnings as errors ends the interpreter.
"""

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from medfs.features.radiomics import Radiomics

pytestmark = pytest.mark.skipif(find_spec("mirp") is None, reason="mirp is not installed")

# Where it is isotropic, a voxel's own extent adds the same s² / 12 along every principal axis.
CASES = {0: (1.3, 1.3, 1.3), 1: (0.8, 0.8, 0.8), 2: (0.7, 1.0, 2.0)}
AXES = ("maj", "min", "least")
SCRIPT = """
import json, sys
from mirp import extract_features
found = {}
for case in sys.argv[2:]:
    table = extract_features(
        image=f"{sys.argv[1]}/image-{case}.nii.gz",
        mask=f"{sys.argv[1]}/mask-{case}.nii.gz",
        base_feature_families=["statistics", "morphological"],
    )[0]
    row = table.iloc[0]
    found[case] = {n: float(row[n]) for n in row.index if n.startswith(("stat_", "morph_"))}
print(json.dumps(found))
"""


def _image(case, roi):
    return np.random.default_rng(case).gamma(2, 3, roi.shape).astype(np.float32)


@pytest.fixture(scope="module")
def of_mirp(blob, tmp_path_factory):
    import nibabel

    folder = tmp_path_factory.mktemp("mirp")
    for case, spacing in CASES.items():
        roi, affine = blob(case), np.diag([*spacing, 1])
        for name, array in (("image", _image(case, roi)), ("mask", roi.astype(np.uint8))):
            nibabel.save(nibabel.Nifti1Image(array, affine), folder / f"{name}-{case}.nii.gz")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), *map(str, CASES)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(params=CASES)
def pair(request, of_mirp, blob, as_batch):
    """(spacing, region, our features, those of MIRP)"""
    case, spacing = request.param, CASES[request.param]
    roi = blob(case)
    ours = Radiomics()(as_batch(_image(case, roi), roi, spacing, torch.float64))[0]
    named = dict(zip(Radiomics.feature_names, ours.tolist(), strict=True))
    return spacing, roi, named, of_mirp[str(case)]


def test_first_order_statistics(pair):
    _, _, ours, theirs = pair
    sd = np.exp(ours["roi_log_sd"]) - 0.01
    assert sd**2 == pytest.approx(theirs["stat_var"], rel=1e-5)
    for name, their_name in {
        "mean": "mean",
        "skewness": "skew",
        "kurtosis": "kurt",
        "median": "median",
        "p10": "p10",
        "p90": "p90",
        "max": "max",
    }.items():
        assert ours[f"roi_{name}"] == pytest.approx(theirs[f"stat_{their_name}"], rel=1e-5), name


def test_volume_by_counting_voxels(pair):
    _, _, ours, theirs = pair
    assert np.exp(ours["log_volume"]) == pytest.approx(theirs["morph_vol_approx"], rel=1e-5)


def test_axes_elongation_and_flatness_after_adding_the_extent_of_a_voxel(pair):
    spacing, roi, ours, theirs = pair
    # MIRP divides the second moments by n − 1.
    lengths = np.array([theirs[f"morph_pca_{a}_axis"] for a in AXES])
    lengths = lengths * np.sqrt(1 - 1 / roi.sum())
    if len(set(spacing)) == 1:
        lengths = np.sqrt(lengths**2 + 16 * spacing[0] ** 2 / 12)
    else:  # the correction turns the axes: check the definition without it, then correct
        second = np.cov((np.argwhere(roi) * spacing).T, bias=True)
        np.testing.assert_allclose(
            lengths, 4 * np.sqrt(np.linalg.eigvalsh(second)[::-1]), rtol=1e-5
        )
        corrected = second + np.diag(np.square(spacing)) / 12
        lengths = 4 * np.sqrt(np.linalg.eigvalsh(corrected)[::-1])
    for name, length in zip(("major", "minor", "least"), lengths, strict=True):
        assert np.exp(ours[f"log_{name}_axis"]) == pytest.approx(length, rel=1e-4)
    assert ours["elongation"] == pytest.approx(lengths[1] / lengths[0], rel=1e-5)
    assert ours["flatness"] == pytest.approx(lengths[2] / lengths[0], rel=1e-5)
