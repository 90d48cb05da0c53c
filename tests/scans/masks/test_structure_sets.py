"""RTSTRUCT: contours filled through the whole affine, holes, gaps, choices and refusals."""

import time
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from medfs.core.errors import GeometryError, MedfsError, ScanReadError
from medfs.scans.masks import read_mask, read_roi
from medfs.scans.masks.contours import fill

SHAPE = (30, 28, 12)
STRAIGHT = np.array([[0.8, 0, 0, -12], [0, 0.9, 0, -11], [0, 0, 2.0, -10], [0, 0, 0, 1]])
TILTED = STRAIGHT + np.array([[0] * 4, [0, 0, 0.7, -4], [0] * 4, [0] * 4])
SAGITTAL = STRAIGHT[:, [2, 0, 1, 3]]  # slices along the first voxel axis
ROTATED = np.array([[0.78, -0.2, 0, -8], [0.18, 0.88, 0, -15], [0, 0, 2.0, -10], [0, 0, 0, 1]])


def circle(k, radius=6.3, centre=(15.2, 14.1), affine=STRAIGHT, points=120):
    """Of voxels, in slice k; as points in mm."""
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    u, v = centre[0] + radius * np.cos(turn), centre[1] + radius * np.sin(turn)
    index = np.column_stack([u, v, np.full(points, float(k)), np.ones(points)])
    return (index @ affine.T)[:, :3]


def disc(radius=6.3, centre=(15.2, 14.1)):
    u, v = np.indices(SHAPE[:2])
    return (u - centre[0]) ** 2 + (v - centre[1]) ** 2 < radius**2


def ball(k, radius=4.0):
    """Radius in voxels of a ball's cut through slice k."""
    return np.sqrt(np.maximum(radius**2 - (k - 6.0) ** 2, 0)) * 2


@pytest.fixture
def read(tmp_path, scan_on, write_structures):
    """Write contours, read them back."""

    def go(contours, affine=STRAIGHT, shape=SHAPE, label=None, **more):
        structures = contours if isinstance(contours, dict) else {"lesion": contours}
        write_structures(tmp_path / "s.dcm", structures, **more)
        return read_roi(tmp_path / "s.dcm", scan_on(shape, affine), label=label)

    return go


@pytest.mark.parametrize(
    "affine", [STRAIGHT, TILTED, ROTATED], ids=["straight", "tilted", "rotated"]
)
def test_a_ball_is_filled_to_its_edges(read, affine):
    contours = [circle(k, ball(k), affine=affine) for k in range(3, 10)]
    roi = read(contours, affine)
    for k in range(SHAPE[2]):
        near = np.abs(
            np.linalg.norm(np.moveaxis(np.indices(SHAPE[:2]), 0, -1) - (15.2, 14.1), axis=-1)
            - ball(k)
        )
        exact = disc(ball(k)) if 3 <= k < 10 else np.zeros(SHAPE[:2], bool)
        np.testing.assert_array_equal(roi.mask[..., k][near > 0.05], exact[near > 0.05])
    assert roi.notes == ()


def test_slices_may_lie_along_any_voxel_axis(read):
    contours = [circle(k, ball(k)) for k in range(3, 10)]
    expected = read(contours).mask
    mask = read(contours, SAGITTAL, (SHAPE[2], *SHAPE[:2])).mask
    np.testing.assert_array_equal(mask, expected.transpose(2, 0, 1))


def test_flipped_scans_get_the_same_region(read):
    contours = [circle(k, ball(k)) for k in range(3, 10)]
    flip = np.diag([-1.0, 1, -1, 1])
    flip[:3, 3] = [SHAPE[0] - 1, 0, SHAPE[2] - 1]
    mask = read(contours, STRAIGHT @ flip).mask
    np.testing.assert_array_equal(mask, read(contours).mask[::-1, :, ::-1])


def test_parity_with_contours_of_a_mask(read):
    """Contours halfway between voxels (marching squares) give the mask back, holes included."""
    measure = pytest.importorskip("skimage.measure")
    mask = np.zeros(SHAPE, bool)
    mask[4:25, 5:22, 2:9] = np.random.default_rng(0).random((21, 17, 7)) < 0.8
    contours = [
        np.column_stack([c[:-1], np.full(len(c) - 1, k), np.ones(len(c) - 1)]) @ TILTED.T
        for k in range(SHAPE[2])
        for c in measure.find_contours(mask[..., k].astype(float), 0.5)
    ]
    roi = read([c[:, :3] for c in contours], TILTED, kind="CLOSEDPLANAR_XOR")
    np.testing.assert_array_equal(roi.mask, mask)


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_a_contour_within_another_cuts_a_hole_and_one_within_that_fills(read, kind):
    radii = (9.3, 6.2, 2.1)
    contours = [circle(k, r) for k in (4, 5) for r in radii]
    mask = read(contours, kind=kind).mask
    expected = disc(radii[0]) & ~disc(radii[1]) | disc(radii[2])
    np.testing.assert_array_equal(mask[..., 4], expected)
    np.testing.assert_array_equal(mask[..., 5], expected)
    assert not mask[..., 6:].any()


