"""Helpers shared by the tests of `medfs.scans`: DICOM series written slice by slice."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

Edit = Callable[[Dataset, int], None]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared real data."""
    default = Path(__file__).parents[2].parent / "shared"
    folder = Path(os.environ.get("MEDFS_SHARED", default))
    if not (folder / "dicom").is_dir():
        pytest.skip("no shared data: set MEDFS_SHARED to the folder that holds dicom/ and cohorts/")
    return folder


@pytest.fixture(scope="session")
def pydicom_series() -> Path:
    """pydicom's own dicomdirtests, which come with its package."""
    from pydicom.data import get_testdata_file

    return Path(str(get_testdata_file("dicomdirtests/DICOMDIR"))).parent


def _slice(stored: np.ndarray, k: int, uid: str, grid: dict[str, Any]) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UID(CTImageStorage)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = UID(f"{uid}.{k + 1}")
    ds.SeriesInstanceUID, ds.FrameOfReferenceUID = UID(uid), UID(uid)
    ds.Modality, ds.ImageType, ds.SeriesDescription = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "test"
    ds.PhotometricInterpretation, ds.SamplesPerPixel = "MONOCHROME2", 1
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.ImagePositionPatient = [f"{v:.6f}" for v in grid["origin"] + k * grid["step"]]
    ds.ImageOrientationPatient = [f"{v:.10f}" for v in grid["orientation"]]
    ds.PixelSpacing = [f"{v:.6f}" for v in grid["spacing"]]
    ds.RescaleSlope, ds.RescaleIntercept = "1", "-1024"
    ds.PixelData = stored.astype("<i2").tobytes()
    return ds


@pytest.fixture(scope="session")
def write_series() -> Callable[..., None]:
    """`write_series(folder, stored)`: `stored` is (slice, row, column), int16, axial by default."""

    def write(
        folder: Path,
        stored: np.ndarray,
        *,
        orientation: Any = (1, 0, 0, 0, 1, 0),
        spacing: Any = (0.7, 0.5),
        origin: Any = (-10.0, 20.0, 5.0),
        step: Any = (0, 0, 2.0),
        names: list[str] | None = None,
        edit: Edit | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        uid = generate_uid(entropy_srcs=[str(folder)])[:50].rstrip(".")
        grid = {"orientation": np.array(orientation, float), "spacing": spacing}
        grid |= {"origin": np.array(origin, float), "step": np.array(step, float)}
        for k, image in enumerate(stored):
            ds = _slice(image, k, uid, grid)
            if edit is not None:
                edit(ds, k)
            name = names[k] if names else f"I{k:03d}"
            ds.save_as(folder / name, enforce_file_format=True)

    return write


@pytest.fixture(scope="session")
def random_stack() -> Callable[..., np.ndarray]:
    """`random_stack(slices, rows, columns, seed)` as int16."""

    def make(slices: int = 5, rows: int = 4, columns: int = 6, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.integers(-2000, 3000, (slices, rows, columns)).astype(np.int16)

    return make
