"""NIfTI label maps: which of the numbers is the region."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from medfs.core.errors import ScanReadError
from medfs.scans.guards import reading
from medfs.scans.masks.choice import Choice, Label, choose
from medfs.scans.masks.regions import Drawn
from medfs.scans.names import stem
from medfs.scans.nifti import read_nifti

_MAX_NAMES_BYTES = 1 << 20
_PART = 1 << 22


def read_label_map(path: Path, label: Label) -> Drawn:
    """The voxels that hold one number.

    Names come from `<stem>.json` beside the file, as in a dataset.json of the Medical Segmentation
    Decathlon (http://medicaldecathlon.com): `{"labels": {"1": "liver"}}`.

    Raises:
        ScanReadError: empty, or a label that names not exactly one number.
        GeometryError: the voxels have no known place.
    """
    volume = read_nifti(path)
    voxels = volume.voxels[0]
    values = _values(voxels)
    if not len(values):
        raise ScanReadError(
            "the mask is empty",
            why=f"All voxels of {path.name} are 0",
            todo="Draw the region, or leave the mask out",
        )
    if label is None and len(values) == 1:
        return Drawn(voxels != 0, volume.affine)
    names = _names(path)
    offered = [Choice(float(v), names.get(float(v), "")) for v in values]
    known = "" if names else f" (and no names: {_names_file(path).name} beside it gives none)"
    more = known if isinstance(label, str) else ""
    nouns = f"value besides 0{more}", f"values besides 0{more}"
    chosen = choose(offered, label, file=path.name, nouns=nouns)
    return Drawn(voxels == chosen.number, volume.affine, chosen.notes("label", offered))


def _values(voxels: Shaped[np.ndarray, "x y z"]) -> Shaped[np.ndarray, "n"]:
    """The numbers besides 0, sorted; part by part, since sorting all voxels would copy them."""
    found: set[Any] = set()
    flat = voxels.ravel(order="K")
    for start in range(0, len(flat), _PART):
        part = flat[start : start + _PART]
        found.update(np.unique(part[part != 0]).tolist())
    return np.array(sorted(found))


def _names_file(path: Path) -> Path:
    return path.with_name(f"{stem(path)}.json")


def _names(path: Path) -> dict[float, str]:
    """Number to name; empty where there is no file, or none with `labels` in it.

    Raises:
        ScanReadError: not JSON, or `labels` that do not map numbers to names.
    """
    file = _names_file(path)
    if not file.is_file():
        return {}
    with reading(file.name):
        if file.stat().st_size > _MAX_NAMES_BYTES:
            raise _unusable(file.name, f"It has more than {_MAX_NAMES_BYTES} bytes")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _unusable(file.name, f"It is not JSON ({error})") from error
    labels = content.get("labels", {}) if isinstance(content, dict) else {}
    if not isinstance(labels, dict) or not all(
        key.isascii() and key.isdigit() and isinstance(name, str) for key, name in labels.items()
    ):
        raise _unusable(file.name, "Its labels do not map numbers to names")
    return {float(key): name for key, name in labels.items()}


def _unusable(file: str, why: str) -> ScanReadError:
    return ScanReadError(
        f"the names of the labels in {file} cannot be used",
        why=why,
        todo='Write them as {"labels": {"1": "liver"}}, or choose the label by its number',
    )
