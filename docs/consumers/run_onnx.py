"""A model of `medfs export --format onnx`, without medfs: python run_onnx.py MODEL SCAN MASK

Needs onnxruntime, nibabel and numpy. For presets with a `window` (CT) and a mask of the finding.
"""

import json
import sys

import nibabel
import numpy as np
import onnxruntime


def along(size, centre, step, points):
    """Interpolation matrix of one axis: triangles as wide as the coarser of the two grids."""
    wanted = centre + (np.arange(points) - (points - 1) / 2) * step
    where, width = np.clip(wanted, 0, size - 1), max(step, 1.0)
    rows = np.clip(1 - np.abs(where[:, None] - np.arange(size)) / width, 0, None)
    return rows / rows.sum(axis=1, keepdims=True), np.abs(wanted - where) <= 0.5


def patch(scan, mask, preset):
    """image, region (1, 1, x, y, z) and spacing (1, 3), as medfs cuts them out of a scan."""
    mm, inside = np.array(scan.header.get_zooms()[:3]), np.asarray(mask.dataobj) > 0.5
    found = np.argwhere(inside)
    low, high = found.min(axis=0) - 0.5, found.max(axis=0) + 0.5
    fields = np.array(preset["spacing_mm"]) * preset["shape"]
    needed = (high - low) * mm + 2 * preset["margin_mm"]
    grid = np.array(preset["spacing_mm"]) * max(1, np.max(needed / fields))
    axes = zip(inside.shape, (low + high) / 2, grid / mm, preset["shape"], strict=True)
    rows, within = zip(*(along(*axis) for axis in axes), strict=True)
    lo, hi = preset["intensity"]["low"], preset["intensity"]["high"]
    image = np.einsum("ai,bj,ck,ijk->abc", *rows, np.clip(scan.get_fdata(), lo, hi), optimize=True)
    share = np.einsum("ai,bj,ck,ijk->abc", *rows, inside.astype(float), optimize=True)
    share *= np.einsum("a,b,c->abc", *within)
    arrays = 2 * (image - lo) / (hi - lo) - 1, share >= min(0.5, share.max() / 2), grid
    return [a.astype(np.float32)[None if a.ndim == 1 else (None, None)] for a in arrays]


session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
facts = json.loads(session.get_modelmeta().custom_metadata_map["medfs"])
scan, mask = (nibabel.as_closest_canonical(nibabel.load(path)) for path in sys.argv[2:4])
inputs = dict(zip(("image", "region", "spacing"), patch(scan, mask, facts["preset"]), strict=True))
probabilities = session.run(["probabilities"], inputs)[0][0]
print(json.dumps(dict(zip(facts["class_names"], probabilities.tolist(), strict=True))))
