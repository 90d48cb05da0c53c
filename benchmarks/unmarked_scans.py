"""Scans in which nothing is marked: which features serve, from one case of each class on?

    python benchmarks/unmarked_scans.py --volumes DIR --out unmarked.json

DIR holds `head_label_maps` (SynthSeg), from which scans are rendered (`rehearsal_tasks.py`): five
nuclei in cubes of MR, and PET of whole heads in which the striatum or the back of the cortex has
lost uptake in one of two classes. No mask is given, and Otsu's threshold says what the region is.
Supports are drawn at random, cases of all heads that none of them has are the queries, and methods
are paired. AUROC: mean over pairs of classes for five nuclei.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rehearsal_tasks import Cut, unmarked, write_case
from tables import markdown, progress, section, write_json

from medfs.core.cases import Case
from medfs.core.mapping import Mapper
from medfs.core.threads import single_thread
from medfs.metrics.discrimination import macro_auroc
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, choose_device, choose_preset
from medfs.workflows.embed import Embedded, Embedder, embed_all
from medfs.workflows.fit import support_set
from medfs.workflows.recipes import PLAIN, SHIPPED, recipe
from medfs.workflows.sources import FileSource

SHOTS = (1, 2, 5, 10)
# Without masks `auto` keeps to the last one, unless left-out cases clearly prefer another.
METHODS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "radiomics, medfs-base": (("radiomics",), SHIPPED),
    "radiomics, ridge": (("radiomics",), PLAIN),
    "layout, ridge": (("layout",), PLAIN),
    "radiomics + layout, ridge": (("radiomics", "layout"), PLAIN),
}


def main() -> None:
    args = _arguments()
    rows: list[dict[str, Any]] = []
    heads = sorted((args.volumes / "head_label_maps").glob("*.nii.gz"))
    for task, cases in unmarked(heads).items():
        progress(f"{task}: {len(cases)} scans")
        read = _read(cases)
        with single_thread(), torch.no_grad():
            rows += [_judged(task, k, read, args.draws) for k in SHOTS]
    head = ["task", "K", *METHODS]
    section("AUROC", markdown(head, [_cells(row) for row in rows]))
    write_json(args.out, {"rows": rows})


def _read(cases: Sequence[Cut]) -> list[Embedded]:
    encoders = build_encoders(("radiomics", "layout"), {}, choose_device("cpu"))
    with tempfile.TemporaryDirectory(prefix="medfs-unmarked-") as folder:
        sources = [
            FileSource(Case(c.name, c.patient, write_case(c, Path(folder)), None, c.label), False)
            for c in cases
        ]
        preset, _ = choose_preset("pet" if cases[0].spacing[0] > 1 else "mr", sources)
        done, failed = embed_all(Embedder(encoders, preset, cache=TensorCache(None)), sources)
    assert not failed  # noqa: S101
    return done


def _judged(task: str, k: int, read: Sequence[Embedded], draws: int) -> dict[str, Any]:
    """Mean AUROC of every method over the same draws of a support."""
    labels = np.array([d.case.label for d in read])
    heads = np.array([d.case.patient_id for d in read])
    encoders = build_encoders(("radiomics", "layout"), {}, choose_device("cpu"))
    made = {name: _method(encoders, *parts) for name, parts in METHODS.items()}
    found: dict[str, list[float]] = {name: [] for name in made}
    for draw in range(draws):
        rng = np.random.default_rng([draw, k])
        here = np.concatenate(
            [rng.permutation(np.flatnonzero(labels == c))[:k] for c in np.unique(labels)]
        )
        there = np.flatnonzero(~np.isin(heads, heads[here]))
        if len(np.unique(labels[there])) == len(np.unique(labels)):
            for name, (identities, mapper) in made.items():
                found[name].append(_auroc(read, here, there, identities, mapper))
    return {"task": task, "shots": k, "draws": len(next(iter(found.values()))), "auroc": found}


def _method(
    encoders: Sequence[Any], features: Sequence[str], mapper: str
) -> tuple[tuple[str, ...], Mapper]:
    chosen = [e for e in encoders if e.name in features]
    return tuple(e.identity for e in chosen), recipe(mapper, chosen).mapper


def _auroc(
    read: Sequence[Embedded],
    here: Sequence[int],
    there: Sequence[int],
    identities: tuple[str, ...],
    mapper: Mapper,
) -> float:
    features = [d.features.pick(identities) for d in read]
    names = [str(d.case.label) for d in read]
    support = support_set(
        [features[i] for i in here], [names[i] for i in here], [f"{i}" for i in here]
    )
    query = type(features[0]).stack([features[i] for i in there])
    probabilities = torch.softmax(mapper(support).logits(query), dim=1).numpy()
    truth = np.array([support.class_names.index(names[i]) for i in there])
    return macro_auroc(probabilities, truth)


def _cells(row: Mapping[str, Any]) -> list[str]:
    means = [f"{np.mean(values):.3f}" if values else "" for values in row["auroc"].values()]
    return [row["task"], str(row["shots"]), *means]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--volumes", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=30, help="supports of every shot count")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
