"""Writes into a mapper file what supports of its training tasks look like.

    python benchmarks/familiar_tasks.py --mapper medfs/shipped/medfs-base.safetensors

A file of `medfs meta-train` holds this already. The one that comes with medfs gets it from the
synthetic tasks of its recipe alone, so that what is later called familiar of a real cohort does not
rest on that cohort. φ stays as it is. A quarter of an hour, unless the encoded tasks are in the
cache.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tables import markdown, progress

from medfs.export.mapper_file import read_mapper, write_mapper
from medfs.mappers.familiarity import QUANTILES, STATISTICS, Familiarity, familiarity_of
from medfs.storage.files import sha256
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.meta.config import load_config
from medfs.workflows.meta.sources import Workshop, mixture
from medfs.workflows.recipes import shipped_identity

RECIPE = "medfs-synthetic"
SIZES = ("2–3", "4–7", "8–15", "16–31", "32 or more")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mapper", type=Path, required=True, help="file to add to")
    parser.add_argument("--tasks", type=int, default=10_000)
    args = parser.parse_args()
    found = usual(args.tasks)
    mapper = read_mapper(args.mapper)
    phi = {n: t for n, t in mapper.tensors.items() if n.startswith("mapper.")}
    made = replace(mapper, tensors={**phi, **found.tensors()})
    write_mapper(args.mapper, made)
    content = args.mapper.read_bytes()
    print(table(found))
    print(f"\n{shipped_identity(made)}, {len(content):,} bytes, sha256 {sha256(content)}")


def usual(n_tasks: int) -> Familiarity:
    """Of so many tasks of the recipe."""
    torch.set_num_threads(1)
    config, cpu = load_config(RECIPE), choose_device("cpu")
    encoders = build_encoders(config.features, {}, cpu)
    workshop = Workshop(encoders, cpu, TensorCache.default(), config.loop.tasks)
    progress("encoding tasks, unless they are known")
    source, rng = mixture(config.train, workshop), np.random.default_rng([config.seed, 3])
    n_batches = -(-n_tasks // config.loop.tasks)
    return familiarity_of([source.sample(rng).item for _ in range(n_batches)])


def table(known: Familiarity) -> str:
    """Limits by the number of cases."""
    head = ["cases", *(f"{name}, {q:.1%}" for name in STATISTICS for q in QUANTILES)]
    rows = [
        [size, *(f"{v:.3f}" for v in known.usual[:, place].flatten().tolist())]
        for place, size in enumerate(SIZES)
    ]
    return markdown(head, rows)


if __name__ == "__main__":
    main()
