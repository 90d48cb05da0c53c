"""Which volume is meant: every rule by itself, and what may never be passed over."""

import shutil

import numpy as np
import pytest

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans import read_series
from medfs.scans.options import ReadOptions, parse_options

MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def add(tmp_path, write_series, random_stack):
    """`add(name, slices, …)`: a series of its own in a folder of its own, all of one study."""

    def write(name, slices=4, *, study="1.2.3", then=None, **attributes):
        def edit(ds, k):
            ds.StudyInstanceUID, ds.SeriesDescription = study, name
            for keyword, value in attributes.items():
                setattr(ds, keyword, value)
            if then is not None:
                then(ds, k)

        seed = sum(map(ord, name))
        write_series(tmp_path / "all" / name, random_stack(slices, seed=seed), edit=edit)
        return tmp_path / "all"

    return write


@pytest.fixture
def alone():
    """`alone(root, name)`: the voxels of one series read by itself."""
    return lambda root, name: read_series(root / name).voxels


def three(add):
    """Told apart by every rule: `b` is the one that each test below leaves."""
    add("a", 4, SliceThickness="5", SeriesNumber="3")
    add(
        "b",
        6,
        SliceThickness="1.25",
        SeriesNumber="12",
        SOPClassUID=MR,
        Modality="MR",
        ImageType=["ORIGINAL", "PRIMARY", "P"],
    )
    return add("c", 5, SliceThickness="2.5", SeriesNumber="7")


@pytest.mark.parametrize(
    "rules",
    [
        {"modality": "mr"},
        {"modality": ["PT", "MR"]},
        {"description": "B"},
        {"description": ["?z*", "[b]"]},
        {"not_description": ["A", "c*"]},
        {"image_type": ["primary", "P"]},
        {"not_image_type": "axial"},
        {"slices": {"min": 6}},
        {"slices": {"min": 5.5, "max": 6}},
        {"thickness_mm": {"max": 2}},
        {"thickness_mm": {"min": 1.25, "max": 1.25}},
        {"series_number": 12},
        {"series_number": "0012"},
        {"component": "phase"},
        {"prefer": "thinnest"},
        {"prefer": "most-slices"},
        {"prefer": "highest-number"},
        {"prefer": ["most-slices", "thickest"]},
    ],
    ids=str,
)
def test_every_rule_leaves_one(add, alone, rules):
    root = three(add)
    with pytest.raises(GeometryError, match="3 volumes fit"):
        read_series(root)
    volume = read_series(root, parse_options(rules))
    np.testing.assert_array_equal(volume.voxels, alone(root, "b"))
    told = dict(volume.provenance.skipped)
    assert len(told) == 2
    assert all(why for why in told.values())
    if "prefer" in rules:
        assert volume.provenance.choice.startswith("preferred by the rule")
    else:
        assert volume.provenance.choice == "the only volume"


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        ({"prefer": "thickest"}, "a"),
        ({"prefer": "fewest-slices"}, "a"),
        ({"prefer": "lowest-number"}, "a"),
        ({"prefer": ["lowest-number"], "slices": {"min": 5}}, "c"),
        ({"prefer": ["thinnest"], "modality": "CT"}, "c"),
    ],
    ids=str,
)
def test_preferences_and_rules_together(add, alone, rules, name):
    root = three(add)
    np.testing.assert_array_equal(read_series(root, parse_options(rules)).voxels, alone(root, name))


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"modality": "PT"}, "its modality is none of PT"),
        ({"description": "z*"}, r"its description matches none of z\*"),
        ({"not_description": "*"}, r"its description matches one of \*"),
        ({"image_type": "DERIVED"}, "its ImageType lacks one of DERIVED"),
        ({"not_image_type": "ORIGINAL"}, "its ImageType has one of ORIGINAL"),
        ({"slices": {"min": 99}}, "its slices of 4 is not within 99 and inf"),
        ({"thickness_mm": {"max": 1}}, "its thickness_mm of 5 is not within 0 and 1"),
        ({"series_number": 1}, "its number is not 1"),
        ({"component": "real"}, "it holds magnitude, not real"),
    ],
    ids=str,
)
def test_rules_that_leave_none_say_why_for_each(add, rules, words):
    root = three(add)
    with pytest.raises(GeometryError, match=words) as caught:
        read_series(root, parse_options(rules))
    told = str(caught.value)
    assert "no volume fits the rules" in told
    assert all(f"'{name}' (" in told for name in "abc")


