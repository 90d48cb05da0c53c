"""Layout features: scanners cancel, mirrors mirror, what lies beyond the scan is not seen."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.patches import PatchBatch
from medfs.features.layout import CELLS, NAMES, PER_CELL, Layout, layout
from medfs.testing import check_encoder
from medfs.testing.samples import random_patches

SHAPES = [(24, 24, 24), (48, 48, 48), (31, 20, 9), (5, 50, 26)]


def cells_of(row):
    """Features by grid: (what, i, j, k)."""
    sizes = [len(PER_CELL) * n**3 for n in CELLS]
    parts = row.split(sizes)
    return [part.view(len(PER_CELL), n, n, n) for part, n in zip(parts, CELLS, strict=True)]


def image_of(shape, seed=0):
    return random_patches(1, shape, seed).image.double(), torch.ones(1, 3, dtype=torch.float64)


def test_it_keeps_the_laws_of_encoders():
    check_encoder(Layout(), (16, 20, 24))
    assert len(NAMES) == 210


@pytest.mark.parametrize("shape", SHAPES)
def test_gain_and_offset_cancel(shape):
    image, spacing = image_of(shape)
    torch.testing.assert_close(layout(image * 730 - 1000, spacing), layout(image, spacing))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_patch_has_mirrored_cells(shape, axis):
    image, spacing = image_of(shape)
    straight, mirrored = layout(image, spacing)[0], layout(image.flip(2 + axis), spacing)[0]
    for a, b in zip(cells_of(straight), cells_of(mirrored), strict=True):
        torch.testing.assert_close(a.flip(1 + axis), b)


def test_turned_axes_turn_cells_and_directions():
    image, spacing = image_of((18, 24, 30))
    turned = layout(image.permute(0, 1, 4, 2, 3), spacing[:, [2, 0, 1]])[0]
    what = [0, 1, 2, 5, 3, 4]
    for a, b in zip(cells_of(layout(image, spacing)[0]), cells_of(turned), strict=True):
        torch.testing.assert_close(a[what].permute(0, 3, 1, 2), b)


@given(value=st.floats(-1e4, 1e4), n=st.integers(3, 30))
def test_a_constant_patch_has_zeros(value, n):
    image = torch.full((1, 1, n, n, n), value)
    assert torch.equal(layout(image, torch.ones(1, 3)), torch.zeros(1, len(NAMES)))


@given(seed=st.integers(0, 1000), exponent=st.integers(-6, 6))
def test_features_are_finite_for_any_scale(seed, exponent):
    image, spacing = image_of((7, 12, 25), seed)
    scaled = layout((image * 10.0**exponent).float(), spacing.float())
    assert bool(torch.isfinite(scaled).all())
    assert float(scaled.abs().max()) < 30


def test_each_cell_sees_its_own_place():
    image, spacing = image_of((24, 24, 24))
    changed = image.clone()
    changed[..., :8, 16:, 8:16] += 3 * torch.sin(torch.arange(8.0)).view(1, 8).double()
    (a, _), (b, _) = cells_of(layout(image, spacing)[0]), cells_of(layout(changed, spacing)[0])
    # Spread and edges rise there more than anywhere else; x is the first axis, z the last.
    change = (b - a)[1:3]
    for gain in change:
        assert int(gain.argmax()) == 0 * 9 + 2 * 3 + 1


@pytest.mark.parametrize(("axis", "name"), [(0, "along_x"), (1, "along_y"), (2, "along_z")])
def test_edges_along_an_axis_are_told_by_its_share(axis, name):
    wave = torch.sin(torch.arange(24.0) * 0.9)
    image = wave.view([24 if a == axis else 1 for a in range(3)]).expand(24, 24, 24)[None, None]
    # Only slices along the wave differ, so a little noise tells the rest from repeated edges.
    noise = 1e-3 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    fine = cells_of(layout(image + noise, torch.ones(1, 3))[0])[0]
    assert bool((fine[PER_CELL.index(name)] > 0.9).all())


def test_what_repeats_the_edge_of_the_scan_is_not_seen():
    image, spacing = image_of((24, 24, 24))
    inner = image[..., 8:]
    beyond = torch.cat([inner[..., :1].expand(1, 1, 24, 24, 8), inner], dim=4)
    fine = cells_of(layout(beyond, spacing)[0])[0]
    assert bool((fine[..., 0] == 0).all())
    assert bool((fine[1, ..., 1:] > 0).all())
    # Mean and spread of the patch are those of the scan, however far the edge is repeated.
    alone = layout(inner, spacing)[0]
    whole = torch.stack([fine[0, ..., 1:].mean(), cells_of(alone)[0][0].mean()])
    assert float(whole.abs().max()) < 0.05


def test_spacing_decides_what_is_steep():
    image, _ = image_of((24, 24, 24))
    share = PER_CELL.index("along_x")
    one = layout(image, torch.tensor([[1.0, 1.0, 1.0]], dtype=torch.float64))[0]
    long = layout(image, torch.tensor([[4.0, 1.0, 1.0]], dtype=torch.float64))[0]
    assert bool((cells_of(long)[0][share] < cells_of(one)[0][share] / 4).all())
    double = layout(image, torch.full((1, 3), 2.0, dtype=torch.float64))[0]
    torch.testing.assert_close(double, one)


def test_gradients_pass():
    image, spacing = image_of((6, 6, 6))
    assert torch.autograd.gradcheck(
        lambda x: layout(x, spacing)[:, ::20], image.requires_grad_(), atol=1e-4
    )


def test_the_region_is_not_read():
    batch = random_patches(1, (20, 20, 20), 0)
    other = PatchBatch(batch.image, 1 - batch.roi, batch.spacing)
    assert torch.equal(Layout()(batch), Layout()(other))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter tells of its own deprecations
def test_what_it_computes_can_be_exported():
    class Graph(torch.nn.Module):
        def forward(self, image, spacing):
            return layout(image, spacing)

    given = random_patches(1, (12, 13, 14), 0)
    program = torch.export.export(Graph().eval(), (given.image, given.spacing))
    torch.testing.assert_close(
        program.module()(given.image, given.spacing), layout(given.image, given.spacing)
    )
    made = torch.onnx.export(program, dynamo=True, optimize=False, verbose=False)
    assert made is not None


# fmt: off
GOLDEN = [0.663861, -0.927298, -0.018335, 1.626007, 2.044804, 2.359034, 0.956742,
          0.01807, 0.016255, 0.086213, 2.185357, 2.237725, 0.050707]
# fmt: on


def test_golden_values():
    """A version that gives other numbers needs another identity."""
    x = torch.arange(12.0)
    image = (torch.sin(x)[:, None, None] + 0.1 * x[:, None] * torch.cos(0.5 * x))[None, None]
    row = layout(image, torch.tensor([[1.0, 1.0, 2.0]]))[0]
    at = [0, 13, 26, 27, 40, 67, 94, 121, 148, 162, 170, 180, 209]
    assert Layout.identity == "layout-1"
    torch.testing.assert_close(row[at], torch.tensor(GOLDEN), rtol=1e-4, atol=1e-5)
