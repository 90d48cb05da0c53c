"""Random geometries, and the writers of what the tests in this folder read back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

ENHANCED = {
    "CT": ("1.2.840.10008.5.1.4.1.1.2.1", "CTImageFrameTypeSequence"),
    "MR": ("1.2.840.10008.5.1.4.1.1.4.1", "MRImageFrameTypeSequence"),
}


@dataclass(frozen=True)
class Scene:
    """A grid as a scanner would have it: unit vectors and mm, LPS; `step` leads to the next slice.

    `order` is a shuffle of the slices, `tilt` the angle of `step` to the normal in degrees.
    """

    row: Any
    column: Any
    spacing: tuple[float, float]
    origin: Any
    step: Any
    shape: tuple[int, int, int]
    order: tuple[int, ...]
    tilt: float
    seed: int

    @property
    def grid(self) -> dict[str, Any]:
        """As `write_series` takes it."""
        return {
            "orientation": np.r_[self.row, self.column],
            "spacing": self.spacing,
            "origin": self.origin,
            "step": self.step,
        }

    @property
    def stored(self):
        rng = np.random.default_rng(self.seed)
        return rng.integers(-2000, 3000, self.shape).astype(np.int16)

    @property
    def names(self) -> list[str]:
        return [f"{n:04d}" for n in self.order]

    def points(self):
        """Where every stored voxel (slice, row, column) lies, RAS mm, from PS3.3 C.7.6.2.1.1."""
        k, r, c = (a[..., None] for a in np.meshgrid(*map(np.arange, self.shape), indexing="ij"))
        in_plane = c * self.row * self.spacing[1] + r * self.column * self.spacing[0]
        return (self.origin + in_plane + k * self.step) * [-1, -1, 1]


def _axes(turned, permutation, signs, angles):
    if turned:
        return Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    return np.eye(3)[:, list(permutation)] * np.array(signs)


def _scene(turned, permutation, signs, angles, pixels, gap, up, tilt, way, origin, shape, seed):
    axes = _axes(turned, permutation, signs, angles)
    row, column = axes[:, 0], axes[:, 1]
    lean = np.cos(way) * row + np.sin(way) * column
    step = gap * ((1 if up else -1) * np.cross(row, column) + np.tan(np.radians(tilt)) * lean)
    order = tuple(int(n) for n in np.random.default_rng(seed).permutation(shape[0]))
    return Scene(row, column, pixels, np.array(origin), step, shape, order, tilt, seed)


@pytest.fixture(scope="session")
def scenes():
    """A strategy: oblique or along the axes, in any order and direction, tilted or not."""
    signs = st.sampled_from([-1, 1])
    return st.builds(
        _scene,
        turned=st.booleans(),
        permutation=st.permutations(range(3)),
        signs=st.tuples(signs, signs, signs),
        angles=st.tuples(*[st.floats(-180, 180)] * 3),
        pixels=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)),
        gap=st.floats(0.2, 8),
        up=st.booleans(),
        tilt=st.one_of(st.just(0.0), st.floats(1, 30)),
        way=st.floats(0, 6.28),
        origin=st.tuples(*[st.floats(-500, 500)] * 3),
        shape=st.tuples(st.integers(3, 6), st.integers(2, 5), st.integers(2, 5)),
        seed=st.integers(0, 1000),
    )


@pytest.fixture(scope="session")
def in_place():
    """`in_place(volume, points, values)`: every value is found at its place in mm."""

    def check(volume, points, values):
        homogeneous = np.c_[points.reshape(-1, 3), np.ones(points.size // 3)]
        index = (homogeneous @ np.linalg.inv(volume.affine).T)[:, :3]
        nearest = np.rint(index).astype(int)
        assert np.abs(index - nearest).max() < 1e-3
        assert volume.voxels.size == values.size
        np.testing.assert_array_equal(volume.voxels[0][tuple(nearest.T)], values.ravel())

    return check


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _groups(scene, k, rescale):
    """Functional groups of the frame of slice k (PS3.3 C.7.6.16)."""
    slope, intercept = rescale
    return {
        "PlanePositionSequence": _item(
            ImagePositionPatient=[f"{v:.6f}" for v in scene.origin + k * scene.step]
        ),
        "PlaneOrientationSequence": _item(
            ImageOrientationPatient=[f"{v:.10f}" for v in (*scene.row, *scene.column)]
        ),
        "PixelMeasuresSequence": _item(
            PixelSpacing=[f"{v:.6f}" for v in scene.spacing], SliceThickness="3"
        ),
        "PixelValueTransformationSequence": _item(
            RescaleSlope=str(slope), RescaleIntercept=str(intercept), RescaleType="HU"
        ),
    }


def _functional(groups: dict[str, Dataset]) -> Dataset:
    return _item(**{name: Sequence([item]) for name, item in groups.items()})


def _image(modality: str, stored) -> Dataset:
    ds, uid = Dataset(), generate_uid()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = ENHANCED[modality][0]
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = uid
    ds.StudyInstanceUID = ds.SeriesInstanceUID = ds.FrameOfReferenceUID = uid
    ds.Modality, ds.ImageType = modality, ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.PhotometricInterpretation, ds.SamplesPerPixel = "MONOCHROME2", 1
    ds.NumberOfFrames, ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PixelData = stored.astype("<i2").tobytes()
    return ds


@pytest.fixture(scope="session")
def write_enhanced():
    """`write_enhanced(path, scene, slices, …)`: one multi-frame file; `slices[n]` is of frame n."""

    def write(
        path: Path,
        scene: Scene,
        slices: Any = None,
        *,
        stored: Any = None,
        modality: str = "CT",
        rescales: Any = None,
        shared: Any = ("PixelMeasuresSequence", "PlaneOrientationSequence"),
        frame: Any = lambda item, n: None,
        edit: Any = lambda ds: None,
    ) -> None:
        slices = scene.order if slices is None else slices
        stored = scene.stored[list(slices)] if stored is None else stored
        rescales = [(1, 0)] * len(slices) if rescales is None else rescales
        described = [_groups(scene, k, r) for k, r in zip(slices, rescales, strict=True)]
        ds = _image(modality, stored)
        ds.SharedFunctionalGroupsSequence = Sequence(
            [_functional({n: g for n, g in described[0].items() if n in shared})]
        )
        own = [_functional({n: g for n, g in d.items() if n not in shared}) for d in described]
        for n, item in enumerate(own):
            frame(item, n)
        ds.PerFrameFunctionalGroupsSequence = Sequence(own)
        edit(ds)
        ds.save_as(path, enforce_file_format=True)

    return write


@pytest.fixture(scope="session")
def plain_scene():
    """`plain_scene(slices, size)`: axial, of planes of size × size."""

    def make(slices: int = 4, size: int = 3) -> Scene:
        x, y, z = np.eye(3)
        order = tuple(range(slices))
        return Scene(x, y, (0.7, 0.5), np.zeros(3), 2 * z, (slices, size, size), order, 0.0, 0)

    return make


@pytest.fixture(scope="session")
def item():
    """`item(Keyword=value)`: a data set, as it lies in a sequence."""
    return _item
