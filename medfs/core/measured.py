"""Plain numbers of a scan by which the guard knows it: of its grid, its region, its intensities."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# Lengths and volumes are natural logarithms; intensities are those of the patch; `padding`, `flat`
# and `brighter` are shares.
MEASURES = (
    "log_finest_mm",
    "log_coarsest_mm",
    "log_roi_mm3",
    "padding",
    "flat",
    "roi_p10",
    "roi_median",
    "roi_p90",
    "near_p10",
    "near_median",
    "near_p90",
    "log_noise",
    "log_edge",
    "brighter",
)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What the guard sees of one scan beside its features.

    Attributes:
        values: `MEASURES`, in that order.
        modality: DICOM modality; None where the file does not say.
    """

    values: Float[Tensor, "measure"]
    modality: str | None

    def plain(self) -> dict[str, Any]:
        """The same for JSON; floats come back bit by bit."""
        return {"measures": self.values.tolist(), "modality": self.modality}

    @classmethod
    def from_plain(cls, known: Mapping[str, Any]) -> "Measured":
        """What `plain` wrote; KeyError, TypeError or ValueError if it is not that."""
        values, modality = [float(v) for v in known["measures"]], known["modality"]
        if len(values) != len(MEASURES) or not isinstance(modality, str | None):
            raise ValueError("these are other measures")
        return cls(torch.tensor(values, dtype=torch.float64), modality)
