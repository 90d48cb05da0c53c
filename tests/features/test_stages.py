"""The small encoder keeps the encoder's laws; its modulation and its weights do what they say."""

import pytest
import torch

from medfs.core.errors import IntegrityError, UsageError
from medfs.features.stages import StageEncoder, StageNet, stages
from medfs.testing import check_encoder
from medfs.testing.samples import random_patches

WIDTHS = (4, 6, 8)


def images(n_cases=3, size=12):
    batch = random_patches(n_cases, (size, size, size), seed=1)
    return torch.cat([batch.image, batch.roi], dim=1)


def tensors(net):
    return {f"encoder.{name}": tensor for name, tensor in net.state_dict().items()}


def modulation(n_cases, scale):
    generator = torch.Generator().manual_seed(3)

    def random(width):
        return scale * torch.randn(n_cases, width, generator=generator)

    return [(random(width), random(width)) for width in WIDTHS]


def test_encoder_keeps_the_contract():
    check_encoder(StageEncoder(tensors(StageNet(WIDTHS))), shape=(12, 12, 12))


def test_no_modulation_is_a_modulation_by_zero():
    net = StageNet(WIDTHS)
    torch.testing.assert_close(net(images()), net(images(), modulation(3, 0.0)))


def test_every_case_has_its_own_modulation():
    net, x, wanted = StageNet(WIDTHS), images(), modulation(3, 0.5)
    together = net(x, wanted)
    for i in range(3):
        own = [(gain[i : i + 1], shift[i : i + 1]) for gain, shift in wanted]
        torch.testing.assert_close(together[i : i + 1], net(x[i : i + 1], own))
    assert not torch.allclose(together, net(x), atol=0.05)


def test_memory_format_changes_nothing_but_rounding():
    net, x = StageNet(WIDTHS), images()
    last = x.contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(net(x), net(last), rtol=1e-4, atol=1e-4)


def test_autocast_stays_near_float32():
    net, x = StageNet(WIDTHS), images()
    exact = net(x)
    with torch.autocast("cpu", torch.bfloat16):
        near = net(x)
    assert near.dtype == torch.float32
    # Rows have unit variance: three digits of bfloat16, a few layers deep.
    assert (exact - near).abs().mean() < 0.03


def test_scale_of_the_weights_does_not_matter():
    net, x = StageNet(WIDTHS), images()
    before = net(x).detach()
    with torch.no_grad():
        for kernel in net.kernels:
            kernel.mul_(7.0).add_(0.5)
    torch.testing.assert_close(net(x), before, rtol=1e-3, atol=1e-3)


def test_identity_follows_the_weights():
    net = StageNet(WIDTHS)
    first, again = StageEncoder(tensors(net)), StageEncoder(tensors(net))
    assert first.identity == again.identity
    with torch.no_grad():
        net.shifts[0].add_(1)
    assert StageEncoder(tensors(net)).identity != first.identity


def test_weights_come_back_from_a_model_as_they_went_in():
    first = StageEncoder(tensors(StageNet(WIDTHS)))
    assert StageEncoder(first.state_dict()).identity == first.identity


@pytest.mark.parametrize("broken", [{}, {"encoder.gains.0": torch.ones(4)}, {"x": torch.ones(1)}])
def test_other_weights_are_refused(broken):
    with pytest.raises(IntegrityError, match="small encoder"):
        StageEncoder(broken)


def test_weights_are_asked_for():
    with pytest.raises(UsageError, match="needs weights"):
        stages(None)
