"""Words that several sections use."""

from collections.abc import Mapping

NOTHING_HELD_OUT = (
    "Not available: a class has a single patient, so no case can be held out, and figures on cases "
    "that the model has seen would mean nothing."
)
HELD_OUT = (
    "Every case is judged by a classifier that was made and calibrated without its patient, and "
    "without one patient of every other class, so that classes stay balanced; probabilities are "
    "means over three such rounds."
)
CHOSEN = (
    "Which features, mapper and calibrator are used was decided by all cases: expect new ones to "
    "look slightly worse, and those of another hospital worse than that."
)

EVEN = "for a place where all classes are equally common"


def meant_for(prevalence: Mapping[str, float] | None) -> str:
    """Which place probabilities are meant for, as the end of a sentence."""
    if prevalence is None:
        return EVEN
    shares = [f"{named} {share:.3g}" for named, share in prevalence.items()]
    return f"for a place where classes are as common as this: {', '.join(shares)}"


def percent(share: float) -> str:
    """A share as a whole percentage; what is not quite 0 or 1 does not become it."""
    shown = round(100 * share)
    if shown in (0, 100) and share not in (0.0, 1.0):
        return "<1%" if shown == 0 else ">99%"
    return f"{shown}%"


def plural(count: int, noun: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
