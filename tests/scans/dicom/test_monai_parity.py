"""What MONAI's own DICOM readers make of plain series is what medfs makes of them."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medfs.core.shear import is_sheared
from medfs.scans import read_series

# MONAI's LoadImage builds all of its own readers, of which one warns where its codec is absent.
pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")

OBLIQUE = Rotation.from_euler("xyz", (20, -15, 35), degrees=True).as_matrix()
AXIAL, CORONAL = np.eye(3), np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]])
GRIDS = {"axial": AXIAL, "coronal": CORONAL, "oblique": OBLIQUE}


READERS = ["ITKReader", "PydicomReader"]
# In a process of its own: the extension modules of ITK end one in which warnings are errors.
PROGRAM = """
import sys
import numpy as np
from monai.transforms import LoadImage, Orientation
for folder in sys.argv[2:]:
    image = LoadImage(reader=sys.argv[1], ensure_channel_first=True)(folder)
    image = Orientation("RAS")(image)  # the affine is in RAS already
    np.savez(f"{folder}-{sys.argv[1]}.npz", voxels=image.numpy(), affine=image.affine.numpy())
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory, write_series, random_stack):
    def write(axes, lean=0.0, slices=6):
        folder = tmp_path_factory.mktemp("series")
        write_series(
            folder,
            random_stack(slices, 7, 5),
            orientation=np.r_[axes[:, 0], axes[:, 1]],
            step=2.5 * axes[:, 2] + lean * axes[:, 1],
            edit=lambda ds, k: setattr(ds, "InstanceNumber", k + 1),
        )
        return folder

    return write


@pytest.fixture(scope="module", params=READERS)
def by_monai(request, written):
    """Series by the name of their grid, each with what a reader of MONAI makes of it."""
    if request.param == "ITKReader":
        pytest.importorskip("itk")
    folders = {name: written(axes) for name, axes in GRIDS.items()}
    paths = [str(folder) for folder in folders.values()]
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, request.param, *paths]
    subprocess.run(command, check=True, capture_output=True)
    return {
        name: (folder, np.load(f"{folder}-{request.param}.npz")) for name, folder in folders.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("grid", GRIDS)
def test_plain_series_equal_those_of_monais_readers(by_monai, grid):
    folder, theirs = by_monai[grid]
    ours = read_series(folder)
    np.testing.assert_array_equal(theirs["voxels"], ours.voxels)
    np.testing.assert_allclose(theirs["affine"], ours.affine, atol=1e-4)


@pytest.mark.parametrize("lean", [0.0, 0.8])
def test_our_reader_in_load_imaged_equals_read_series(written, lean):
    from monai.transforms import LoadImaged

    from medfs.scans.monai import ScanReader

    folder = written(OBLIQUE, lean)
    loaded = LoadImaged("image", reader=ScanReader(), ensure_channel_first=True)(
        {"image": str(folder)}
    )["image"]
    volume = read_series(folder)
    np.testing.assert_array_equal(loaded.numpy(), volume.voxels)
    np.testing.assert_allclose(loaded.affine.numpy(), volume.affine)


def test_a_sheared_series_goes_through_orientation_and_spacing(written):
    """`Spacingd` keeps the shear of the grid; what it interpolates lies in the same place."""
    from monai.transforms import Compose, LoadImaged, Orientationd, Spacingd

    from medfs.scans.monai import ScanReader

    folder = written(AXIAL, lean=0.8, slices=12)
    volume = read_series(folder)
    assert is_sheared(volume.affine)
    pipeline = Compose(
        [
            LoadImaged("image", reader=ScanReader(), ensure_channel_first=True),
            Orientationd("image", axcodes="LPS"),
            Spacingd("image", pixdim=(0.25, 0.35, 1.25), mode="bilinear", align_corners=True),
        ]
    )
    out = pipeline({"image": str(folder)})["image"]
    np.testing.assert_allclose(out.pixdim.numpy(), (0.25, 0.35, 1.25), atol=1e-3)
    assert np.isfinite(out.numpy()).all()
    # The middle of the scan, in mm, is the middle of what came out.
    middles = [
        np.asarray(affine) @ [*((np.array(shape[1:]) - 1) / 2), 1]
        for affine, shape in ((volume.affine, volume.voxels.shape), (out.affine, out.shape))
    ]
    np.testing.assert_allclose(middles[0], middles[1], atol=0.7)
