"""Does meta-training on some kinds of synthetic volumes help on kinds that it never saw?

    python benchmarks/held_out_families.py --out DIR

Every trainable mapper is meta-trained by `configs/meta-train/radiomics.yaml`: lesions, vessels and
organs of some kinds of scans. New tasks are of the kinds that the recipe keeps for validation. Both
the mapper as it comes, without meta-training, and the trained one judge the very same tasks. The
first run encodes the pools, which takes minutes; the trained mappers stay in DIR.
"""

import argparse
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from posterior_predictive import TRAINABLE
from tables import markdown, progress, section, write_json

from medfs.core.tasks import TaskBatch
from medfs.mappers.learners import FeatureLearner
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, build_mapper
from medfs.workflows.meta.config import MetaConfig, load_config
from medfs.workflows.meta.families import SyntheticTasks
from medfs.workflows.meta.run import MetaRequest
from medfs.workflows.meta.sources import Workshop, mixture
from medfs.workflows.meta.train import MAPPER, meta_train, query_losses

RECIPE = "radiomics"
# The pool of the test: other seeds than those of the recipe.
TEST_SEED, TEST_POOL, TASKS_AT_ONCE = 2, 200, 32


@dataclass(frozen=True)
class Row:
    """Accuracy in per cent and loss, two-way; the gain with its 95 % interval over tasks."""

    mapper: str
    n_shot: int
    accuracy: float
    trained_accuracy: float
    gain: float
    half_width: float
    loss: float
    trained_loss: float
    seconds: float


def main() -> None:
    args = _arguments()
    config = load_config(RECIPE)
    encoders = build_encoders(config.features, {}, torch.device("cpu"))
    workshop = Workshop(encoders, torch.device("cpu"), TensorCache.default(), TASKS_AT_ONCE)
    tests = {k: _tests(config, k, workshop, args.batches) for k in args.shots}
    rows = []
    for name in args.mapper:
        file, seconds = _trained(config, name, args.out)
        plain = FeatureLearner(build_mapper(name, encoders).float())  # type: ignore[attr-defined]
        trained = build_mapper(f"{name}={file}", encoders)
        learned = FeatureLearner(trained.float())  # type: ignore[attr-defined]
        rows += [_row(name, k, plain, learned, tests[k], seconds) for k in args.shots]
    section("Kinds of volumes that were never trained on", _table(rows))
    write_json(args.out / "held_out.json", {"schema_version": 1, "rows": [asdict(r) for r in rows]})


def _trained(config: MetaConfig, name: str, out: Path) -> tuple[Path, float]:
    """The mapper file; trained before, or now."""
    file = out / name / MAPPER
    since = time.perf_counter()
    if not file.is_file():
        progress(f"{name}: meta-training")
        meta_train(MetaRequest(config.with_mapper(name), out / name, resume=True, device="cpu"))
    return file, time.perf_counter() - since


def _tests(config: MetaConfig, n_shot: int, workshop: Workshop, n_batches: int) -> list[TaskBatch]:
    """Two-way tasks; the pool is the same for every number of shots."""
    sources = {}
    for name, source in config.validation.items():
        assert isinstance(source, SyntheticTasks)  # noqa: S101
        pooled = replace(source, seed=TEST_SEED, pool=TEST_POOL, n_way=(2,))
        # All ways and shots are pooled, so that every test reads the same cases.
        sources[name] = replace(pooled, n_shot=(n_shot,)), max(source.n_shot)
    ((single, most),) = sources.values()
    whole = mixture({"test": replace(single, n_shot=(n_shot, most))}, workshop)
    rng, kept = np.random.default_rng([TEST_SEED, n_shot]), []
    while len(kept) < n_batches:
        batch = whole.sample(rng).item
        if batch.support.shape[1] == 2 * n_shot:
            kept.append(batch)
    return kept


@torch.no_grad()
def _judged(learner: FeatureLearner, tests: list[TaskBatch]) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and loss of every task."""
    hits, losses = [], []
    for batch in tests:
        logits = learner(batch)
        right = (logits.argmax(dim=-1) == batch.query_labels).float()
        hits.append((right * batch.query_weights).sum(dim=1))
        losses.append(query_losses(logits, batch))
    return torch.cat(hits).numpy(), torch.cat(losses).numpy()


def _row(
    name: str,
    n_shot: int,
    plain: FeatureLearner,
    learned: FeatureLearner,
    tests: list[TaskBatch],
    seconds: float,
) -> Row:
    (before, loss), (after, trained_loss) = (_judged(one, tests) for one in (plain, learned))
    gain = 100 * (after - before)
    half = 1.96 * gain.std(ddof=1) / len(gain) ** 0.5
    figures = (100 * before.mean(), 100 * after.mean(), gain.mean(), half, loss.mean())
    return Row(name, n_shot, *map(float, figures), float(trained_loss.mean()), seconds)


def _table(rows: list[Row]) -> str:
    head = ("mapper", "shots", "untrained, %", "meta-trained, %", "gain (95 %)", "loss", "trained")
    cells = [
        (
            r.mapper,
            str(r.n_shot),
            f"{r.accuracy:.1f}",
            f"{r.trained_accuracy:.1f}",
            f"{r.gain:+.1f} ± {r.half_width:.1f}",
            f"{r.loss:.2f}",
            f"{r.trained_loss:.2f}",
        )
        for r in rows
    ]
    return markdown(head, cells)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mapper", nargs="+", default=list(TRAINABLE))
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5, 10])
    parser.add_argument("--batches", type=int, default=40, help=f"of {TASKS_AT_ONCE} test tasks")
    parser.add_argument("--out", type=Path, required=True, help="folder for mappers and numbers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
