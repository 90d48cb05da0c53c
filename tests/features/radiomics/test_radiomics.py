"""Laws that the features obey."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.features import Encoder
from medfs.core.patches import PatchBatch
from medfs.features.radiomics import NAMES, Radiomics, calibre, radiomics, shape, surface
from medfs.features.radiomics.shape import symmetric_eigenvalues

from .regions import ball, random_image, random_region, spacings

FORM = shape.NAMES + surface.NAMES + calibre.NAMES
ONE_MM = spacings(1.0, 1.0, 1.0)


def named(image, roi, spacing=ONE_MM):
    return dict(zip(NAMES, radiomics(image, roi, spacing)[0].tolist(), strict=True))


def same(a, b, tolerance=2e-3):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_is_an_encoder():
    encoder = Radiomics()
    assert isinstance(encoder, Encoder)
    assert len(set(encoder.feature_names)) == len(encoder.feature_names)
    block = encoder(PatchBatch(random_image(0), random_region(0), ONE_MM))
    assert block.shape == (1, len(encoder.feature_names))
    assert block.dtype == torch.float32


@pytest.mark.parametrize("shift", [(1, 0, 0), (-1, 2, 1)])
def test_moving_region_and_image_changes_nothing(shift):
    image, roi = random_image(1, 40), torch.zeros(1, 1, 40, 40, 40)
    roi[:, :, 8:32, 8:32, 8:32] = random_region(1)
    moved = [torch.roll(t, shift, (2, 3, 4)) for t in (image, roi)]
    same(radiomics(image, roi, ONE_MM), radiomics(*moved, ONE_MM))


@pytest.mark.parametrize("axes", [(2, 3), (3, 4), (2, 4)])
def test_quarter_turns_and_flips_change_nothing(axes):
    image, roi = random_image(2), random_region(2)
    before = radiomics(image, roi, ONE_MM)
    same(before, radiomics(*(torch.rot90(t, 1, axes) for t in (image, roi)), ONE_MM))
    same(before, radiomics(*(t.flip(axes[0]) for t in (image, roi)), ONE_MM))


def test_exchanging_axes_with_their_spacings_changes_nothing():
    image, roi = random_image(3), random_region(3)
    turned = [t.permute(0, 1, 4, 2, 3) for t in (image, roi)]
    same(
        radiomics(image, roi, spacings(0.8, 1.0, 1.5)),
        radiomics(*turned, spacings(1.5, 0.8, 1.0)),
    )


def test_doubling_the_spacing_doubles_lengths_and_leaves_ratios():
    image, roi = random_image(4), random_region(4)
    small, large = named(image, roi), named(image, roi, 2 * ONE_MM)
    change = {name: large[name] - small[name] for name in FORM}
    log2 = torch.log(torch.tensor(2.0)).item()
    in_mm = {n for n in FORM if n.endswith(("1mm", "2mm"))}
    expected = {n: 0.0 for n in FORM if n not in in_mm}
    expected |= {n: log2 for n in FORM if n.endswith("_axis")}
    expected |= {"log_volume": 3 * log2, "log_deepest": log2}
    # Their σ is at least one grid step: 2 mm at the larger spacing.
    assert large["sphericity_2mm"] == pytest.approx(small["sphericity_1mm"], abs=1e-4)
    del expected["bulging_quarter_radius"]
    for name, value in expected.items():
        assert change[name] == pytest.approx(value, abs=1e-3), name


def test_an_intensity_shift_moves_levels_and_nothing_else():
    image, roi = random_image(5), random_region(5)
    before, after = named(image, roi), named(image + 0.5, roi)
    levels = {n for n in NAMES if n.endswith(("mean", "p10", "median", "p90", "max"))}
    levels -= {n for n in NAMES if "gradient" in n or "log1" in n or "deepest" in n}
    for name in NAMES:
        moved = 0.5 if name in levels else 0.0
        assert after[name] - before[name] == pytest.approx(moved, abs=2e-4), name


def test_form_does_not_depend_on_the_image():
    roi = random_region(6)
    one, other = named(random_image(6), roi), named(random_image(7) * 5, roi)
    assert [one[n] for n in FORM] == [other[n] for n in FORM]


def test_what_is_far_from_the_region_never_matters():
    image, roi = random_image(8, 48), torch.zeros(1, 1, 48, 48, 48)
    roi[:, :, 12:36, 12:36, 12:36] = random_region(8)
    changed = image.clone()
    # The shell reaches 3 mm beyond the region, the kernels of the texture 8 mm.
    changed[:, :, :8], changed[:, :, 40:], changed[:, :, :, 42:] = 9.0, -9.0, 5.0
    assert torch.equal(radiomics(image, roi, ONE_MM), radiomics(changed, roi, ONE_MM))


def test_alone_as_among_others():
    images = torch.cat([random_image(s) for s in range(3)])
    rois = torch.cat([random_region(s) for s in range(3)])
    mm = torch.tensor([[1.0, 1.0, 1.0], [0.7, 0.7, 2.0], [2.5, 2.5, 2.5]])
    together = radiomics(images, rois, mm)
    alone = [radiomics(images[i : i + 1], rois[i : i + 1], mm[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-5)


def _corner():
    roi = torch.zeros(1, 1, 16, 16, 16)
    roi[..., 0, 0, 0] = 1
    return roi


def _slice():
    roi = torch.zeros(1, 1, 16, 16, 16)
    roi[..., 3:12, 5, 2:14] = 1
    return roi


@pytest.mark.parametrize("mm", [(1.0, 1.0, 1.0), (0.3, 0.3, 5.0), (10.0, 10.0, 10.0)])
@pytest.mark.parametrize(
    "roi",
    [_corner(), _slice(), torch.ones(1, 1, 16, 16, 16), torch.zeros(1, 1, 16, 16, 16)],
    ids=["one voxel in a corner", "one slice", "whole patch", "nothing"],
)
@pytest.mark.parametrize("level", [0.0, -1.0, 1e3])
def test_degenerate_regions_have_finite_features(roi, mm, level):
    for image in (torch.full_like(roi, level), random_image(9, 16) + level):
        assert torch.isfinite(radiomics(image, roi, spacings(*mm))).all()


@given(
    seed=st.integers(0, 2**16),
    density=st.floats(0.0, 1.0),
    mm=st.tuples(*[st.floats(0.2, 8.0)] * 3),
    shape=st.tuples(*[st.integers(4, 14)] * 3),
)
def test_any_region_has_finite_features(seed, density, mm, shape):
    generator = torch.Generator().manual_seed(seed)
    roi = (torch.rand(1, 1, *shape, generator=generator) < density).float()
    image = torch.rand(1, 1, *shape, generator=generator) * 2 - 1
    assert torch.isfinite(radiomics(image, roi, spacings(*mm))).all()


def test_balls_are_round_and_bulges_are_seen():
    round_ = named(torch.zeros(1, 1, 48, 48, 48), ball(48, 12))
    assert round_["sphericity_1mm"] == pytest.approx(1, abs=0.03)
    assert round_["compactness"] == pytest.approx(1, abs=0.05)
    assert round_["log_deepest"] == pytest.approx(torch.log(torch.tensor(12.0)).item(), abs=0.1)
    tube = torch.zeros(1, 1, 48, 48, 48)
    tube[..., 3:45, 22:26, 22:26] = 1
    bulged = torch.maximum(tube, ball(48, 6))
    image = torch.zeros_like(tube)
    for name in ("deepest_to_mean", "deepest_to_ridge", "bending_half_radius"):
        assert named(image, bulged)[name] > named(image, tube)[name] + 0.03, name


def test_gradients_reach_the_image():
    image = random_image(10).requires_grad_()
    radiomics(image, random_region(10), ONE_MM).sum().backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    assert (image.grad != 0).any()


def test_eigenvalues_against_lapack():
    a = torch.randn(50, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    symmetric = torch.cat(
        [a @ a.transpose(1, 2), torch.eye(3).double()[None], torch.zeros(1, 3, 3)]
    )
    expected = torch.linalg.eigvalsh(symmetric).flip(1)
    torch.testing.assert_close(symmetric_eigenvalues(symmetric), expected, atol=1e-5, rtol=1e-5)


class _Plain(torch.nn.Module):
    def forward(self, image, roi, spacing):
        return radiomics(image, roi, spacing)


def test_exports_with_a_free_batch():
    images = torch.cat([random_image(s) for s in range(3)])
    rois = torch.cat([random_region(s) for s in range(3)])
    mm = torch.tensor([[1.0, 1.0, 1.0], [0.7, 0.7, 2.0], [2.5, 2.5, 2.5]])
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        _Plain(),
        (images[:2], rois[:2], mm[:2]),
        dynamic_shapes=({0: batch}, {0: batch}, {0: batch}),
    )
    for count in (1, 2, 3):
        inputs = images[:count], rois[:count], mm[:count]
        torch.testing.assert_close(program.module()(*inputs), radiomics(*inputs))
