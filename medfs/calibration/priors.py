"""What is known of a mapper's temperature before any case is held out."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from medfs.calibration.temperature import LogNormalPrior
from medfs.core.episodes import SupportSet
from medfs.storage.configs import read_config


def temperature_prior(mapper: str, support: SupportSet) -> LogNormalPrior:
    """The prior of `configs/calibration/temperature.yaml` for a mapper and its smallest class."""
    table = _table()
    shots = min(support.n_shot)
    if mapper in table["mappers"]:
        return LogNormalPrior(interpolate(table["mappers"][mapper], shots), float(table["spread"]))
    other = table["other"]
    return LogNormalPrior(interpolate(other["median"], shots), float(other["spread"]))


def interpolate(medians: Mapping[int, float], shots: int) -> float:
    """Log-log interpolation between shot counts; constant beyond the outermost."""
    known = sorted(medians)
    logs = np.log([medians[k] for k in known])
    return float(np.exp(np.interp(np.log(shots), np.log(known), logs)))


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return read_config("calibration", "temperature")
