"""Whatever the geometry and whatever the form of the files: every voxel stays where it was."""

import tempfile
from itertools import pairwise
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sequence import Sequence

from medfs.core.errors import GeometryError, ScanReadError, UsageError
from medfs.core.shear import shear_degrees
from medfs.scans import read_series
from medfs.scans.options import ReadOptions

RESCALES = st.tuples(st.sampled_from([1, 0.5, 2.25, -1.5]), st.sampled_from([0, -1024, 0.5, 7]))


@given(data=st.data())
def test_single_frames_stay_in_place(scenes, write_series, in_place, data):
    scene = data.draw(scenes)

    def number(ds, k):
        ds.InstanceNumber = scene.order[-k]

    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder) / "s", scene.stored, names=scene.names, edit=number, **scene.grid)
        volume = read_series(Path(folder) / "s")
    in_place(volume, scene.points(), scene.stored.astype(int) - 1024)
    assert nibabel.aff2axcodes(volume.affine) == ("R", "A", "S")
    # Row and column are at right angles: the box of unit vectors shrinks by the lean alone.
    volume_of_units = abs(np.linalg.det(volume.affine[:3, :3] / volume.spacing))
    assert volume_of_units == pytest.approx(np.cos(np.radians(scene.tilt)), abs=1e-4)
    assert [what for what, _ in volume.provenance.notes] == ["tilt"] * (scene.tilt > 0)


@given(data=st.data())
def test_one_enhanced_file_stays_in_place(scenes, write_enhanced, in_place, data):
    scene = data.draw(scenes)
    modality = data.draw(st.sampled_from(["CT", "MR"]))
    groups = ("PixelMeasuresSequence", "PlaneOrientationSequence")
    shared = data.draw(st.sets(st.sampled_from(groups)))
    rescales = data.draw(st.lists(RESCALES, min_size=scene.shape[0], max_size=scene.shape[0]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        write_enhanced(path, scene, modality=modality, rescales=rescales, shared=shared)
        volume = read_series(path)
    slopes, intercepts = np.array(rescales, float).T[..., None, None]
    expected = np.empty(scene.shape)
    expected[list(scene.order)] = scene.stored[list(scene.order)] * slopes + intercepts
    in_place(volume, scene.points(), expected)
    assert (volume.modality, volume.unit) == (modality, "HU" if modality == "CT" else "arbitrary")


@given(data=st.data())
def test_a_shared_rescale_is_that_of_every_frame(scenes, write_enhanced, in_place, data):
    scene = data.draw(scenes)
    shared = ("PixelValueTransformationSequence", "PixelMeasuresSequence")
    with tempfile.TemporaryDirectory() as folder:
        rescales = [(2, -3)] * scene.shape[0]
        write_enhanced(Path(folder) / "f", scene, rescales=rescales, shared=shared)
        volume = read_series(Path(folder) / "f")
    in_place(volume, scene.points(), scene.stored * 2.0 - 3)


@given(data=st.data())
def test_correcting_a_tilt_keeps_the_slices_and_their_middle(scenes, write_series, data):
    scene = data.draw(scenes)
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder) / "s", scene.stored, **scene.grid)
        kept = read_series(Path(folder) / "s")
        straight = read_series(Path(folder) / "s", ReadOptions(tilt="correct"))
    assert shear_degrees(straight.affine) == pytest.approx(0, abs=0.1)
    if not scene.tilt:
        np.testing.assert_array_equal(straight.voxels, kept.voxels)
    middles = [v.affine @ [*(np.array(v.voxels.shape[1:]) - 1) / 2, 1] for v in (kept, straight)]
    # Shifts of less than a thousandth of a pixel are not resampled.
    np.testing.assert_allclose(middles[0], middles[1], atol=0.005)


# 4D: volume v of a series gets these attributes, and in the last case its instance number alone.
TELLS = {
    "AcquisitionTime": lambda v: f"12000{v}.5",
    "AcquisitionNumber": lambda v: v + 1,
    "EchoTime": lambda v: 10 + 2.5 * v,
    "DiffusionBValue": lambda v: 500.0 * v,
    "TemporalPositionIdentifier": lambda v: v + 1,
    "TriggerTime": lambda v: 100 * v,
    "InstanceNumber": None,
}