def test_the_first_preference_that_decides(add, alone):
    add("a", 4, SliceThickness="1", SeriesNumber="5")
    add("b", 4, SliceThickness="1", SeriesNumber="4")
    root = add("c", 4, SliceThickness="2", SeriesNumber="3")
    with pytest.raises(GeometryError, match="2 volumes fit"):
        read_series(root, ReadOptions(prefer=("thinnest",)))
    both = read_series(root, ReadOptions(prefer=("thinnest", "most-slices", "lowest-number")))
    np.testing.assert_array_equal(both.voxels, alone(root, "b"))


def test_what_one_series_does_not_state_decides_nothing(add, alone):
    add("a", 4, SliceThickness="1", SeriesNumber="2")
    root = add("b", 5)
    for rule in ("thinnest", "thickest", "lowest-number", "highest-number"):
        with pytest.raises(GeometryError, match="2 volumes fit"):
            read_series(root, ReadOptions(prefer=(rule,)))
    volume = read_series(root, ReadOptions(prefer=("thinnest", "most-slices")))
    np.testing.assert_array_equal(volume.voxels, alone(root, "b"))
    with pytest.raises(GeometryError, match="does not state its thickness_mm"):
        read_series(root, ReadOptions(thickness_mm=(2, 9)))


def test_series_number_zero_is_the_lowest(add, alone):
    add("a", SeriesNumber="0")
    root = add("b", SeriesNumber="1")
    volume = read_series(root, ReadOptions(prefer=("lowest-number",)))
    np.testing.assert_array_equal(volume.voxels, alone(root, "a"))


def test_an_odd_thickness_excludes_nothing_unless_a_rule_asks(add):
    root = add("a", SliceThickness="-2")
    assert read_series(root).voxels.size
    with pytest.raises(GeometryError, match="thickness_mm of -2 is not within"):
        read_series(root, ReadOptions(thickness_mm=(1, 5)))


@pytest.mark.parametrize("studies", [("1.2.3", "1.2.4"), ("", "")])
def test_no_preference_between_studies(add, studies):
    add("a", 4, study=studies[0])
    root = add("b", 6, study=studies[1])
    with pytest.raises(GeometryError, match="2 volumes fit"):
        read_series(root, ReadOptions(prefer=("most-slices",)))
    assert read_series(root, ReadOptions(description=("b",))).voxels.shape[3] == 6


def localizer(ds, k):
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def report(ds, k):
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    for keyword in ("Rows", "Columns", "PixelData", "BitsAllocated"):
        delattr(ds, keyword)


def screenshot(ds, k):
    ds.PhotometricInterpretation, ds.SamplesPerPixel = "RGB", 3


def capture(ds, k):
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"


def test_the_only_volume_among_what_is_none_by_nature(add, alone):
    add("scout", 2, then=localizer)
    add("report", 1, then=report)
    add("screen", 3, then=screenshot)
    add("capture", 4, then=capture)
    add("single", 1)
    root = add("scan", 5)
    (root / "notes.txt").write_text("hello")
    volume = read_series(root)
    np.testing.assert_array_equal(volume.voxels, alone(root, "scan"))
    assert volume.provenance.choice == "the only volume"
    told = " | ".join(f"{what}: {why}" for what, why in volume.provenance.skipped)
    for words in (
        "'scout' (CT, 2 image(s)): the series is a localizer",
        "I000: holds no image (Basic Text SR Storage)",
        "'screen' (CT, 3 image(s)): colour images are not a scan",
        "'capture' (CT, 4 image(s)): only CT, MR and PET images are read",
        "'single' (CT, 1 image(s)): the series is not a volume",
        "notes.txt: not a DICOM file",
    ):
        assert words in told


def gap(ds, k):
    if k == 3:
        ds.ImagePositionPatient = [-10, 20, 17]


def unplaced(ds, k):
    if k == 1:
        del ds.ImagePositionPatient


def turned(ds, k):
    ds.ImageOrientationPatient = [1, 0, 0, 0, np.cos(k), np.sin(k)]


def table(ds, k):
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    ds.ModalityLUTSequence = Sequence([Dataset()])


@pytest.mark.parametrize("broken", [gap, unplaced, turned, table])
def test_a_broken_neighbour_blocks_unless_a_rule_excludes_it(add, alone, broken):
    add("broken", 4, then=broken)
    root = add("scan", 5)
    with pytest.raises(GeometryError, match="one of them cannot be used") as caught:
        read_series(root)
    assert "Usable: series ? 'scan' (CT, 6 × 4 × 5)" in str(caught.value)
    assert "Not usable: series ? 'broken'" in str(caught.value)
    volume = read_series(root, ReadOptions(not_description=("broken",)))
    np.testing.assert_array_equal(volume.voxels, alone(root, "scan"))