def test_exclusive_contours_may_overlap(read):
    pair = [circle(4, centre=(11.2, 14.1)), circle(4, centre=(19.1, 14.1))]
    mask = read(pair, kind="CLOSEDPLANAR_XOR").mask[..., 4]
    np.testing.assert_array_equal(mask, disc(centre=(11.2, 14.1)) ^ disc(centre=(19.1, 14.1)))


@pytest.mark.parametrize(
    "pair",
    [
        [circle(4, centre=(11.2, 14.1)), circle(4, centre=(19.1, 14.1))],
        [circle(4), circle(4)],
        [circle(4), circle(4, points=400)],
    ],
    ids=["partly", "twice", "drawn again"],
)
def test_contours_that_overlap_otherwise_are_refused(read, pair):
    with pytest.raises(GeometryError, match="contours of the structure overlap") as caught:
        read(pair)
    assert "In slice 4" in str(caught.value)


def test_contours_that_touch_are_apart(read):
    left, right = circle(4, 4.0, (10.0, 14)), circle(4, 4.0, (18.0, 14))
    np.testing.assert_array_equal(
        read([left, right]).mask[..., 4], read([left]).mask[..., 4] | read([right]).mask[..., 4]
    )


def test_a_slice_left_out_is_refused_with_its_neighbours(read):
    with pytest.raises(GeometryError, match="slices between the contours") as caught:
        read([circle(k) for k in (2, 3, 5, 6, 9)])
    text = str(caught.value)
    assert "between slice 3 (z = -4.0 mm) and slice 5 (z = 0.0 mm); slice 6" in text


def test_parts_that_do_not_lie_above_each_other_may_have_slices_between(read):
    far = [circle(2, 4, (6, 14)), circle(3, 4, (6, 14)), circle(7, 4, (23, 14))]
    assert read(far).mask.any(axis=(0, 1)).nonzero()[0].tolist() == [2, 3, 7]


def test_denser_contours_leave_the_plane_nearest_to_the_slice(read):
    radii = {3.6: 3.2, 4.0: 6.3, 4.4: 4.2, 4.8: 5.1, 5.2: 7.3}
    roi = read([circle(k, r) for k, r in radii.items()])
    np.testing.assert_array_equal(roi.mask[..., 4], disc(6.3))
    np.testing.assert_array_equal(roi.mask[..., 5], disc(5.1))
    assert "3 of 5 planes of contours were left out" in dict(roi.notes)["structure"]


def test_contours_between_slices_go_one_way(read):
    mask = read([circle(k + 0.5 + e) for k, e in ((3, 0), (4, 4e-5), (5, -4e-5))]).mask
    assert mask.any(axis=(0, 1)).nonzero()[0].tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("contours", "words"),
    [
        ([circle(4, centre=(0, 14))], r"only 5\d(\.\d)? % of the mask lies within"),
        ([circle(k) for k in (10, 11, 12, 13)], "only 50 % of the mask"),
        ([circle(20)], "do not overlap"),
        ([circle(4, centre=(400, 14))], "do not overlap"),
        ([circle(4) + 1e7], "do not overlap"),
        ([circle(4, 0.2, (15.5, 14.5))], "nothing of the mask remains"),
        ([circle(4, 0.2, (15, 14))], "changes too much"),
        ([circle(4)[:, [0, 2, 1]] + 0.3 * circle(4)], "do not lie in slices of the scan"),
        ([circle(k) for k in (2, 4, 6)], "slices between the contours"),
    ],
)
def test_contours_that_do_not_fit_the_scan(read, contours, words):
    with pytest.raises(GeometryError, match=words):
        read(contours)


@pytest.mark.parametrize("far", [1e15, 1e300])
def test_no_number_is_too_large_to_refuse(scan_on, far):
    with np.errstate(all="ignore"), pytest.raises(GeometryError):
        fill([circle(4) + far, circle(5)], scan_on(SHAPE, STRAIGHT), exclusive=False)