def write_repeats(write_series, folder, stored, tell, left_out=()):
    """`stored` is (volume, slice, row, column); `left_out` holds pairs of (volume, slice)."""
    count = stored.shape[1]
    for v, volume in enumerate(stored):

        def edit(ds, k, v=v):
            ds.SOPInstanceUID = f"1.2.{v}.{k + 1}"
            ds.InstanceNumber = v * count + k + 1
            if TELLS[tell] is not None:
                ds.InstanceNumber = 1
                setattr(ds, tell, TELLS[tell](v))

        write_series(folder, volume, names=[f"{k}-{9 - v}" for k in range(count)], edit=edit)
    for v, k in left_out:
        (folder / f"{k}-{9 - v}").unlink()


def series_of(volumes, slices, seed=0):
    shape = (volumes, slices, 2, 3)
    return np.random.default_rng(seed).integers(-999, 999, shape).astype(np.int16)


def as_stored(volume):
    """(slice, row, column), of the axial grid that `write_series` writes by default."""
    return volume.voxels[0][::-1, ::-1].transpose(2, 1, 0) + (1024 if volume.unit == "HU" else 0)


@pytest.mark.parametrize("tell", TELLS)
def test_four_dimensions_are_read_by_rule_only(tmp_path, write_series, tell):
    stored = series_of(3, 4)
    write_repeats(write_series, tmp_path / "s", stored, tell)
    with pytest.raises(GeometryError, match=r"4D.* 3 volumes"):
        read_series(tmp_path / "s")
    for index in (0, 1, 2):
        volume = read_series(tmp_path / "s", ReadOptions(volume=index))
        np.testing.assert_array_equal(as_stored(volume), stored[index])
        assert len(volume.provenance.files) == 12
    first = read_series(tmp_path / "s", ReadOptions(volume="first"))
    np.testing.assert_array_equal(as_stored(first), stored[0])
    mean = read_series(tmp_path / "s", ReadOptions(volume="mean"))
    np.testing.assert_allclose(as_stored(mean), stored.mean(axis=0), atol=1e-3)
    with pytest.raises(UsageError, match=r"no volume 3"):
        read_series(tmp_path / "s", ReadOptions(volume=3))


@pytest.mark.parametrize("tell", TELLS)
@given(data=st.data())
def test_four_dimensions_that_are_not_complete_are_refused(write_series, tell, data):
    lacking = (data.draw(st.integers(0, 2)), data.draw(st.integers(0, 3)))
    with tempfile.TemporaryDirectory() as folder:
        write_repeats(write_series, Path(folder) / "s", series_of(3, 4), tell, [lacking])
        with pytest.raises(GeometryError, match=r"not complete"):
            read_series(Path(folder) / "s", ReadOptions(volume="mean"))


@pytest.mark.parametrize("tell", ["EchoTime", "DiffusionBValue", "TemporalPositionIdentifier"])
def test_as_many_images_everywhere_are_not_complete_if_they_are_of_others(
    tmp_path, write_series, tell
):
    """Every position lacks one image, but not of the same volume: two remain everywhere."""
    left_out = [(0, 0), (1, 1), (2, 2), (0, 3)]
    write_repeats(write_series, tmp_path / "s", series_of(3, 4), tell, left_out)

    def others(path):
        import pydicom

        ds = pydicom.dcmread(path)
        ds.InstanceNumber = int(path.name[0]) * 10 + int(path.name[2])
        ds.save_as(path)

    for path in (tmp_path / "s").iterdir():
        others(path)
    with pytest.raises(GeometryError, match=r"differ in"):
        read_series(tmp_path / "s", ReadOptions(volume="first"))


def test_an_index_into_a_series_of_one_volume(tmp_path, write_series, random_stack):
    write_series(tmp_path / "s", random_stack())
    plain = read_series(tmp_path / "s")
    for volume in (0, "first", "mean"):
        same = read_series(tmp_path / "s", ReadOptions(volume=volume))
        np.testing.assert_array_equal(same.voxels, plain.voxels)
    with pytest.raises(UsageError, match=r"no volume 1\. It holds 1"):
        read_series(tmp_path / "s", ReadOptions(volume=1))


