"""MAML with the whole encoder, on one cell of the frozen benchmark of real shapes.

    medfs meta-train --config maml-shapes --out runs/maml
    python benchmarks/maml_end_to_end.py --benchmark DIR --mapper runs/maml/mapper.safetensors

The encoder was trained on synthetic shapes alone. For every episode it descends on the support,
then reads the queries. Beside it on the same episodes: the same encoder, frozen, with nearest class
means; and the default, `ridge` on radiomics, without a temperature either.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tables import markdown, progress, section, write_json
from torch import Tensor

from medfs.core.episodes import Episode
from medfs.core.tasks import TaskBatch, balanced
from medfs.export.mapper_file import MapperFile, read_mapper
from medfs.features.stages import StageNet
from medfs.mappers.learners import EndToEndLearner, EndToEndMAML
from medfs.mappers.prototype import Prototype
from medfs.metrics.episodes import EpisodeOutcome, summarize_episodes
from medfs.metrics.paired import paired_differences
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, build_mapper
from medfs.workflows.judging import Known, answers, uncalibrated
from medfs.workflows.meta.cases import volumes_of
from medfs.workflows.sources import FileSource
from medfs.workflows.tasks import Task, embed_task, frozen_tasks

CPU = torch.device("cpu")
# The grid of the recipe over the field of the shipped preset.
PRESET = """
summary: the shape itself on a small grid
kinds: [shape]
spacing_mm: [3.0, 3.0, 3.0]
shape: [16, 16, 16]
margin_mm: 5.0
intensity: {kind: percentile, low: 0.0, high: 99.5}
region: half-maximum
"""


def main() -> None:
    args = _arguments()
    (task,) = frozen_tasks(args.benchmark, [args.task])
    progress("reading")
    items = _items(task)
    default = build_encoders(("radiomics",), {}, CPU)
    known = embed_task(task, default, "auto", CPU, TensorCache.default(), True, None)
    (shots,) = [s for s in task.episodes(known.usable) if s.n_shot == args.shots]
    drawn = shots.drawn[: args.episodes]
    maml, frozen = _learners(read_mapper(args.mapper))
    seconds: dict[str, float] = {}
    outcomes: dict[str, list[EpisodeOutcome]] = {}
    for name, learner in {"MAML end to end": maml, "its encoder, frozen": frozen}.items():
        progress(name)
        since = time.perf_counter()
        outcomes[name] = [_outcome(learner, e, items, task, known.patient_of) for e in drawn]
        seconds[name] = (time.perf_counter() - since) / len(drawn)
    since, seen = time.perf_counter(), Known(task.class_names, known.patient_of, known.features)
    ridge = build_mapper("ridge", default)
    outcomes["ridge on radiomics"] = answers(seen, drawn, uncalibrated(ridge))
    seconds["ridge on radiomics"] = (time.perf_counter() - since) / len(drawn)
    section(f"{task.name}, K = {args.shots}, {len(drawn)} episodes", _table(outcomes, seconds))
    rows = {name: summarize_episodes(found).as_dict() for name, found in outcomes.items()}
    write_json(args.out, {"schema_version": 1, "rows": rows, "seconds": seconds})


def _items(task: Task) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        preset = Path(folder) / "small.yaml"
        preset.write_text(PRESET)
        sources = [FileSource(case, True) for case in task.cohort.cases]
        return volumes_of(sources, str(preset), lambda _: None, _tell)


def _tell(texts: Sequence[str]) -> None:
    for text in texts:
        progress(text)


def _learners(file: MapperFile) -> tuple[EndToEndMAML, EndToEndLearner]:
    widths = file.training["config"]["encoder"]["widths"]
    net = StageNet(widths)
    maml = EndToEndMAML(net, net.n_features, **file.settings)
    maml.load_state_dict(file.tensors)
    return maml, EndToEndLearner(net, Prototype(net.n_features, "none"))


def _outcome(
    learner: torch.nn.Module,
    episode: Episode,
    items: dict[str, Tensor],
    task: Task,
    patient_of: dict[str, str],
) -> EpisodeOutcome:
    (support, labels), (query, asked) = (
        _side(side, task.class_names) for side in (episode.support, episode.query)
    )
    n_way = len(task.class_names)
    batch = TaskBatch(
        torch.stack([items[case] for case in support])[None],
        labels[None],
        balanced(labels[None], n_way),
        torch.stack([items[case] for case in query])[None],
        asked[None],
        balanced(asked[None], n_way),
        n_way,
    )
    with torch.no_grad():
        probabilities = torch.softmax(learner(batch)[0].double(), dim=1)
    patients = np.array([patient_of[case] for case in query])
    return EpisodeOutcome(probabilities.numpy(), asked.numpy(), patients)


def _side(
    cases: dict[str, tuple[str, ...]], class_names: tuple[str, ...]
) -> tuple[list[str], Tensor]:
    named = [(case, k) for k, name in enumerate(class_names) for case in cases[name]]
    return [case for case, _ in named], torch.tensor([k for _, k in named])


def _table(outcomes: dict[str, list[EpisodeOutcome]], seconds: dict[str, float]) -> str:
    first = next(iter(outcomes.values()))
    rows = []
    for name, found in outcomes.items():
        auroc = summarize_episodes(found).auroc
        gap = paired_differences(first, found)["auroc"]
        rows.append(
            (
                name,
                f"{auroc.mean:.3f} ({auroc.low:.3f}–{auroc.high:.3f})",
                f"{gap.mean:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})",
                f"{seconds[name]:.2f}",
            )
        )
    return markdown(("", "AUROC (95 %)", "MAML minus it", "s per episode"), rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--benchmark", type=Path, required=True, help="folder of frozen episodes")
    parser.add_argument("--mapper", type=Path, required=True, help="what meta-train wrote")
    parser.add_argument("--task", default="vessels")
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=100, help="the first so many")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
