"""Episodes → what a few-shot method says of their queries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from medfs.core.calibration import Temperature
from medfs.core.classifiers import CalibratedClassifier
from medfs.core.episodes import Episode, SupportSet
from medfs.core.features import Features
from medfs.core.mapping import Mapper
from medfs.core.threads import single_thread
from medfs.metrics.episodes import EpisodeOutcome
from medfs.workflows.candidates import Candidate
from medfs.workflows.feature_choice import choose
from medfs.workflows.fit import fit, support_set
from medfs.workflows.recipes import Recipe

# Support set and number of the episode → classifier.
Adapt = Callable[[SupportSet, int], CalibratedClassifier]


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of the cases of a task: their features (one row each) and their patients."""

    class_names: tuple[str, ...]
    patient_of: Mapping[str, str]
    features: Mapping[str, Features]


def answers(known: Known, episodes: Sequence[Episode], adapt: Adapt) -> list[EpisodeOutcome]:
    """Adapt to the support of every episode and predict its queries."""
    # What was meta-learned is not learned further here.
    with single_thread(), torch.no_grad():
        return [_answer(known, episode, i, adapt) for i, episode in enumerate(episodes)]


def calibrated(recipe: Recipe, seed: int) -> Adapt:
    """As `medfs adapt` does it: the mapper, and a calibrator chosen by cases that were held out."""
    return lambda support, number: fit(support, recipe, seed + number).calibrated


def chosen(asked: Sequence[Candidate], seed: int) -> Adapt:
    """The same with features that are chosen anew for every support."""
    return lambda support, number: choose(support, asked, seed + number).fitted.calibrated


def uncalibrated(mapper: Mapper) -> Adapt:
    """The mapper alone, where only the ranking counts: many times as fast."""
    one = Temperature(torch.tensor(1.0, dtype=torch.float64))
    return lambda support, _: CalibratedClassifier(mapper(support), one)


def permuted(adapt: Adapt, seed: int, look: int = 0) -> Adapt:
    """The same on a support whose labels were dealt out anew, as many of each class as before.

    Args:
        adapt: support and number of the episode → classifier.
        seed: of the permutations.
        look: another one gives permutations that are independent of the first.
    """

    def on_permuted(support: SupportSet, number: int) -> CalibratedClassifier:
        order = np.random.default_rng([seed, number, look]).permutation(len(support))
        return adapt(replace(support, labels=support.labels[torch.from_numpy(order)]), number)

    return on_permuted


def _answer(known: Known, episode: Episode, number: int, adapt: Adapt) -> EpisodeOutcome:
    support = [(case, name) for name in known.class_names for case in episode.support[name]]
    classifier = adapt(
        support_set(
            [known.features[case] for case, _ in support],
            [name for _, name in support],
            [known.patient_of[case] for case, _ in support],
        ),
        number,
    )
    query = [(case, name) for name in known.class_names for case in episode.query[name]]
    stacked = Features.stack([known.features[case] for case, _ in query])
    read = stacked.pick(classifier.classifier.encoders)
    return EpisodeOutcome(
        classifier.predict_proba(read).double().numpy(),
        np.array([known.class_names.index(name) for _, name in query]),
        np.array([known.patient_of[case] for case, _ in query]),
    )