@pytest.mark.parametrize(
    ("tag", "name"), [("EchoTime", "EchoTime"), ("DiffusionBValue", "b-value")]
)
def test_echoes_or_b_values_that_take_turns_along_the_stack(
    tmp_path, write_series, random_stack, tag, name
):
    write_series(
        tmp_path / "s", random_stack(), edit=lambda ds, k: setattr(ds, tag, 10.0 * (k % 2 + 1))
    )
    with pytest.raises(GeometryError, match=rf"differ in {name}.*2 values: 10.0, 20.0"):
        read_series(tmp_path / "s")


def mixed_components(write_series, folder, letters="MP"):
    stored = series_of(len(letters), 4)
    for letter, volume in zip(letters, stored, strict=True):

        def edit(ds, k, letter=letter):
            ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.4", "MR"
            ds.ImageType = ["ORIGINAL", "PRIMARY", letter, "ND"]
            ds.SOPInstanceUID = f"1.2.{letters.index(letter)}.{k + 1}"

        write_series(folder, volume, names=[f"{k}{letter}" for k in range(4)], edit=edit)
    return stored + np.int16(-1024)


def test_magnitude_is_taken_where_a_series_holds_its_phase_too(tmp_path, write_series):
    magnitude, phase = mixed_components(write_series, tmp_path / "s")
    volume = read_series(tmp_path / "s")
    np.testing.assert_array_equal(as_stored(volume), magnitude)
    assert volume.provenance.choice == "the magnitude images of the series"
    assert volume.provenance.skipped[0][1] == "not magnitude"
    other = read_series(tmp_path / "s", ReadOptions(component="phase"))
    np.testing.assert_array_equal(as_stored(other), phase)
    with pytest.raises(GeometryError, match=r"no volume fits the rules.*not real"):
        read_series(tmp_path / "s", ReadOptions(component="real"))


def test_real_and_imaginary_parts_without_magnitude_are_no_choice(tmp_path, write_series):
    mixed_components(write_series, tmp_path / "s", "RI")
    with pytest.raises(GeometryError, match=r"2 volumes fit.*imaginary.*real"):
        read_series(tmp_path / "s")


def test_a_broken_phase_does_not_block_a_rule_for_magnitude(tmp_path, write_series):
    magnitude, _ = mixed_components(write_series, tmp_path / "s")
    (tmp_path / "s" / "1P").unlink()
    with pytest.raises(GeometryError, match=r"one of them cannot be used"):
        read_series(tmp_path / "s")
    volume = read_series(tmp_path / "s", ReadOptions(component="magnitude"))
    np.testing.assert_array_equal(as_stored(volume), magnitude)


def test_images_that_do_not_say_what_they_are_are_no_phase(tmp_path, write_series, random_stack):
    write_series(tmp_path / "s", random_stack())
    read_series(tmp_path / "s", ReadOptions(component="magnitude"))
    with pytest.raises(GeometryError, match=r"holds magnitude, not phase"):
        read_series(tmp_path / "s", ReadOptions(component="phase"))


@pytest.mark.parametrize(
    ("sequence", "keyword", "values"),
    [
        ("FrameContentSequence", "TemporalPositionIndex", (1, 2)),
        ("MREchoSequence", "EffectiveEchoTime", (4.6, 9.2)),
        ("MRDiffusionSequence", "DiffusionBValue", (0.0, 1000.0)),
    ],
)
def test_four_dimensions_in_one_enhanced_file(
    tmp_path, plain_scene, write_enhanced, item, sequence, keyword, values
):
    scene, rng = plain_scene(), np.random.default_rng(0)
    stored = rng.integers(-99, 99, (2, *scene.shape)).astype(np.int16)
    frames = [(v, k) for v in (0, 1) for k in range(4)]
    rng.shuffle(frames)

    def frame(own, n):
        setattr(own, sequence, Sequence([item(**{keyword: values[frames[n][0]]})]))

    write_enhanced(
        tmp_path / "f",
        scene,
        [k for _, k in frames],
        stored=np.stack([stored[v, k] for v, k in frames]),
        modality="MR",
        frame=frame,
    )
    with pytest.raises(GeometryError, match=r"4D.* 2 volumes"):
        read_series(tmp_path / "f")
    for index in (0, 1):
        volume = read_series(tmp_path / "f", ReadOptions(volume=index))
        np.testing.assert_array_equal(as_stored(volume), stored[index])


