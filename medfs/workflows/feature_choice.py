"""Which features a support set is read with, where the user leaves it to medfs.

Ten cases choose badly: of several ways to read them, one looks better by luck. What is known to
serve most tasks (the first of `medfs.workflows.candidates`) is therefore left only for a rival that
says clearly more of held-out cases, and the more rivals there are, the clearer.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from medfs.core.episodes import SupportSet
from medfs.core.features import Encoder
from medfs.core.mapping import Mapper
from medfs.workflows.candidates import Candidate
from medfs.workflows.fit import Fitted, fit
from medfs.workflows.recipes import AUTO

# Odds by which held-out cases must prefer a rival, times the number of rivals (as Bonferroni).
_ODDS = 20


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen.

    Attributes:
        encoders: whose features the classifier reads.
        support: with these features alone.
        fitted: the classifier, with the recipe that made it.
        reason: why these, in words.
        table: a row per candidate with `features`, `mapper` and the `log_likelihood` of held-out
            cases after calibration (None where nothing can be held out); empty if the user chose.
    """

    encoders: tuple[Encoder, ...]
    support: SupportSet
    fitted: Fitted
    reason: str
    table: tuple[Mapping[str, Any], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the encoders, as a user calls them."""
        return tuple(e.name for e in self.encoders)

    def described(self) -> dict[str, Any]:
        """What report.json says of it; nothing if the user chose."""
        if not self.reason:
            return {}
        rows = [dict(row) for row in self.table]
        return {"feature_choice": {"reason": self.reason, "candidates": rows}}


def choose(
    support: SupportSet,
    asked: Sequence[Candidate],
    seed: int,
    calibrator: str = AUTO,
) -> Choice:
    """Fit every candidate and take one of them.

    Args:
        support: with the blocks of all candidates.
        asked: the first is kept unless another is clearly better.
        seed: of the folds, the same for all.
        calibrator: as the user gave it.

    Raises:
        UsageError: the support lacks features that a candidate reads.
    """
    if len(asked) == 1:
        return _choice(support, asked[0], seed, calibrator, "")
    if min(len(support.patients_of(c)) for c in range(support.n_way)) < 2:
        reason = "a class has a single patient, so nothing can be held out to choose by"
        return _choice(support, asked[0], seed, calibrator, f"{_name(asked[0])}: {reason}")
    tried = [_choice(support, candidate, seed, calibrator, "") for candidate in asked]
    told = [choice.fitted.log_likelihood or 0.0 for choice in tried]
    best = decide(told)
    table = tuple(_row(choice) for choice in tried)
    return replace(tried[best], reason=_in_words(asked, told, best), table=table)


def as_mapper(asked: Sequence[Candidate], seed: int) -> Mapper:
    """S → θ without a temperature, choosing first: `encoders` of θ say which features it reads."""
    if len(asked) == 1:
        return asked[0].recipe.mapper
    return lambda support: choose(support, asked, seed).fitted.calibrated.classifier


def decide(log_likelihoods: Sequence[float]) -> int:
    """Index of what is taken: the best, if it beats the first by `margin`; else the first."""
    best = max(range(len(log_likelihoods)), key=log_likelihoods.__getitem__)
    ahead = log_likelihoods[best] - log_likelihoods[0]
    return best if ahead > margin(len(log_likelihoods) - 1) else 0


def margin(n_rivals: int) -> float:
    """Log-likelihood by which a rival must be better."""
    return math.log(_ODDS * max(1, n_rivals))


def _choice(
    support: SupportSet, candidate: Candidate, seed: int, calibrator: str, reason: str
) -> Choice:
    own = replace(support, features=support.features.pick(candidate.identities))
    fitted = fit(own, candidate.recipe, seed, calibrator)
    return Choice(candidate.encoders, own, fitted, reason, ())


def _row(choice: Choice) -> dict[str, Any]:
    return {
        "features": list(choice.support.features.identities),
        "mapper": choice.fitted.used.name,
        "log_likelihood": choice.fitted.log_likelihood,
    }


def _in_words(asked: Sequence[Candidate], told: Sequence[float], best: int) -> str:
    seen = ", ".join(f"{_name(c)} {value:.1f}" for c, value in zip(asked, told, strict=True))
    needed = f"a rival needs {margin(len(asked) - 1):.1f} more than {_name(asked[0])}"
    return f"{_name(asked[best])}, by the log-likelihood of left-out cases ({seen}; {needed})"


def _name(candidate: Candidate) -> str:
    return " + ".join(e.name for e in candidate.encoders)
