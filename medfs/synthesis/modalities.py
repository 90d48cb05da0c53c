"""Kinds of volumes: what tissues look like, what the scanner does, how a preset normalises.

Intensities are HU for CT and multiples of the parenchyma for MR and PET.
"""

from dataclasses import dataclass
from typing import Literal

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Modality:
    """Appearance of one kind of volume.

    Attributes:
        parenchyma: range of the tissue that fills the field.
        layers: standard deviation of smooth steps within it.
        grain: range of the standard deviation of its fine pattern.
        tubes: background vessels, relative to the parenchyma.
        bodies: range of neighbouring organs, relative to the parenchyma.
        wall: what lies beyond the boundary of the organ, absolute.
        contrast: range of a finding relative to the parenchyma.
        texture: range of the standard deviation of the pattern inside a finding.
        rim: largest difference between its shell and its core.
        noise: range of the scanner's noise.
        blur: range of the standard deviation of the scanner's kernel, mm per 48 mm of field.
        thickness: range of the slice thickness, mm per 48 mm of field.
        bias: largest relative change of sensitivity across the field.
        either_sign: findings are brighter in some tasks and darker in others.
        kind: of normalisation, with its limits, as in the presets.
        low: lower HU or percentile.
        high: upper HU or percentile.
    """

    parenchyma: Range
    layers: float
    grain: Range
    tubes: float
    bodies: Range
    wall: float
    contrast: Range
    texture: Range
    rim: float
    noise: Range
    blur: Range
    thickness: Range
    bias: float
    either_sign: bool
    kind: Literal["window", "zscore", "percentile"]
    low: float
    high: float


LUNG_CT = Modality(
    parenchyma=(-900, -800),
    layers=35,
    grain=(10, 40),
    tubes=880,
    bodies=(-40, 60),
    wall=40,
    contrast=(250, 920),
    texture=(15, 170),
    rim=550,
    noise=(8, 45),
    blur=(0.3, 0.9),
    thickness=(1, 4),
    bias=0.0,
    either_sign=False,
    kind="window",
    low=-1000,
    high=1000,
)
SOFT_CT = Modality(
    parenchyma=(60, 110),
    layers=10,
    grain=(2, 8),
    tubes=60,
    bodies=(-70, 50),
    wall=-100,
    contrast=(-25, -120),
    texture=(4, 45),
    rim=140,
    noise=(4, 14),
    blur=(0.3, 0.9),
    thickness=(1, 4),
    bias=0.0,
    either_sign=False,
    kind="window",
    low=-200,
    high=300,
)
ANGIO_CT = Modality(
    parenchyma=(20, 70),
    layers=15,
    grain=(3, 10),
    tubes=90,
    bodies=(-80, 60),
    wall=-100,
    contrast=(70, 280),
    texture=(4, 40),
    rim=0,
    noise=(5, 18),
    blur=(0.3, 0.9),
    thickness=(1, 3),
    bias=0.0,
    either_sign=False,
    kind="window",
    low=-200,
    high=300,
)
MR = Modality(
    parenchyma=(0.9, 1.1),
    layers=0.12,
    grain=(0.02, 0.08),
    tubes=-0.5,
    bodies=(-0.4, 0.5),
    wall=0.08,
    contrast=(0.2, 1.1),
    texture=(0.03, 0.4),
    rim=1.1,
    noise=(0.02, 0.09),
    blur=(0.3, 0.9),
    thickness=(1, 4),
    bias=0.25,
    either_sign=True,
    kind="zscore",
    low=-5,
    high=5,
)
PET = Modality(
    parenchyma=(0.8, 1.2),
    layers=0.2,
    grain=(0.03, 0.12),
    tubes=0.4,
    bodies=(-0.5, 1.0),
    wall=0.05,
    contrast=(1.2, 7.0),
    texture=(0.2, 2.4),
    rim=5.0,
    noise=(0.08, 0.3),
    blur=(0.7, 1.6),
    thickness=(1, 3),
    bias=0.0,
    either_sign=False,
    kind="percentile",
    low=0,
    high=99.5,
)
