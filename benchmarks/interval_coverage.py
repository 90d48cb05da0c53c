"""How often 95 % intervals of an AUROC hold, over simulated studies of a few patients.

    python benchmarks/interval_coverage.py --studies 500 --patients 10

A study draws `--patients` patients per class (39 normal features, some of them shifted), adapts a
classifier to them and estimates its AUROC by leaving pairs out. The truth is the AUROC of that very
classifier on 4,000 new patients. Newcombe's and DeLong's intervals and the percentile bootstrap
take the scores as given; `learner` is what medfs prints. DeLong and the bootstrap read scores of
patients that were left out one pair at a time, averaged over the pairs.
"""

import argparse

import numpy as np
import torch

from medfs.core.episodes import SupportSet
from medfs.core.features import Features
from medfs.mappers.prototype import Prototype
from medfs.mappers.ridge import Ridge
from medfs.metrics.delong import delong_interval
from medfs.metrics.discrimination import auroc, auroc_replicates
from medfs.metrics.intervals import (
    learner_auroc,
    newcombe_auroc,
    patient_bootstrap_weights,
    percentile_interval,
)

FEATURES, JUDGES, REPLICATES = 39, 2000, 1000
# Shift of the second class, and in how many features.
SETTINGS = {
    "none": (0.0, 1),
    "weak": (0.6, 2),
    "fair": (1.0, 3),
    "good": (1.0, 8),
    "near all": (2.0, 4),
}
MAPPERS = {"ridge": Ridge, "prototype": Prototype}


def patients(rng, n, shift, informative):
    labels = np.repeat([0, 1], n)
    rows = rng.normal(size=(2 * n, FEATURES))
    rows[:, :informative] += shift * (labels[:, None] - 0.5)
    return Features({"simulated": torch.from_numpy(rows)}), torch.from_numpy(labels)


def margins(mapper, support, features):
    logits = mapper(support).logits(features)
    return (logits[:, 1] - logits[:, 0]).numpy()


def study(rng, n, shift, informative, mapper):
    """Truth, leave-pair-out AUROC, and a score of every patient from pairs that left it out."""
    features, labels = patients(rng, n, shift, informative)
    support = SupportSet(features, labels, torch.arange(2 * n), ("a", "b"))
    new, new_labels = patients(rng, JUDGES, shift, informative)
    truth = auroc(margins(mapper, support, new), new_labels.numpy() == 1)
    right, scores = np.empty((n, n)), np.zeros(2 * n)
    for i in range(n):
        for j in range(n):
            pair = (i, n + j)
            low, high = margins(
                mapper, support.without_patients(pair), features[torch.tensor(pair)]
            )
            right[i, j] = (high > low) + 0.5 * (high == low)
            scores[[i, n + j]] += (low, high)
    return truth, right.mean(), scores / n


def intervals(estimate, scores, n, seed):
    positive = np.repeat([False, True], n)
    weights = np.hstack(
        [patient_bootstrap_weights(np.arange(n), REPLICATES, seed + k) for k in range(2)]
    )
    return {
        "learner (medfs)": learner_auroc(estimate, n, n),
        "Newcombe": newcombe_auroc(estimate, n, n),
        "DeLong": delong_interval(scores, positive),
        "bootstrap": percentile_interval(auroc_replicates(scores, positive, weights)),
    }


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--patients", type=int, default=10)
    parser.add_argument("--mapper", choices=MAPPERS, default="ridge")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    mapper = MAPPERS[asked.mapper](FEATURES)
    print(
        f"{asked.mapper}, {asked.patients} + {asked.patients} patients, {asked.studies} studies\n"
    )
    print("| signal | true AUROC | interval | coverage | mean width |\n|---|---:|---|---:|---:|")
    for name, (shift, informative) in SETTINGS.items():
        rng = np.random.default_rng(0)
        truths, found = [], {}
        for seed in range(asked.studies):
            truth, estimate, scores = study(rng, asked.patients, shift, informative, mapper)
            truths.append(truth)
            for kind, limits in intervals(estimate, scores, asked.patients, seed).items():
                found.setdefault(kind, []).append((limits[0] <= truth <= limits[1], *limits))
        for kind, rows in found.items():
            holds, low, high = np.array(rows, float).T
            print(
                f"| {name} | {np.mean(truths):.2f} | {kind} | {holds.mean():.3f} | "
                f"{(high - low).mean():.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