@pytest.mark.parametrize("label", [2, "2", "Tumour", "TUMOUR "])
def test_one_structure_of_several(read, label):
    roi = read({"body": [circle(4)], "tumour": [circle(4, 3.3)]}, label=label)
    np.testing.assert_array_equal(roi.mask[..., 4], disc(3.3))
    assert roi.notes == (("structure", "2"), ("structure name", "tumour"))


@pytest.mark.parametrize(
    ("label", "words"), [(None, "several labels"), (3, "no label"), ("x", "no label")]
)
def test_unclear_choices_list_the_structures(read, label, words):
    with pytest.raises(ScanReadError, match=words) as caught:
        read({"body": [circle(4)], "tumour": []}, label=label)
    assert "s.dcm holds 2 structures: 1 (body), 2 (tumour)" in str(caught.value)


def test_a_structure_without_contours(read):
    with pytest.raises(ScanReadError, match="the mask is empty"):
        read({"body": [circle(4)], "tumour": []}, label="tumour")


def _contour(ds):
    return ds.ROIContourSequence[0].ContourSequence[0]


def _edit(keyword, value):
    return lambda ds: setattr(_contour(ds), keyword, value)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_edit("ContourGeometricType", "POINT"), "contours of the type CLOSED_PLANAR, POINT"),
        (
            _edit("ContourGeometricType", "OPEN_PLANAR"),
            "contours of the type CLOSED_PLANAR, OPEN_PLANAR",
        ),
        (_edit("ContourGeometricType", "CLOSEDPLANAR_XOR"), "CLOSEDPLANAR_XOR, CLOSED_PLANAR"),
        (_edit("NumberOfContourPoints", 10**6), "declares 1000000 points"),
        (_edit("ContourData", ["1", "2", "3", "4"]), "gives 4 numbers"),
        (lambda ds: _contour(ds).pop("ContourData"), "gives 0 numbers"),
        (lambda ds: setattr(ds, "StructureSetROISequence", []), "names no structure"),
    ],
)
def test_bad_files_are_refused(read, edit, words):
    with pytest.raises((ScanReadError, GeometryError), match=words):
        read([circle(3), circle(4)], edit=edit)


@pytest.mark.parametrize("text", [b"nan", b"xx.", b"inf", b"1e9"])
def test_damaged_numbers_are_refused(tmp_path, scan_on, write_structures, text):
    contour = circle(4)
    write_structures(tmp_path / "s.dcm", {"a": [contour]})
    content = (tmp_path / "s.dcm").read_bytes()
    number = f"{contour[0, 0] * -1:.6f}".encode()
    assert number in content
    (tmp_path / "s.dcm").write_bytes(content.replace(number, text.ljust(len(number)), 1))
    with pytest.raises((ScanReadError, GeometryError)):
        read_mask(tmp_path / "s.dcm", scan_on(SHAPE, STRAIGHT))


def test_truncated_anywhere_is_an_error_of_medfs(tmp_path, scan_on, write_structures):
    write_structures(tmp_path / "s.dcm", {"a": [circle(4, points=12), circle(5, points=12)]})
    content = (tmp_path / "s.dcm").read_bytes()
    for end in range(0, len(content) - 8, 13):
        (tmp_path / "s.dcm").write_bytes(content[:end])
        with pytest.raises(MedfsError):
            read_mask(tmp_path / "s.dcm", scan_on(SHAPE, STRAIGHT))


def test_a_hundred_thousand_points_take_seconds_at_most(read):
    began = time.perf_counter()
    read([circle(k, points=20_000) for k in range(3, 8)])
    assert time.perf_counter() - began < 20


def test_the_structures_of_pydicom(scan_on):
    """An export without preamble: a box of 400 × 300 mm in three slices, and two isocentres."""
    path, grid = Path(str(get_testdata_file("rtstruct.dcm"))), np.diag([10.0, 10, 10, 1])
    grid[:3, 3] = [-245, -245, -250]
    like = scan_on((50, 50, 20), grid)
    mask = np.zeros((50, 50, 20), bool)
    mask[5:45, 10:40, 5:8] = True
    np.testing.assert_array_equal(read_mask(path, like, label="patient"), mask)
    with pytest.raises(ScanReadError, match="contours of the type POINT"):
        read_mask(path, like, label=2)
    with pytest.raises(ScanReadError, match=r"3 structures: 1 \(patient\), 2 \(Isocenter 1\)"):
        read_mask(path, like)