def damage(path):
    """Cut within the header."""
    path.write_bytes(path.read_bytes()[:400])


def test_a_damaged_file_beside_the_slices_blocks(add):
    root = add("scan", 5)
    shutil.copy(root / "scan" / "I000", root / "scan" / "X")
    damage(root / "scan" / "X")
    with pytest.raises(ScanReadError, match=r"damaged DICOM file lies among .*X ends within"):
        read_series(root)


def test_a_damaged_file_elsewhere_does_not_block(add, alone):
    root = add("scan", 5)
    (root / "other").mkdir()
    shutil.copy(root / "scan" / "I000", root / "other" / "X")
    damage(root / "other" / "X")
    volume = read_series(root)
    np.testing.assert_array_equal(volume.voxels, alone(root, "scan"))
    assert ("X", "a DICOM file is truncated") in volume.provenance.skipped


@pytest.mark.parametrize("damaged", ["I000", "I002"])
def test_a_damaged_slice_is_named_rather_than_the_gap_that_it_leaves(add, damaged):
    """Also where the others alone are too few."""
    for count in (3, 6):
        root = add(f"scan{count}", count)
        damage(root / f"scan{count}" / damaged)
        with pytest.raises(ScanReadError, match=f"{damaged} ends within its header"):
            read_series(root / f"scan{count}")


def test_only_damaged_files(add):
    root = add("scan", 2)
    for path in (root / "scan").iterdir():
        damage(path)
    with pytest.raises(ScanReadError, match="I000 ends within its header"):
        read_series(root)


def test_the_listing_tells_series_apart_and_ends(add):
    for n in range(10):
        root = add(f"series{n}", 3 + n, SeriesNumber=str(n), SliceThickness="2.50")
    with pytest.raises(GeometryError, match="10 volumes fit") as caught:
        read_series(root)
    told = str(caught.value)
    assert "series 0 'series0' (CT, 6 × 4 × 3, 2.5 mm); series 1 'series1' (CT, 6 × 4 × 4" in told
    assert "'series7'" in told
    assert "'series8'" not in told
    assert "; and 2 more." in told
    assert "--series RULES.yaml" in told


def test_a_listing_without_descriptions(add):
    def nameless(ds, k):
        del ds.SeriesDescription
        ds.Modality = ""

    add("a", then=nameless)
    root = add("b", then=nameless)
    with pytest.raises(
        GeometryError, match=r"series \? 'no description' \(no modality, 6 × 4 × 4\)"
    ):
        read_series(root)


def test_control_characters_of_a_description_do_not_reach_the_terminal(add):
    def wild(ds, k):
        import warnings

        with warnings.catch_warnings(action="ignore"):
            ds.SeriesDescription = "red \x1b[31m\a"

    add("a", then=wild)
    root = add("b")
    with pytest.raises(GeometryError) as caught:
        read_series(root)
    assert "[31m" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("strayed", [0, 4])
def test_a_slice_that_strayed_into_another_series_is_missed(
    tmp_path, write_series, random_stack, strayed
):
    def stray(ds, k):
        ds.SliceThickness = "2"
        if k == strayed:
            ds.SeriesInstanceUID = "1.2.3"

    write_series(tmp_path / "s", random_stack(), edit=stray)
    with pytest.raises(GeometryError, match="continues the volume"):
        read_series(tmp_path / "s")
    # Told to leave it out, four slices are what is asked for.
    options = ReadOptions(slices=(3, float("inf")))
    assert read_series(tmp_path / "s", options).voxels.shape[3] == 4


@pytest.mark.parametrize("place", [(-10, 20, 25), (-10, 20, 9), (-9, 20, 15), (-10, 20, 5)])
def test_a_lone_image_elsewhere_is_left_out(tmp_path, write_series, random_stack, place):
    def lone(ds, k):
        ds.SliceThickness = "2"
        if k == 5:
            ds.SeriesInstanceUID, ds.ImagePositionPatient = "1.2.3", list(place)

    write_series(tmp_path / "s", random_stack(slices=6), edit=lone)
    volume = read_series(tmp_path / "s")
    assert volume.voxels.shape[3] == 5
    assert volume.provenance.skipped[0][1] == "the series is not a volume"


def test_copies_of_one_name_are_told_apart_by_their_folders(tmp_path, write_series, random_stack):
    write_series(tmp_path / "s", random_stack())
    (tmp_path / "s" / "again").mkdir()
    (tmp_path / "s" / "again" / "I002").write_bytes((tmp_path / "s" / "I002").read_bytes())
    with pytest.raises(GeometryError, match=r"s/I002 and again/I002|again/I002 and s/I002"):
        read_series(tmp_path / "s")
