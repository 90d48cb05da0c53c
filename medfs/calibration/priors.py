"""What is known of a mapper's temperature before any case is held out."""

from functools import lru_cache
from typing import Any

from medfs.calibration.temperature import LogNormalPrior
from medfs.core.episodes import SupportSet
from medfs.storage.configs import read_config


def temperature_prior(mapper: str, support: SupportSet) -> LogNormalPrior:
    """The prior of `configs/calibration/temperature.yaml` for a mapper and its smallest class."""
    table = _table()
    entry = table["mappers"].get(mapper, table["mappers"]["default"])
    key = "single_shot" if min(support.n_shot) == 1 else "few_shot"
    return LogNormalPrior(float(entry[key]), float(table["spread"]))


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return read_config("calibration", "temperature")
