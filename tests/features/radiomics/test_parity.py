"""Against mirp, which reproduces the reference values of IBSI.

mirp runs in a process of its own: it imports ITK, which does not survive warnings as errors. It
reads files: spacings given beside arrays are ignored.
"""

import json
import math
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from medfs.features.radiomics.first_order import NAMES as FIRST_ORDER
from medfs.features.radiomics.first_order import first_order
from medfs.features.radiomics.regions import Regions
from medfs.features.radiomics.shape import principal_axes
from medfs.features.radiomics.statistics import mean_and_sd, quantiles

from .regions import random_image, random_region, spacings

needs_mirp = pytest.mark.skipif(find_spec("mirp") is None, reason="mirp is not installed")
SCRIPT = """
import json, sys
from mirp import extract_features
found = []
for case in range(int(sys.argv[2])):
    (table,) = extract_features(
        image=f"{sys.argv[1]}/image-{case}.nii.gz",
        mask=f"{sys.argv[1]}/mask-{case}.nii.gz",
        base_feature_families=["statistics", "morphological"],
        mask_select_largest_region=False,
    )
    row = table.iloc[0]
    found.append({n: float(row[n]) for n in row.index if n.startswith(("stat_", "morph_"))})
print(json.dumps(found))
"""


def _mirp(folder, cases):
    import nibabel

    for i, (image, roi, mm) in enumerate(cases):
        affine = np.diag([*mm, 1.0])
        for name, tensor in (("image", image), ("mask", roi)):
            array = tensor[0, 0].numpy().astype(np.float32 if name == "image" else np.uint8)
            nibabel.save(nibabel.Nifti1Image(array, affine), folder / f"{name}-{i}.nii.gz")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(len(cases))],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _compare(image, roi, mm, theirs):
    regions = Regions.of(roi, spacings(*mm))
    ours = dict(zip(FIRST_ORDER, first_order(image, regions)[0].tolist(), strict=True))
    low, p25, p75 = quantiles(image, roi, (0.0, 0.25, 0.75))[0].tolist()
    values = {
        "stat_mean": ours["roi_mean"],
        "stat_var": mean_and_sd(image, roi)[1].item() ** 2,
        "stat_skew": ours["roi_skewness"],
        "stat_kurt": ours["roi_kurtosis"],
        "stat_median": ours["roi_median"],
        "stat_min": low,
        "stat_max": ours["roi_max"],
        "stat_p10": ours["roi_p10"],
        "stat_p90": ours["roi_p90"],
        "stat_iqr": p75 - p25,
    }
    for name, value in values.items():
        assert value == pytest.approx(theirs[name], rel=1e-3, abs=1e-4), name
    assert regions.volume.item() == pytest.approx(theirs["morph_vol_approx"], rel=1e-5)
    _compare_axes(regions, theirs, mm)


def _compare_axes(regions, theirs, mm):
    names = ("morph_pca_maj_axis", "morph_pca_min_axis", "morph_pca_least_axis")
    count, axes = regions.count.item(), principal_axes(regions)[0]
    for ours, name in zip(axes.tolist(), names, strict=True):
        # mirp divides by n − 1. The extent of a voxel, which it leaves out, lies between that of
        # the shortest and of the longest side.
        points = theirs[name] ** 2 * (count - 1) / count
        assert points + 16 * min(mm) ** 2 / 12 <= ours**2 * 1.0005, name
        assert ours**2 <= (points + 16 * max(mm) ** 2 / 12) * 1.0005, name
    if max(mm) - min(mm) < 1e-6:
        of_points = torch.sqrt(axes**2 - 16 * mm[0] ** 2 / 12)
        ratios = (of_points / of_points[0]).tolist()
        assert ratios[1] == pytest.approx(theirs["morph_pca_elongation"], rel=1e-3)
        assert ratios[2] == pytest.approx(theirs["morph_pca_flatness"], rel=1e-3)


@needs_mirp
def test_random_regions(tmp_path):
    grids = [(1.0, 1.0, 1.0), (0.7, 0.8, 2.5), (1.3, 1.3, 1.3), (2.0, 0.5, 1.0)]
    cases = [(random_image(i), random_region(i), mm) for i, mm in enumerate(grids)]
    for case, theirs in zip(cases, _mirp(tmp_path, cases), strict=True):
        _compare(*case, theirs)


@needs_mirp
@pytest.mark.shared
def test_real_nodules(shared_data, tmp_path):
    cases = [_nodule(path) for path in _images(shared_data)[::250]]
    for case, theirs in zip(cases, _mirp(tmp_path, cases), strict=True):
        _compare(*case, theirs)


def _images(shared_data):
    return sorted((shared_data / "cohorts" / "lung_nodules" / "images").glob("*.nii.gz"))


def _nodule(path):
    import nibabel

    image, mask = nibabel.load(path), nibabel.load(path.parents[1] / "masks" / path.name)
    hu = torch.from_numpy(np.asarray(image.dataobj, dtype=np.float32))[None, None]
    roi = torch.from_numpy((np.asarray(mask.dataobj) > 0).astype(np.float32))[None, None]
    return hu / 1000, roi, tuple(float(s) for s in image.header.get_zooms()[:3])


def test_volume_and_axes_of_an_ellipsoid():
    half, step = torch.tensor([10.0, 7.0, 4.0]), 0.5
    line = (torch.arange(48.0) - 23.5) * step
    squares = (line / half[0]).view(-1, 1, 1) ** 2 + (line / half[1]).view(-1, 1) ** 2
    roi = (squares + (line / half[2]) ** 2 <= 1).float()[None, None]
    regions = Regions.of(roi, spacings(step, step, step))
    volume = 4 / 3 * math.pi * half.prod().item()
    assert regions.volume.item() == pytest.approx(volume, rel=0.01)
    # 4√λ of a solid ellipsoid is 4/√5 of its half axis.
    torch.testing.assert_close(principal_axes(regions)[0], 4 * half / 5**0.5, rtol=0.01, atol=0)
