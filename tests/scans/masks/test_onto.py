"""Laws of bringing a region onto a scan: what must be exact, what may change, what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.errors import GeometryError
from medfs.core.volumes import Provenance, Volume
from medfs.scans.masks.onto import onto
from medfs.scans.masks.regions import Drawn

SHAPE = (9, 8, 7)
TILTED = np.array([[-0.7, 0.1, 0, 5], [0.1, 0.7, 0.9, -3], [0, 0, 2.4, 40], [0, 0, 0, 1.0]])


def scan(shape=SHAPE, affine=TILTED):
    voxels = np.zeros((1, *shape), np.int16)
    return Volume(voxels, np.asarray(affine, float), None, "arbitrary", Provenance("t", (), ""))


def blob(seed=0, shape=SHAPE):
    mask = np.random.default_rng(seed).random(shape) < 0.3
    mask[tuple(n // 2 for n in shape)] = True
    return mask


def ball(affine, shape, centre, radius):
    index = np.moveaxis(np.indices(shape), 0, -1)
    return np.linalg.norm(index @ affine[:3, :3].T + affine[:3, 3] - centre, axis=-1) < radius


def turned(mask, affine, order, flips):
    """The same voxels at the same places, stored in another order."""
    turn = np.zeros((4, 4))
    turn[3, 3] = 1
    for new, old in enumerate(order):
        turn[old, new] = -1 if flips[new] else 1
        turn[old, 3] = mask.shape[old] - 1 if flips[new] else 0
    flipped = [axis for axis in range(3) if flips[axis]]
    return np.flip(mask.transpose(order), flipped), affine @ turn


def test_the_same_grid_changes_nothing_and_says_nothing():
    roi = onto(Drawn(blob(), TILTED), scan())
    np.testing.assert_array_equal(roi.mask, blob())
    assert roi.notes == ()


@given(
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(*[st.booleans()] * 3),
    seed=st.integers(0, 99),
)
def test_axis_order_and_direction_do_not_matter(order, flips, seed):
    mask, affine = turned(blob(seed), TILTED, order, flips)
    roi = onto(Drawn(mask, affine), scan())
    np.testing.assert_array_equal(roi.mask, blob(seed))
    assert roi.notes == ()


@given(order=st.permutations([0, 1, 2]), flips=st.tuples(*[st.booleans()] * 3))
def test_resampling_agrees_with_moving(order, flips):
    """A shift of 0.1 voxel, too large for one grid, still has every voxel's nearest neighbour."""
    mask, affine = turned(blob(), TILTED, order, flips)
    affine = affine + np.pad(TILTED[:3, :1] * 0.1, ((0, 1), (3, 0)))
    roi = onto(Drawn(mask, affine), scan((9, 8, 7)))
    np.testing.assert_array_equal(roi.mask, blob())
    assert dict(roi.notes)["mask"].startswith("resampled from voxels of")


@given(low=st.tuples(*[st.integers(0, 3)] * 3), around=st.integers(0, 3))
def test_a_crop_and_a_frame_around_are_the_same_region(low, around):
    mask = np.zeros(SHAPE, bool)
    mask[3:6, 3:6, 3:6] = blob(1, (3, 3, 3))
    shift = np.eye(4)
    shift[:3, 3] = low
    cropped = Drawn(mask[low[0] :, low[1] :, low[2] :], TILTED @ shift)
    shift[:3, 3] = -around
    framed = Drawn(np.pad(mask, around), TILTED @ shift)
    for drawn in (cropped, framed):
        np.testing.assert_array_equal(onto(drawn, scan()).mask, mask)


@pytest.mark.parametrize("times", [2, 3])
def test_refined_and_coarsened_is_the_identity(times):
    """`times` finer voxels tile each old one; sampling them at the old centres gives it back."""
    finer = TILTED @ np.diag([1 / times] * 3 + [1])
    finer[:3, 3] += TILTED[:3, :3] @ np.full(3, (1 / times - 1) / 2)
    fine_shape = tuple(n * times for n in SHAPE)
    fine = onto(Drawn(blob(), TILTED), scan(fine_shape, finer)).mask
    expected = blob().repeat(times, 0).repeat(times, 1).repeat(times, 2)
    np.testing.assert_array_equal(fine, expected)
    np.testing.assert_array_equal(onto(Drawn(fine, finer), scan()).mask, blob())


