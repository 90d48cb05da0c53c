"""The readers for MONAI pipelines: an `ImageReader` and a dictionary transform.

`LoadImaged(keys, reader=ScanReader())` keeps a pipeline as it is; `LoadScand` also checks that
masks lie on the grid of their scan.
"""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, PathLike
from monai.data import ImageReader, MetaTensor
from monai.transforms import MapTransform
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from medfs.core.errors import UsageError
from medfs.core.volumes import Volume
from medfs.scans.names import is_nifti
from medfs.scans.read import read_mask, read_volume


class ScanReader(ImageReader):  # type: ignore[misc]
    """Reads what `read_volume` reads, for `monai.transforms.LoadImage` and `LoadImaged`.

    Arrays are (x, y, z) in RAS order without a channel axis; the affine is in mm, RAS+.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether all of `filename` are NIfTI files or folders."""
        return all(Path(f).is_dir() or is_nifti(Path(f)) for f in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **_: Any) -> Volume:
        """Read one scan.

        Raises:
            UsageError: several paths; give one scan per key.
            UserError: whatever `read_volume` refuses.
        """
        paths = [Path(p) for p in ensure_tuple(data)]
        if len(paths) != 1:
            raise UsageError(
                "one key holds one scan",
                why=f"{len(paths)} paths were given",
                todo="Use one key per scan",
            )
        return read_volume(paths[0])

    def get_data(self, img: Volume) -> tuple[np.ndarray, dict[str, Any]]:
        """Voxels (x, y, z) and MONAI's metadata."""
        return img.voxels[0], _metadata(img)


class LoadScand(MapTransform):  # type: ignore[misc]
    """Load scans, and masks on the grid of the first scan, as MetaTensors (channel, x, y, z).

    Args:
        keys: keys that hold paths of scans.
        mask_keys: keys that hold paths of masks, drawn on the scan of the first key; 1 is inside.
        allow_missing_keys: leave out keys that a sample does not have, or holds as None.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask_keys: KeysCollection = (),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mask_keys: tuple[Hashable, ...] = ensure_tuple(mask_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample with paths replaced by MetaTensors.

        Raises:
            KeyError: a key is missing and `allow_missing_keys` is False.
            UserError: a scan or mask is refused.
        """
        sample = dict(data)
        grid: Volume | None = None
        for key in self.keys:
            if self._has(sample, key):
                volume = read_volume(Path(sample[key]))
                grid = grid or volume
                sample[key] = _tensor(volume.voxels, volume, str(sample[key]))
        for key in self.mask_keys:
            if self._has(sample, key) and grid is not None:
                mask = read_mask(Path(sample[key]), grid)[np.newaxis].astype(np.uint8)
                sample[key] = _tensor(mask, grid, str(sample[key]))
        return sample

    def _has(self, sample: Mapping[Hashable, Any], key: Hashable) -> bool:
        if sample.get(key) is not None:
            return True
        if self.allow_missing_keys:
            return False
        raise KeyError(f"{key!r} is missing in the sample")


def _tensor(voxels: np.ndarray, volume: Volume, path: str) -> MetaTensor:
    meta = _metadata(volume) | {
        MetaKeys.ORIGINAL_CHANNEL_DIM.value: 0,
        "filename_or_obj": path,
    }
    kept = voxels if voxels.dtype.kind == "u" and voxels.itemsize == 1 else _as_float(voxels)
    return MetaTensor(torch.from_numpy(kept), meta=meta)


def _as_float(voxels: np.ndarray) -> np.ndarray:
    # float32 is what MONAI's loaders give; torch lacks most unsigned types.
    return voxels.astype(np.float32, copy=False)


def _metadata(volume: Volume) -> dict[str, Any]:
    """MONAI's own keys, then what medfs adds."""
    return {
        MetaKeys.AFFINE.value: torch.from_numpy(volume.affine.copy()),
        MetaKeys.ORIGINAL_AFFINE.value: torch.from_numpy(volume.affine.copy()),
        MetaKeys.SPATIAL_SHAPE.value: np.asarray(volume.voxels.shape[1:]),
        MetaKeys.SPACE.value: SpaceKeys.RAS.value,
        MetaKeys.ORIGINAL_CHANNEL_DIM.value: float("nan"),  # MONAI's word for "no channel axis"
        "modality": volume.modality or "",
        "unit": volume.unit,
        "sha256": volume.provenance.sha256,
    }
