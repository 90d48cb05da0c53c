"""A simulated cohort on disk and in memory."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from medfs.scans.write import write_nifti
from medfs.synthesis.cohorts import SimulatedCase, simulate_cohort


@dataclass(frozen=True)
class Simulated:
    """Cases with the files they were written to."""

    cases: list[SimulatedCase]
    images: list[Path]
    masks: list[Path]

    @property
    def labels(self) -> list[str]:
        return [c.label for c in self.cases]

    @property
    def patients(self) -> list[str]:
        return [c.patient_id for c in self.cases]

    @property
    def masked(self) -> list[dict[str, Path]]:
        pairs = zip(self.images, self.masks, strict=True)
        return [{"image": image, "mask": mask} for image, mask in pairs]


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MEDFS_CACHE", str(tmp_path_factory.getbasetemp() / "feature-cache"))


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> Simulated:
    """Four cases of each class; every case is a patient of its own."""
    folder = tmp_path_factory.mktemp("simulated")
    cases = list(islice(simulate_cohort(4, 1), 8))
    images = [folder / f"{c.case_id}.nii.gz" for c in cases]
    masks = [folder / f"{c.case_id}_mask.nii.gz" for c in cases]
    for case, image, mask in zip(cases, images, masks, strict=True):
        write_nifti(image, case.voxels, case.affine, "int16")
        write_nifti(mask, case.mask, case.affine, "uint8")
    return Simulated(cases, images, masks)
