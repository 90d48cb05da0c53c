"""medfs: from a handful of labelled 3D scans to a calibrated classifier.

Research use only; not a medical device.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medfs.workflows.estimator import FewShotClassifier

__version__ = version("medfs")
__all__ = ["FewShotClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `medfs --help` must not wait for torch.
    if name == "FewShotClassifier":
        from medfs.workflows.estimator import FewShotClassifier

        return FewShotClassifier
    raise AttributeError(f"module 'medfs' has no attribute {name!r}")
