"""A simulated cohort: CT crops of smooth and spiculated pulmonary nodules."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int16

from medfs.synthesis.anatomy import paint_vessels, paint_wall
from medfs.synthesis.grid import Field
from medfs.synthesis.nodules import NoduleFactors, draw_factors, draw_surface, paint
from medfs.synthesis.scanner import (
    ScannerFactors,
    acquire,
    draw_scanner,
    lung_texture,
    slice_average,
)

# Mean irregularity of each class. With the spread below the classes overlap on purpose: no
# classifier can be perfect, as in life.
IRREGULARITY = {"smooth": 0.2, "spiculated": 0.75}
IRREGULARITY_SPREAD = 0.13
SOFT_TISSUE_HU = 35.0
# One case in eight of a class is the second nodule of the patient before it.
SECOND_NODULE = (8, 5)


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

    Only the irregularity of the boundary depends on the class. Size, elongation, density, margin,
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
    scanner = draw_scanner(np.random.default_rng(np.random.SeedSequence((seed, 0, patient))))
    rng = np.random.default_rng(np.random.SeedSequence((seed, 1, case)))
    irregularity = float(np.clip(rng.normal(IRREGULARITY[label], IRREGULARITY_SPREAD), 0, 1))
    factors = draw_factors(irregularity, rng)
    nodule, surroundings = _anatomy(factors, scanner, rng)
    voxels = acquire(_tissue(factors, scanner, nodule, surroundings, rng), scanner, rng)
    return SimulatedCase(
        f"case-{case + 1:04d}",
        f"patient-{patient + 1:04d}",
        label,
        voxels,
        nodule >= 0.5,
        scanner.affine,
    )


def _anatomy(
    factors: NoduleFactors, scanner: ScannerFactors, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Share of each voxel of the scan filled by the nodule, and by other soft tissue."""
    fine = scanner.fine_grid
    nodule = paint(factors, draw_surface(factors, rng), fine)
    clearance = factors.diameter / 2 + float(np.linalg.norm(factors.centre))
    others = np.maximum(paint_vessels(fine, rng), paint_wall(fine, clearance, rng))
    # Where they meet, the nodule stays whole.
    others = np.minimum(others, 1 - nodule)
    return slice_average(nodule, scanner.substeps), slice_average(others, scanner.substeps)


def _tissue(
    factors: NoduleFactors,
    scanner: ScannerFactors,
    nodule: Field,
    others: Field,
    rng: np.random.Generator,
) -> Field:
    """HU of each voxel before the scanner's blur and noise."""
    lung = np.float32(scanner.parenchyma) + lung_texture(scanner, rng)
    # Real nodules are not uniform either: the lung's texture goes through, fainter.
    within = np.float32(factors.density) + np.float32(0.4) * (lung - np.float32(scanner.parenchyma))
    return lung * (1 - nodule - others) + within * nodule + np.float32(SOFT_TISSUE_HU) * others
