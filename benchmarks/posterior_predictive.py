"""How much of the best possible accuracy does meta-training reach?

    python benchmarks/posterior_predictive.py

A family of 5-way tasks on 32 numbers with known variances between and within classes: the posterior
predictive is the best classifier that any method can make of a support. Every trainable mapper is
meta-trained on tasks of the family with 1, 2, 5 and 10 shots, then judged on new tasks. With it go
the mapper as it is without meta-training, and the best classifier, on the very same tasks.
"""

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tables import markdown, progress, section, write_json

from medfs.core.tasks import TaskBatch
from medfs.export.mapper_file import read_mapper
from medfs.mappers.learners import FeatureLearner
from medfs.synthesis.gaussian import GaussianFamily
from medfs.workflows.meta.config import parse_config
from medfs.workflows.meta.learners import build_learner
from medfs.workflows.meta.run import MetaRequest
from medfs.workflows.meta.train import MAPPER, judge, meta_train
from medfs.workflows.registries import MAPPERS

TRAINABLE = ("prototype", "simpleshot", "r2d2", "simple-cnaps", "anil", "maml", "hyper")
N_FEATURES, N_WAY, N_QUERY = 32, 5, 15
# The family of the test; the seeds of its tasks are used nowhere else.
FAMILY, TEST_SEED = 5, 12345


@dataclass(frozen=True)
class Row:
    """Accuracy in per cent on the same test tasks."""

    mapper: str
    n_shot: int
    best: float
    untrained: float
    trained: float
    seconds: float


def main() -> None:
    args = _arguments()
    tests = {k: _test_tasks(k, args.test_tasks) for k in args.shots}
    family = GaussianFamily.drawn(N_FEATURES, FAMILY)
    best = {k: _accuracy(family.posterior_predictive, test) for k, test in tests.items()}
    rows = []
    for name in args.mapper:
        progress(f"{name}: meta-training")
        since = time.perf_counter()
        trained = _meta_trained(name, args.steps)
        seconds = time.perf_counter() - since
        untrained = FeatureLearner(MAPPERS.load(name)(N_FEATURES))
        for k, test in tests.items():
            plain, learned = _accuracy(untrained, test), _accuracy(trained, test)
            rows.append(Row(name, k, best[k], plain, learned, seconds))
    section("Accuracy against the posterior predictive", _table(rows))
    write_json(args.out, {"schema_version": 1, "rows": [asdict(row) for row in rows]})


def _meta_trained(name: str, steps: int) -> FeatureLearner:
    source = {
        "kind": "gaussian",
        "n_features": N_FEATURES,
        "family": FAMILY,
        "n_way": [N_WAY],
        "n_shot": [1, 2, 5, 10],
        "n_query": N_QUERY,
    }
    config = parse_config(
        {
            "mapper": {"name": name, "settings": {"embedding": "population", "hidden": 32}},
            "train": {"family": source},
            "validation": {"family": source},
            "optimiser": {"rate": 0.02},
            "loop": {"steps": steps, "tasks": 16, "validate_every": 100, "validation_batches": 16},
        },
        "benchmark",
    )
    with tempfile.TemporaryDirectory() as folder:
        request = MetaRequest(config, Path(folder) / name, device="cpu", use_cache=False)
        meta_train(request)
        tensors = read_mapper(request.out / MAPPER).tensors
    learner = build_learner(config, N_FEATURES)
    learner.load_state_dict(tensors)
    assert isinstance(learner, FeatureLearner)  # noqa: S101
    return learner


def _test_tasks(n_shot: int, n_tasks: int) -> TaskBatch:
    generator = torch.Generator().manual_seed(TEST_SEED + n_shot)
    family = GaussianFamily.drawn(N_FEATURES, FAMILY)
    return family.sample(n_tasks, N_WAY, n_shot, N_QUERY, generator)


def _accuracy(learner: object, test: TaskBatch) -> float:
    assert callable(learner)  # noqa: S101
    return 100 * judge(learner, [test])[1]


def _table(rows: list[Row]) -> str:
    head = ("mapper", "shots", "posterior predictive", "untrained", "meta-trained", "gap", "s")
    cells = [
        (
            row.mapper,
            str(row.n_shot),
            f"{row.best:.2f}",
            f"{row.untrained:.2f}",
            f"{row.trained:.2f}",
            f"{row.best - row.trained:.2f}",
            f"{row.seconds:.0f}",
        )
        for row in rows
    ]
    return markdown(head, cells)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mapper", nargs="+", default=list(TRAINABLE))
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--test-tasks", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