@pytest.mark.parametrize("degrees", [0, 7, 33, 90, 144])
def test_a_ball_keeps_its_place_and_volume(degrees):
    angle = np.radians(degrees)
    rotation = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0.2], [0, 0, 1.0]]
    )
    oblique = np.eye(4)
    oblique[:3, :3] = rotation @ np.diag([0.8, 0.6, 1.5])
    oblique[:3, 3] = -oblique[:3, :3] @ [25, 30, 12]  # the world's origin in the middle
    drawn = Drawn(ball(oblique, (51, 61, 25), [1, 2, 0.5], 9), oblique)
    grid = np.diag([0.9, 1.1, 1.3, 1])
    grid[:3, 3] = [-20, -22, -18]
    roi = onto(drawn, scan((45, 40, 30), grid))
    exact = ball(grid, (45, 40, 30), [1, 2, 0.5], 9)
    assert 2 * (roi.mask & exact).sum() / (roi.mask.sum() + exact.sum()) > 0.93
    volume = roi.mask.sum() * 0.9 * 1.1 * 1.3
    assert volume == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.04)


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        (4, "only 50 % of the mask lies within the scan"),
        (3.7, r"only 5\d(\.\d)? % of the mask lies within the scan"),
        (8, "the mask and the scan do not overlap"),
        (1e12, "the mask and the scan do not overlap"),
    ],
)
def test_a_region_beyond_the_scan_is_refused(shift, words):
    affine = np.eye(4)
    affine[0, 3] = shift
    with pytest.raises(GeometryError, match=words) as caught:
        onto(Drawn(np.ones((8, 8, 8), bool), affine), scan((8, 8, 8), np.eye(4)))
    assert "8 × 8 × 8 voxels of 1 × 1 × 1 mm" in str(caught.value)


@pytest.mark.parametrize(("slices", "allowed"), [(100, True), (50, False)])
def test_up_to_one_per_cent_may_lie_outside_and_is_told(slices, allowed):
    drawn = Drawn(np.ones((2, 2, slices), bool), np.eye(4))
    like = scan((4, 4, slices - 1), np.eye(4))
    if not allowed:
        with pytest.raises(GeometryError, match="only 98 %"):
            onto(drawn, like)
        return
    assert (
        dict(onto(drawn, like).notes)["mask"] == "1 % of it lies outside the scan and was cut off"
    )


def test_a_region_between_the_voxels_vanishes():
    affine = np.diag([0.1, 0.1, 0.1, 1])
    affine[:3, 3] = 1.4
    with pytest.raises(GeometryError, match="nothing of the mask remains") as caught:
        onto(Drawn(np.ones((2, 2, 2), bool), affine), scan((4, 4, 4), np.eye(4)))
    assert "0.008 mm³ and a voxel of the scan 1 mm³" in str(caught.value)


def test_a_region_that_grows_out_of_proportion_is_refused():
    affine = np.diag([0.1, 0.1, 0.1, 1])
    affine[:3, 3] = 1.97
    with pytest.raises(GeometryError, match="changes too much"):
        onto(Drawn(np.ones((2, 2, 2), bool), affine), scan((4, 4, 4), np.eye(4)))


@pytest.mark.parametrize("size", [0.1, 0.3, 0.7, 1.1])
def test_a_tie_goes_one_way_for_all_voxels(size):
    """Half a voxel off, every plane has two nearest neighbours; none is lost or doubled."""
    grid = np.diag([size, size, size, 1])
    grid[:3, 3] = [-17.3, 41.9, 103.7]
    affine = grid.copy()
    affine[:3, 3] += size / 2
    striped = np.zeros((40, 40, 40), bool)
    striped[::2] = True
    mask = onto(Drawn(striped, affine), scan((42, 42, 42), grid)).mask
    assert mask.sum() == striped.sum()
    lines = np.flatnonzero(mask.any(axis=(1, 2)))
    np.testing.assert_array_equal(np.diff(lines), np.full(19, 2))
