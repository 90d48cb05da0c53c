"""Does a support set look like the tasks that its mapper was trained on, and do its labels mean
something: said in words, since neither can be seen from the classifier."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from medfs.core.episodes import SupportSet
from medfs.mappers.familiarity import STATISTICS, Familiarity

# Log-likelihood by which held-out cases must prefer the fallback: odds of twenty to one, since ten
# cases choose between two methods badly; three to one where the learned prior is out of its depth.
_CLEARLY, _LIKELY = math.log(20), math.log(3)
# Simulated features end sharply, real ones pass their ends a little: a twentieth alarms nobody.
_ALWAYS_ALLOWED = {"differences": 0.0, "outside": 0.05}
_BELOW = {
    "differences": "the cases are more alike than in 99.5 % of the tasks {name} was trained on",
}
_ABOVE = {
    "differences": "the features of these cases lie further from each other, or go together in "
    "another way, than in 99.5 % of the tasks {name} was trained on",
    "outside": "{share:.0%} of these features lie outside the range of what {name} was trained on",
}


@dataclass(frozen=True)
class Statistic:
    """One figure of a support, and between which limits it is usual."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """Whether a support looks like the tasks of training.

    Attributes:
        statistics: by name; none where nothing is known of the tasks.
        beyond: what is unusual, a sentence each.
    """

    statistics: dict[str, Statistic]
    beyond: tuple[str, ...] = ()

    @property
    def familiar(self) -> bool | None:
        """None where nothing is known of the tasks of training."""
        return not self.beyond if self.statistics else None

    @property
    def needed(self) -> float:
        """Log-likelihood by which held-out cases must prefer a fallback for it to be used."""
        return _LIKELY if self.beyond else _CLEARLY


@dataclass(frozen=True)
class Signal:
    """What held-out cases say of the labels, both as balanced log-likelihoods of all cases.

    `held_out` is that of the classifier, `balance` that of saying every class is as probable.
    """

    held_out: float
    balance: float

    @property
    def none_seen(self) -> bool:
        return self.held_out <= self.balance


def look(support: SupportSet, known: Familiarity | None, name: str) -> Verdict:
    """Compare a support with what a mapper was trained on.

    Args:
        support: labelled cases; labels are not looked at.
        known: of its mapper; None where it was not trained, or its file does not say.
        name: of the mapper, as a user calls it.
    """
    if known is None:
        return Verdict({})
    values = known.statistics(support.features.joined().double()).tolist()
    limits = known.limits(len(support)).tolist()
    found = {
        n: Statistic(value, low, max(high, _ALWAYS_ALLOWED[n]))
        for n, value, (low, high) in zip(STATISTICS, values, limits, strict=True)
    }
    share = found["outside"].value
    told = [_BELOW[n] for n, s in found.items() if s.value < s.low and n in _BELOW]
    told += [_ABOVE[n] for n, s in found.items() if s.value > s.high]
    return Verdict(found, tuple(text.format(name=name, share=share) for text in told))


def signal(support: SupportSet, log_likelihood: float | None) -> Signal | None:
    """None where no case could be held out."""
    if log_likelihood is None:
        return None
    return Signal(log_likelihood, -len(support) * math.log(support.n_way))


def warnings_of(verdict: Verdict, told: Signal | None) -> tuple[str, ...]:
    """What a user should know of it, a sentence each."""
    found = [f"unfamiliar cases: {text}" for text in verdict.beyond]
    if told is not None and told.none_seen:
        found.append(
            "left-out cases are predicted no better than by chance: "
            "the labels may carry no signal that these features can see"
        )
    return tuple(found)


def describe(verdict: Verdict, told: Signal | None) -> dict[str, Any]:
    """The same for `report.json`."""
    return {
        "familiar": verdict.familiar,
        "beyond": list(verdict.beyond),
        "statistics": {name: asdict(s) for name, s in verdict.statistics.items()},
        "fallback_needs_odds": round(math.exp(verdict.needed)),
        "held_out_log_likelihood": None if told is None else told.held_out,
        "log_likelihood_of_the_balance": None if told is None else told.balance,
        "signal": None if told is None else not told.none_seen,
    }
