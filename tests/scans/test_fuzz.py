"""Whatever the bytes: a typed error with reasons, or a volume that is right."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medfs.core.errors import MedfsError, ScanReadError
from medfs.scans import load_cohort, read_volume

sys.path.insert(0, str(Path(__file__).parent))

from scan_fuzz import archives, byte_damage, nifti_headers
from scan_fuzz import elements as dicom_elements
from scan_fuzz import judge as judging
from scan_fuzz.judge import RIGHT, Outcome, judge, write
from scan_fuzz.mutants import Mutant, mutant, seeds
from scan_fuzz.seeds import KINDS, all_seeds

SETTINGS = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
# The long run is `benchmarks/fuzz_scans.py`; the same numbers give the same mutants there.
SEED, PER_KIND = 0, 14


@pytest.fixture
def judged(tmp_path):
    def run(damaged: Mutant) -> Outcome:
        write(damaged, tmp_path / str(damaged.index))
        return judge(damaged, tmp_path / str(damaged.index))

    return run


def of(kind):
    if kind not in seeds():
        pytest.skip("its encoder is not installed")
    return seeds()[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_mutants(judged, kind):
    first, step = list(seeds().values()).index(of(kind)), len(seeds())
    for index in range(first, PER_KIND * step, step):
        damaged = mutant(SEED, index)
        outcome = judged(damaged)
        assert not outcome.is_finding, (index, damaged.damage, outcome)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_damaged_is_right(judged, kind):
    assert judged(Mutant(0, of(kind), of(kind).files, "none")).kind == RIGHT


def test_mutants_are_the_same_in_every_process():
    assert all_seeds() == seeds()
    assert set(seeds()) <= set(KINDS)
    assert mutant(3, 41) == mutant(3, 41)
    assert mutant(3, 41).files != mutant(4, 41).files
    damaged = [mutant(0, index) for index in range(200)]
    assert sum(m.files != m.seed.files for m in damaged) > 180


@pytest.mark.parametrize("kind", ["dicom explicit", "dicom enhanced", "dicomdir", "zip", "nifti"])
@pytest.mark.parametrize("fault", ["voxel", "place", "turned"])
def test_the_judge_sees_a_wrong_volume(judged, monkeypatch, kind, fault):
    def faulty(path):
        volume = read_volume(path)
        voxels, affine = volume.voxels.copy(), volume.affine.copy()
        if fault == "voxel":
            voxels[0, 2, 1, 3] += 1
        elif fault == "place":
            affine[0, 3] += 0.3
        else:
            voxels = voxels[:, ::-1]
        return replace(volume, voxels=voxels, affine=affine)

    monkeypatch.setattr(judging, "read_volume", faulty)
    seed = seeds()[kind]
    assert judged(Mutant(0, seed, seed.files, "none")).kind == "wrong"


OPERATIONS = [
    *((operation, "dicom explicit") for operation in byte_damage.OPERATIONS),
    *((operation, "nifti") for operation in nifti_headers.OPERATIONS),
    *((operation, "zip") for operation in archives.OPERATIONS),
]


@pytest.mark.parametrize(("operation", "kind"), OPERATIONS)
@pytest.mark.parametrize("number", range(5))
def test_every_damage_is_done_to_a_whole_file(operation, kind, number):
    """Elsewhere another replaces a damage that fails, which would hide one that never works."""
    seed = of(kind)
    content = seed.files[seed.mutable[0]]
    assert isinstance(operation(content, np.random.default_rng(number)), bytes)


@pytest.mark.parametrize("operation", dicom_elements.OPERATIONS)
@pytest.mark.parametrize("number", range(5))
def test_every_damage_of_elements_is_done(operation, number):
    seed = of("dicom explicit")
    file = dicom_elements.File(seed.files[seed.mutable[0]])
    assert file.join(operation(file, np.random.default_rng(number)))


class UnprintableError(ScanReadError):
    def __str__(self):
        return "\x1b[2J"


def test_values_of_headers_do_not_act_on_a_terminal():
    assert str(ScanReadError("a", why="it says \x1b[2J", todo="b")).isprintable()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError("x"), "unexpected"),
        (RecursionError(), "unexpected"),
        (ScanReadError("no reason", todo="none"), "unhelpful"),
        (UnprintableError("a", why="b", todo="c"), "unprintable"),
        (ScanReadError("a", why="b", todo="c"), "refused"),
    ],
)
def test_the_judge_sees_a_poor_error(judged, monkeypatch, error, kind):
    def fail(path):
        raise error

    monkeypatch.setattr(judging, "read_volume", fail)
    assert judged(mutant(0, 0)).kind == kind


@SETTINGS
@given(content=st.binary(max_size=800), suffix=st.sampled_from([".nii", ".nii.gz", ".hdr", ".dcm"]))
def test_random_bytes(content, suffix):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"a{suffix}").write_bytes(content)
        for path in (Path(folder) / f"a{suffix}", Path(folder)):
            try:
                volume = read_volume(path)
            except MedfsError:
                continue
            assert np.isfinite(volume.affine).all()


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
