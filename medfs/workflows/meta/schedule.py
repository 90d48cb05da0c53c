"""The rate of every step: a function of the step alone, so that nothing has to be remembered."""

import math

from medfs.workflows.meta.config import Loop, Optimiser


def rate_at(step: int, optimiser: Optimiser, loop: Loop) -> float:
    """Rate of step 0, 1, …: a rise over the warm-up, then constant or half a cosine down to 0."""
    rise = min(1.0, (step + 1) / (optimiser.warm_up + 1))
    if optimiser.schedule == "constant":
        return optimiser.rate * rise
    done = max(0, step - optimiser.warm_up) / max(1, loop.steps - optimiser.warm_up)
    return optimiser.rate * rise * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
