"""Binary tasks on one simulated cohort: features, measured quantities, and labels made from them.

The cohort is that of `medfs.synthesis.cohorts`; nothing real is read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.stats import rankdata

from medfs.core.cases import Case, Cohort
from medfs.core.features import Features
from medfs.core.volumes import Provenance, Volume
from medfs.preprocess.presets import load_preset
from medfs.storage.tensors import TensorCache
from medfs.synthesis.cohorts import SimulatedCase, simulate_cohort
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.embed import Embedder, Failed, embed
from medfs.workflows.sources import ArraySource

SHELL_MM = 3.0
CLASSES = ("no", "yes")
SIGNAL_FREE = "no signal"
NOISY = ", noisy"


@dataclass(frozen=True, eq=False)
class Simulation:
    """Features of every case, and what was measured on it (`quantities`, one value per case)."""

    cases: tuple[str, ...]
    patients: tuple[str, ...]
    features: dict[str, Features]
    quantities: dict[str, Float[np.ndarray, "case"]]


@dataclass(frozen=True, eq=False)
class SimulatedTask:
    """A labelling of the simulated cases."""

    name: str
    cohort: Cohort


def simulate(
    n_per_class: int, seed: int, cache: Path | None, progress: Callable[[str], None]
) -> Simulation:
    """Simulate the cohort one case at a time; the features are those of `medfs adapt`."""
    device = choose_device("cpu")
    encoders = build_encoders(("radiomics",), {}, device)
    embedder = Embedder(encoders, load_preset("ct-lung"), device=device, cache=TensorCache(cache))
    simulated = list(simulate_cohort(n_per_class, seed))
    progress(f"{len(simulated)} cases simulated")
    sources = [_source(case) for case in simulated]
    features: dict[str, Features] = {}
    for result in embed(embedder, sources):
        if isinstance(result, Failed):
            raise result.error
        features[result.case.case_id] = result.features
    progress("features computed")
    measured = [_measure(case) for case in simulated]
    return Simulation(
        tuple(case.case_id for case in simulated),
        tuple(case.patient_id for case in simulated),
        features,
        {name: np.array([m[name] for m in measured]) for name in measured[0]},
    )


def tasks_of(simulation: Simulation, seed: int) -> list[SimulatedTask]:
    """Each quantity split at its median, as it is and with as much noise as signal; and noise.

    Clean splits are easier than life: the noise added to the rank (of the same variance) makes
    tasks that no classifier can solve. Random labels are a task with nothing to learn.
    """
    rng = np.random.default_rng(seed)
    tasks = []
    for name, values in simulation.quantities.items():
        tasks.append(_split(simulation, name, values))
        rank = rankdata(values)
        rank = (rank - rank.mean()) / rank.std()
        tasks.append(_split(simulation, f"{name}{NOISY}", rank + rng.normal(size=len(rank))))
    return [*tasks, _split(simulation, SIGNAL_FREE, rng.normal(size=len(simulation.cases)))]


def _split(simulation: Simulation, name: str, values: Float[np.ndarray, "case"]) -> SimulatedTask:
    above = values > np.median(values)
    rows = zip(simulation.cases, simulation.patients, above, strict=True)
    cases = tuple(
        Case(case, patient, Path(case), label=CLASSES[int(label)]) for case, patient, label in rows
    )
    return SimulatedTask(name, Cohort(cases))


def _source(case: SimulatedCase) -> ArraySource:
    provenance = Provenance("simulation", (case.case_id,), case.case_id)
    volume = Volume(case.voxels[None], case.affine, "CT", "HU", provenance)
    return ArraySource(Case(case.case_id, case.patient_id, Path(case.case_id)), volume, case.mask)


def _measure(case: SimulatedCase) -> dict[str, float]:
    """What can be measured on a scan with its mask; `irregularity` is the simulated class."""
    spacing = np.linalg.norm(case.affine[:3, :3], axis=0)
    inside = float(case.voxels[case.mask].mean())
    away = ndimage.distance_transform_edt(~case.mask, sampling=spacing)
    shell = (away > 0) & (away <= SHELL_MM)
    return {
        "irregularity": float(case.label != "smooth"),
        "volume": float(np.log(case.mask.sum() * spacing.prod())),
        "density": inside,
        "contrast": inside - float(case.voxels[shell].mean()),
        "elongation": _elongation(case.mask, spacing),
    }


def _elongation(mask: Bool[np.ndarray, "x y z"], spacing: Float[np.ndarray, "3"]) -> float:
    """Longest principal axis of the region over its shortest."""
    points = np.argwhere(mask) * spacing
    variances = np.linalg.eigvalsh(np.cov(points.T) + np.diag(spacing**2 / 12))
    return float(np.sqrt(variances[-1] / variances[0]))
