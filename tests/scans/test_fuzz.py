"""Whatever the bytes: a typed error, or a volume that is sound."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medfs.core.errors import MedfsError
from medfs.scans import load_cohort, read_volume, write_nifti

SETTINGS = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
# (where, as a share of the length, new byte)
edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8)


def mutate(raw, changes, keep=1.0, within=None):
    out = bytearray(raw)
    for where, value in changes:
        out[min(int(where * (within or len(out))), len(out) - 1)] = value
    return bytes(out[: int(len(out) * keep)])


def assert_sound_or_refused(path):
    try:
        volume = read_volume(path)
    except MedfsError:
        return
    assert volume.voxels.ndim == 4
    assert np.isfinite(volume.affine).all()
    assert min(volume.spacing) > 0
    assert np.isfinite(volume.voxels.astype(float)).all()


@pytest.fixture(scope="module")
def nifti(tmp_path_factory):
    path = tmp_path_factory.mktemp("nifti") / "a.nii"
    voxels = np.arange(60).reshape(3, 4, 5)
    write_nifti(path, voxels, np.diag([1, 2, 3.0, 1]), np.float32)
    return path.read_bytes()


@pytest.fixture(scope="module")
def series(tmp_path_factory, write_series, random_stack):
    folder = tmp_path_factory.mktemp("series") / "s"
    write_series(folder, random_stack(slices=3, rows=3, columns=3))
    return [p.read_bytes() for p in sorted(folder.iterdir())]


@SETTINGS
@given(content=st.binary(max_size=800), suffix=st.sampled_from([".nii", ".nii.gz", ".hdr", ".dcm"]))
def test_random_bytes(content, suffix):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"a{suffix}").write_bytes(content)
        assert_sound_or_refused(Path(folder) / f"a{suffix}")
        assert_sound_or_refused(Path(folder))


@SETTINGS
@given(changes=edits, keep=st.sampled_from([1, 1, 1, 0.9, 0.4]), packed=st.booleans())
def test_mutated_nifti(nifti, changes, keep, packed):
    raw = mutate(nifti, changes, keep, within=352)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.nii.gz" if packed else "a.nii")
        path.write_bytes(gzip.compress(raw) if packed else raw)
        assert_sound_or_refused(path)


@SETTINGS
@given(changes=edits, keep=st.sampled_from([1, 1, 0.9, 0.5]))
def test_mutated_gzip(nifti, changes, keep):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nii.gz"
        path.write_bytes(mutate(gzip.compress(nifti), changes, keep))
        assert_sound_or_refused(path)


@SETTINGS
@given(changes=edits, keep=st.sampled_from([1, 1, 1, 0.9, 0.4]), which=st.integers(0, 2))
def test_mutated_dicom(series, changes, keep, which):
    with tempfile.TemporaryDirectory() as folder:
        for k, raw in enumerate(series):
            content = mutate(raw, changes, keep) if k == which else raw
            (Path(folder) / f"{k}").write_bytes(content)
        assert_sound_or_refused(Path(folder))


@SETTINGS
@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_random_manifest(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.csv"
        path.write_bytes(b"image,label\n" + content)
        try:
            cohort = load_cohort(path)
        except MedfsError:
            return
        assert all(case.label for case in cohort.cases)
