"""The preprocessing for MONAI pipelines: a dictionary transform from scans to patches.

The only file of this package that imports MONAI; nothing else imports this file.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from medfs.core.errors import GeometryError
from medfs.core.volumes import Provenance, Volume
from medfs.preprocess.patching import make_patch
from medfs.preprocess.presets import Preset, load_preset, parse_preset

# MONAI's key of where a scan came from; the CSV of a bundle names scans by it.
_FILE = "filename_or_obj"


class MakePatchd(MapTransform):  # type: ignore[misc]
    """Cut the region out of a scan, on the grid of a preset.

    Scan and mask are MetaTensors (channel, x, y, z) in RAS order, as `medfs.scans.monai.LoadScand`
    gives them, or MONAI's LoadImaged, EnsureChannelFirstd and Orientationd(axcodes="RAS"). The
    sample gets the patch as plain tensors: (1, x, y, z) under the key of the scan and under
    `roi_key`, (3,) in mm under `spacing_key`; the mask is taken out, everything else is kept.

    Args:
        keys: the key of the scan.
        preset: a shipped preset's name, the path of a .yaml file, a preset, or its plain data.
        mask_key: key of a mask on the grid of the scan; without one the preset finds the region.
        roi_key: where the region on the patch's grid is put.
        spacing_key: where the spacing of the patch's grid is put.
        allow_missing_keys: leave samples without a scan as they are.
        file_key: where the path of the scan is put, if it is wanted.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        preset: str | Preset | Mapping[str, Any] = "ct-lung",
        mask_key: Hashable = "mask",
        roi_key: Hashable = "roi",
        spacing_key: Hashable = "spacing",
        allow_missing_keys: bool = False,
        file_key: Hashable | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.file_key = file_key
        if len(self.keys) != 1:
            raise ValueError("MakePatchd makes the patch of one scan: give one key")
        self.preset = _preset(preset)
        self.mask_key, self.roi_key, self.spacing_key = mask_key, roi_key, spacing_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample with its scan replaced by a patch.

        Raises:
            KeyError: the scan is missing and `allow_missing_keys` is False.
            GeometryError: no affine, not in RAS order, or the mask lies elsewhere.
            UserError: whatever `make_patch` refuses.
        """
        sample = dict(data)
        for key in self.key_iterator(sample):
            volume = _volume(sample[key])
            mask = _mask(sample.pop(self.mask_key, None), volume)
            patch = make_patch(volume, mask, self.preset)
            if self.file_key is not None:
                sample[self.file_key] = str(sample[key].meta.get(_FILE, ""))
            sample |= {key: patch.image, self.roi_key: patch.roi, self.spacing_key: patch.spacing}
        return sample


class PatchToChannelsd(MapTransform):  # type: ignore[misc]
    """A patch as one tensor: image, region, and the spacing along x, y, z as constant channels.

    It takes what `MakePatchd` leaves in the sample; region and spacing are taken out.

    Args:
        keys: the key of the patch.
        roi_key: where the region is.
        spacing_key: where the spacing of the grid is.
        file_key: where the path of the scan is; it goes to `<key>_meta_dict`.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        roi_key: Hashable = "roi",
        spacing_key: Hashable = "spacing",
        file_key: Hashable = "file",
    ) -> None:
        super().__init__(keys)
        self.roi_key, self.spacing_key, self.file_key = roi_key, spacing_key, file_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample with its patch as (5, x, y, z), and the file under `<key>_meta_dict`."""
        sample = dict(data)
        region, spacing = sample.pop(self.roi_key), sample.pop(self.spacing_key)
        for key in self.key_iterator(sample):
            image = sample[key]
            constant = spacing[:, None, None, None].expand(3, *image.shape[1:])
            sample[key] = torch.cat([image, region, constant])
            sample[f"{key}_meta_dict"] = {_FILE: str(sample.pop(self.file_key, ""))}
        return sample


def _preset(given: str | Preset | Mapping[str, Any]) -> Preset:
    if isinstance(given, Preset):
        return given
    return load_preset(given) if isinstance(given, str) else parse_preset(dict(given))


def _volume(image: Any) -> Volume:
    if not isinstance(image, MetaTensor):
        raise GeometryError(
            "the scan carries no affine",
            why=f"It is a {type(image).__name__}, not a MetaTensor",
            todo="Load it with LoadScand, or with MONAI's LoadImaged",
        )
    affine = np.asarray(image.affine.cpu().numpy(), dtype=np.float64)
    if image.ndim != 4 or not _is_ras(affine):
        raise GeometryError(
            "the scan is not (channel, x, y, z) in RAS order",
            todo='Add EnsureChannelFirstd and Orientationd(axcodes="RAS") before MakePatchd',
        )
    meta = image.meta
    voxels = image.detach().cpu().as_tensor().numpy()
    origin = Provenance("monai", (), str(meta.get("sha256", "")))
    unit = str(meta.get("unit", "arbitrary"))
    return Volume(voxels, affine, str(meta.get("modality", "")) or None, unit, origin)


def _is_ras(affine: np.ndarray) -> bool:
    """Every voxel axis points most along its own world axis, in the positive direction."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    own = np.diagonal(directions)
    return bool(np.all(own > 0) and np.all(np.abs(directions).max(axis=0) == own))


def _mask(mask: Any, volume: Volume) -> np.ndarray | None:
    if mask is None:
        return None
    same_place = not isinstance(mask, MetaTensor) or np.allclose(
        mask.affine.cpu().numpy(), volume.affine, atol=1e-3
    )
    inside = np.asarray(mask.detach().cpu())[0] > 0
    if inside.shape != volume.voxels.shape[1:] or not same_place:
        raise GeometryError(
            "the mask does not lie on the grid of the scan",
            why=f"The mask has {inside.shape} voxels, the scan {volume.voxels.shape[1:]}",
            todo="Draw the mask on this scan, or resample it before",
        )
    if not inside.any():
        raise GeometryError("the mask is empty", todo="Mark the region, or leave the mask out")
    return inside
