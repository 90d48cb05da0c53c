"""What stored pixel values mean: bits, rescale and unit."""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from medfs.core.errors import ScanReadError


def clear_unused_bits(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Keep BitsStored bits and extend the sign: old files keep overlays above (PS3.5 8.1.1).

    Raises:
        ScanReadError: stored bits that do not start at bit 0, or do not fit the number type.
    """
    bits, high = int(dataset.BitsStored), int(dataset.HighBit)
    unused = stored.dtype.itemsize * 8 - bits
    if stored.dtype.kind not in "iu" or unused < 0 or high != bits - 1 or bits < 1:
        raise ScanReadError(
            "the number format of the pixels is unusual",
            why=f"{bits} bits stored, high bit {high}, decoded as {stored.dtype}",
            todo="Export the series again in another format",
        )
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    return (native << unused) >> unused if unused else native


def rescale(name: str, dataset: Dataset) -> tuple[float, float]:
    """Slope and intercept of the image called `name`; 1 and 0 where it has none (PS3.3 C.11.1).

    Raises:
        ScanReadError: zero, not a number, or a lookup table instead.
    """
    if dataset.get("ModalityLUTSequence"):
        raise ScanReadError(
            "the intensities need a lookup table, which is not read yet",
            why=f"{name} has a ModalityLUTSequence",
            todo="Export the series with a linear rescale",
        )
    slope = _number(dataset, "RescaleSlope", 1.0)
    intercept = _number(dataset, "RescaleIntercept", 0.0)
    if not np.isfinite([slope, intercept]).all() or slope == 0:
        raise ScanReadError(
            "the rescale of an image is not usable",
            why=f"{name} has slope {slope} and intercept {intercept}",
            todo="Export the series again",
        )
    return slope, intercept


def _number(dataset: Dataset, tag: str, default: float) -> float:
    value: Any = dataset.get(tag)
    return default if value is None or value == "" else float(value)


def is_hounsfield(dataset: Dataset) -> bool:
    """CT with a rescale whose type is HU, or not stated, which means HU (PS3.3 C.8.2.1)."""
    if dataset.get("Modality") != "CT" or dataset.get("RescaleIntercept") in (None, ""):
        return False
    return str(dataset.get("RescaleType") or "HU").strip().upper() == "HU"
