"""The whole suite runs with array shapes checked: a wrong annotation or a wrong shape is an error.

The import hook has to be there before the packages are imported, hence at the top of this file.
"""

import os
from pathlib import Path

import jaxtyping
import pytest

CHECKED = ("core", "mappers", "calibration", "preprocess", "features", "episodes")
jaxtyping.install_import_hook([f"medfs.{name}" for name in CHECKED], "beartype.beartype")

from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile(
    "quick",
    deadline=None,
    derandomize=True,
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared real data."""
    default = Path(__file__).parents[1].parent / "shared"
    folder = Path(os.environ.get("MEDFS_SHARED", default))
    if not (folder / "cohorts").is_dir():
        pytest.skip("no shared data: set MEDFS_SHARED to the folder that holds dicom/ and cohorts/")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """No test reads or writes the user's feature cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDFS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Small tensors: a second thread only waits, and on a busy machine it waits long."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