def test_the_thickness_of_an_enhanced_file_is_that_of_its_frames(
    tmp_path, plain_scene, write_enhanced
):
    write_enhanced(tmp_path / "f", plain_scene())
    assert read_series(tmp_path / "f", ReadOptions(thickness_mm=(2.5, 3.5))).voxels.size
    with pytest.raises(GeometryError, match=r"thickness_mm of 3 is not within 0 and 2"):
        read_series(tmp_path / "f", ReadOptions(thickness_mm=(0, 2)))


def drop_position(ds):
    del ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def damage(sequence, keyword, value):
    def edit(ds):
        group = ds.PerFrameFunctionalGroupsSequence[1][sequence].value[0]
        element = group[keyword]
        element._value = value

    return edit


@pytest.mark.parametrize(
    ("edit", "error", "words"),
    [
        (lambda ds: setattr(ds, "NumberOfFrames", 0), ScanReadError, "declares 0 frames"),
        (lambda ds: setattr(ds, "NumberOfFrames", -4), ScanReadError, "declares -4 frames"),
        (lambda ds: setattr(ds, "NumberOfFrames", 5), ScanReadError, "declares 5.* describes 4"),
        (lambda ds: delattr(ds, "PerFrameFunctionalGroupsSequence"), ScanReadError, "describes 0"),
        (drop_position, GeometryError, "ImagePositionPatient is missing in 1 of 4"),
        (damage("PlanePositionSequence", "ImagePositionPatient", [1, 2]), GeometryError, "damaged"),
        (damage("PlanePositionSequence", "ImagePositionPatient", 3), GeometryError, "damaged"),
        (
            damage("PixelValueTransformationSequence", "RescaleSlope", 0),
            ScanReadError,
            "rescale of an image is not usable",
        ),
    ],
)
def test_an_enhanced_file_that_contradicts_itself(
    tmp_path, plain_scene, write_enhanced, edit, error, words
):
    write_enhanced(tmp_path / "f", plain_scene(), edit=edit)
    with pytest.raises(error, match=words):
        read_series(tmp_path / "f")


def test_numbers_that_are_none_spoil_their_own_series_alone(
    tmp_path, plain_scene, write_enhanced, write_series, random_stack
):
    """An enhanced file is understood late; that must not take down the folder."""
    (tmp_path / "bad").mkdir()
    write_enhanced(tmp_path / "bad" / "f", plain_scene(), rescales=[(12345678, 0)] * 4)
    content = (tmp_path / "bad" / "f").read_bytes()
    (tmp_path / "bad" / "f").write_bytes(content.replace(b"12345678", b"12x45678"))
    write_series(tmp_path / "good", random_stack())
    with pytest.raises(GeometryError, match=r"one of them cannot be used.*12x45678"):
        read_series(tmp_path)
    assert read_series(tmp_path, ReadOptions(not_image_type=("NONE",))).voxels.size


def test_heights_rise_with_the_last_axis(tmp_path, write_series, random_stack):
    """A golden beside the laws: feet first, upside down, numbered backwards."""
    stored = random_stack(slices=3)
    write_series(
        tmp_path / "s", stored, orientation=(-1, 0, 0, 0, -1, 0), origin=(5, 5, 9), step=(0, 0, -2)
    )
    volume = read_series(tmp_path / "s")
    np.testing.assert_array_equal(volume.voxels[0], stored[::-1].transpose(2, 1, 0) - 1024)
    heights = [(volume.affine @ [0, 0, k, 1])[2] for k in range(3)]
    assert all(b - a == pytest.approx(2) for a, b in pairwise(heights))
    np.testing.assert_allclose(volume.affine[:3, 3], (-5, -5, 5))
