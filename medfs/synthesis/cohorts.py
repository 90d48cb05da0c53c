"""A simulated cohort: CT crops of smooth and spiculated pulmonary nodules."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int16

from medfs.core.threads import single_thread
from medfs.synthesis.ct_scanner import CROP_MM, Scanner
from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import Positions
from medfs.synthesis.modalities import LUNG_CT
from medfs.synthesis.render import N_STYLES, tissue
from medfs.synthesis.scenes import scene_of
from medfs.synthesis.structures import draw_region
from medfs.synthesis.surroundings import layered

# Mean irregularity of each class. With the spread below the classes overlap on purpose: no
# classifier can be perfect, as in life.
IRREGULARITY = {"smooth": 0.2, "spiculated": 0.8}
IRREGULARITY_SPREAD = 0.17
# Range of every other factor, 0 … 1: one nodule that can be told from the lung around it.
OTHERS = {
    "size": (0.0, 1.0),
    "elongation": (0.0, 0.35),
    "count": (0.0, 0.0),
    "asymmetry": (0.0, 0.2),
    "texture_scale": (0.0, 1.0),
    "texture_amplitude": (0.0, 0.5),
    "contrast": (0.45, 1.0),
    "rim": (0.0, 0.5),
    "site": (0.2, 1.0),
}
N_VESSELS = 7
# One case in eight of a class is the second nodule of the patient before it.
SECOND_NODULE = (8, 5)
_NODULE = replace(scene_of("lesion-ct"), field_mm=CROP_MM, size=(0.1, 0.18))


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedCase:
    """One simulated scan.

    Attributes:
        case_id: differs for every scan.
        patient_id: shared by the nodules of one patient, who are scanned with the same settings.
        label: `smooth` or `spiculated`.
        voxels: (x, y, z), HU.
        mask: (x, y, z), the true nodule: voxels at least half of which it fills.
        affine: voxel index to mm, RAS+.
    """

    case_id: str
    patient_id: str
    label: str
    voxels: Int16[np.ndarray, "x y z"]
    mask: Bool[np.ndarray, "x y z"]
    affine: Float[np.ndarray, "4 4"]


def simulate_cohort(n_per_class: int, seed: int) -> Iterator[SimulatedCase]:
    """CT-like crops of about 40 mm around a nodule, the two classes in turn.

    Only the irregularity of the boundary depends on the class. Size, elongation, density, texture,
    place, surroundings and scanner vary within both alike. Each case has its own generators, so it
    is the same however many are simulated.

    Args:
        n_per_class: cases of each class.
        seed: of the whole cohort, not negative.
    """
    for index in range(n_per_class):
        for column, label in enumerate(IRREGULARITY):
            yield _simulate(index, column, label, seed)


def _simulate(index: int, column: int, label: str, seed: int) -> SimulatedCase:
    period, place = SECOND_NODULE
    of_patient = index - 1 if index % period == place else index
    case, patient = (len(IRREGULARITY) * i + column for i in (index, of_patient))
    scanner = Scanner.drawn(_dice(seed, 0, patient))
    dice = _dice(seed, 1, case)
    with single_thread():
        voxels, mask = _scan(_positions(label, dice), scanner, dice)
    return SimulatedCase(
        f"case-{case + 1:04d}", f"patient-{patient + 1:04d}", label, voxels, mask, scanner.affine
    )


def _dice(*numbers: int) -> Dice:
    """Dice of their own for every combination of numbers."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return Dice.of(torch.Generator().manual_seed(int(state[0] >> np.uint64(1))))


def _positions(label: str, dice: Dice) -> Positions:
    """All factors of one nodule; only the irregularity depends on the class."""
    irregularity = IRREGULARITY[label] + IRREGULARITY_SPREAD * dice.normal(1)
    others = {name: dice.uniform(low, high, 1) for name, (low, high) in OTHERS.items()}
    return others | {"irregularity": irregularity.clamp(0, 1)}


def _scan(
    positions: Positions, scanner: Scanner, dice: Dice
) -> tuple[Int16[np.ndarray, "x y z"], Bool[np.ndarray, "x y z"]]:
    """Voxels in HU, and the mask of the nodule."""
    space, style = scanner.fine, torch.zeros(1, N_STYLES)
    region = draw_region(_NODULE, positions, style[:, 0], dice, space)
    base = layered(LUNG_CT, dice, space)
    white = dice.noise(1, *space.shape)
    hu = tissue(_NODULE, LUNG_CT, positions, style, region, base, white, dice, N_VESSELS)
    mask = scanner.sliced(region.share)[0] >= 0.5
    return scanner.scan(hu, dice), mask.numpy()
