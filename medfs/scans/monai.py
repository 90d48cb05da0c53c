"""The readers for MONAI pipelines: an `ImageReader` and a dictionary transform.

`LoadImaged(keys, reader=ScanReader())` keeps a pipeline as it is; `LoadScand` also checks that
masks lie on the grid of their scan. Both take the rules for DICOM series as keywords, so that a
bundle states them as plain data: `{"_target_": "ScanReader", "tilt": "correct"}`.
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
from medfs.scans.masks import read_roi
from medfs.scans.masks.choice import Label
from medfs.scans.names import is_archive, is_dicom, is_nifti
from medfs.scans.options import DEFAULT, ReadOptions, parse_options
from medfs.scans.read import read_volume

Notes = tuple[tuple[str, str], ...]


class ScanReader(ImageReader):  # type: ignore[misc]
    """Reads what `read_volume` reads, for `monai.transforms.LoadImage` and `LoadImaged`.

    Arrays are (x, y, z) in RAS order without a channel axis; the affine is in mm, RAS+.

    Args:
        options: which DICOM series, and what to do with 4D, tilt and PET.
        rules: the same one by one, as in a file of rules: `tilt="correct", volume="first"`.

    Raises:
        ConfigError: an unknown rule, or a value of the wrong kind.
        UsageError: both `options` and rules.
    """

    def __init__(self, options: ReadOptions | None = None, **rules: Any) -> None:
        super().__init__()
        self.options = _options(options, rules)

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether all of `filename` are folders, zips, NIfTI or DICOM files."""
        return all(_is_scan(Path(f)) for f in ensure_tuple(filename))

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
        return read_volume(paths[0], self.options)

    def get_data(self, img: Volume) -> tuple[np.ndarray, dict[str, Any]]:
        """Voxels (x, y, z) and MONAI's metadata."""
        return img.voxels[0], _metadata(img, img.provenance.notes)


class LoadScand(MapTransform):  # type: ignore[misc]
    """Load scans, and masks on the grid of the first scan, as MetaTensors (channel, x, y, z).

    Args:
        keys: keys that hold paths of scans.
        mask_keys: keys that hold paths of masks, drawn on the scan of the first key; 1 is inside.
        allow_missing_keys: leave out keys that a sample does not have, or holds as None.
        mask_label: name or number of the region, in masks that hold several.
        options: which DICOM series, and what to do with 4D, tilt and PET.
        rules: the same one by one, as in a file of rules: `tilt="correct", volume="first"`.

    Raises:
        ConfigError: an unknown rule, or a value of the wrong kind.
        UsageError: both `options` and rules.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask_keys: KeysCollection = (),
        allow_missing_keys: bool = False,
        mask_label: Label = None,
        options: ReadOptions | None = None,
        **rules: Any,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mask_label = mask_label
        self.options = _options(options, rules)
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
                volume = read_volume(Path(sample[key]), self.options)
                grid = grid or volume
                notes = volume.provenance.notes
                sample[key] = _tensor(volume.voxels, volume, notes, str(sample[key]))
        for key in self.mask_keys:
            if self._has(sample, key) and grid is not None:
                roi = read_roi(Path(sample[key]), grid, label=self.mask_label)
                mask = roi.mask[np.newaxis].astype(np.uint8)
                sample[key] = _tensor(mask, grid, tuple(roi.notes), str(sample[key]))
        return sample

    def _has(self, sample: Mapping[Hashable, Any], key: Hashable) -> bool:
        if sample.get(key) is not None:
            return True
        if self.allow_missing_keys:
            return False
        raise KeyError(f"{key!r} is missing in the sample")


def _options(options: ReadOptions | None, rules: Mapping[str, Any]) -> ReadOptions:
    if options is None:
        as_in_files = {k: list(v) if isinstance(v, tuple) else v for k, v in rules.items()}
        return parse_options(as_in_files) if rules else DEFAULT
    if rules:
        raise UsageError(
            "rules are given twice",
            why=f"As options, and as {', '.join(sorted(rules))}",
            todo="Give ReadOptions, or single rules",
        )
    return options


def _is_scan(path: Path) -> bool:
    return path.is_dir() or is_nifti(path) or is_archive(path) or is_dicom(path)


def _tensor(voxels: np.ndarray, volume: Volume, notes: Notes, path: str) -> MetaTensor:
    meta = _metadata(volume, notes) | {
        MetaKeys.ORIGINAL_CHANNEL_DIM.value: 0,
        "filename_or_obj": path,
    }
    kept = voxels if voxels.dtype.kind == "u" and voxels.itemsize == 1 else _as_float(voxels)
    return MetaTensor(torch.from_numpy(kept), meta=meta)


def _as_float(voxels: np.ndarray) -> np.ndarray:
    # float32 is what MONAI's loaders give; torch lacks most unsigned types.
    return voxels.astype(np.float32, copy=False)


def _metadata(volume: Volume, notes: Notes) -> dict[str, Any]:
    """MONAI's own keys, then what medfs adds; notes are one text, since batches stack no others."""
    return {
        MetaKeys.AFFINE.value: torch.from_numpy(volume.affine.copy()),
        MetaKeys.ORIGINAL_AFFINE.value: torch.from_numpy(volume.affine.copy()),
        MetaKeys.SPATIAL_SHAPE.value: np.asarray(volume.voxels.shape[1:]),
        MetaKeys.SPACE.value: SpaceKeys.RAS.value,
        MetaKeys.ORIGINAL_CHANNEL_DIM.value: float("nan"),  # MONAI's word for "no channel axis"
        "modality": volume.modality or "",
        "unit": volume.unit,
        "sha256": volume.provenance.sha256,
        "choice": volume.provenance.choice,
        "notes": "; ".join(f"{what}: {why}" for what, why in notes),
    }
