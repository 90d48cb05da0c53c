"""A factor may define classes in a scene only if it can be seen there, and not by the volume."""

import numpy as np
import pytest
import torch

from medfs.metrics.discrimination import auroc
from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import ALL_FACTORS, position
from medfs.synthesis.render import N_STYLES, render
from medfs.synthesis.scenes import ALL_SCENES, SCENES, Scene

from .measures import measure_of, volume

CASES, SIDE = 24, 32
OF_VOLUME = ("size", "calibre")


def cases(scene: Scene, factor: str, latent: float):
    """Image, mask and spacing of cases with one factor held at a value and all others at random.

    Two values are compared on cases that are alike in everything else.
    """
    generator = torch.Generator().manual_seed(1)
    positions = {f: position(torch.randn(CASES, generator=generator)) for f in ALL_FACTORS}
    positions[factor] = position(torch.full((CASES,), latent))
    # What cases of one task share, as in a task.
    style = torch.rand(N_STYLES, generator=generator).expand(CASES, -1)
    made = render(scene, positions, style, (SIDE,) * 3, Dice.of(generator))
    spacing = made.spacing.double().numpy()
    return list(zip(made.image.numpy(), made.roi.numpy() > 0, spacing, strict=True))


@pytest.mark.parametrize("name", ALL_SCENES)
def test_visible_factors_are_seen_and_volume_tells_of_size_alone(name):
    scene = SCENES[name]
    high = np.repeat([False, True], CASES)
    for factor in scene.visible:
        pair = [*cases(scene, factor, -2.0), *cases(scene, factor, 2.0)]
        measure = measure_of(scene, factor)
        seen = auroc(np.array([float(measure(*case)) for case in pair]), high)
        assert seen > 0.75, f"{factor} is not seen in {name}: AUROC {seen:.2f}"
        by_volume = auroc(np.array([volume(*case[1:]) for case in pair]), high)
        if factor in OF_VOLUME:
            assert by_volume > 0.95
        else:
            assert by_volume == pytest.approx(0.5, abs=0.06), f"{factor} changes volumes in {name}"


def test_every_factor_can_define_classes_somewhere():
    assert {factor for scene in SCENES.values() for factor in scene.visible} == set(ALL_FACTORS)


def test_what_needs_intensities_defines_no_class_of_pure_shapes():
    inside = {"texture_scale", "texture_amplitude", "contrast", "rim", "site"}
    for scene in SCENES.values():
        if scene.modality is None:
            assert not inside & set(scene.visible)
        if scene.structure == "vessel":
            assert {"calibre", "bulges", "tortuosity", "branches"} <= set(scene.visible)
