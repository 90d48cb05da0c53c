"""A series → what a model says of it, as the JSON that is attached to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import medfs
import medfs_orthanc
from medfs.core.cases import Case
from medfs.core.errors import UsageError
from medfs.storage.files import sha256, to_json
from medfs.workflows.answers import to_dict
from medfs.workflows.predict import Predictor, load_predictor
from medfs.workflows.sources import FileSource
from medfs_orthanc.privacy import nameless
from medfs_orthanc.server import Series

SCHEMA_VERSION = 1
STATEMENT = "For research use only. Not a medical device."
_KEPT = ("prediction", "probabilities", "decision", "familiar", "note")
_MODALITIES = {"ct": "CT", "mr": "MR", "pet": "PT"}


@dataclass(frozen=True)
class Model:
    """A model folder, ready to answer.

    Attributes:
        predictor: what medfs makes of it.
        sha256: of its SHA256SUMS, which is that of its parts.
    """

    predictor: Predictor
    sha256: str

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> "Model":
        """Read and verify a folder that `medfs adapt` wrote.

        Raises:
            UsageError: it needs masks.
            UserError: as `medfs.workflows.predict.load_predictor`.
        """
        # Features of patients must not stay in a cache of this machine.
        predictor = load_predictor(folder, device, use_cache=False)
        if predictor.use_masks:
            raise UsageError(
                "this model needs the mask of every scan, and a series of Orthanc has none",
                case=str(folder),
                why="It was made from scans with masks: where one is missing, `medfs predict` "
                "gives no probability",
                todo="Adapt one that finds the region by itself: "
                "medfs adapt --support cases/ --no-masks --out model/",
            )
        return cls(predictor, sha256((folder / "SHA256SUMS").read_bytes()))

    @property
    def modalities(self) -> frozenset[str]:
        """DICOM modalities that its preset is for; none if it does not say."""
        kinds = self.predictor.embedder.preset.kinds
        known = [_MODALITIES[kind] for kind in kinds if kind in _MODALITIES]
        return frozenset(known if len(known) == len(kinds) else ())

    def answer(self, series: Series, folder: Path) -> dict[str, Any]:
        """What it says of the DICOM files in `folder`, as `medfs predict` would.

        A series that cannot be read is answered too: without probabilities, `familiar` null and
        the reason in `note`.
        """
        asked = self.predictor.asked
        case = Case(series.orthanc_id, series.orthanc_id, folder)
        (found,) = self.predictor([FileSource(case, use_mask=False, reading=asked.reading)])
        said = to_dict(self.predictor, [found])
        row = {key: said["predictions"][0][key] for key in _KEPT}
        return {
            **self._head(series),
            **row,
            "note": nameless(row["note"].removeprefix(f"{series.orthanc_id}: "), folder),
            "classes": said["classes"],
            "operating_point": said["operating_point"],
        }

    def _head(self, series: Series) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "statement": STATEMENT,
            "made_by": {"medfs": medfs.__version__, "medfs-orthanc": medfs_orthanc.__version__},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": {"sha256": self.sha256},
            "series": {"instances": len(series.instances), "sha256": series.content},
        }

    def has_answered(self, answer: Mapping[str, Any], series: Series) -> bool:
        """Whether this is this model's answer to these very images.

        One that says that they could not be read does not count: by now a codec may be installed.
        """
        of = (answer["model"]["sha256"], answer["series"]["sha256"])
        return of == (self.sha256, series.content) and answer["familiar"] is not None


def to_bytes(answer: Mapping[str, Any]) -> bytes:
    """An answer as it is attached."""
    return to_json(answer).encode()


def from_bytes(content: bytes) -> dict[str, Any] | None:
    """An answer that `to_bytes` wrote; None if it is anything else."""
    try:
        answer = json.loads(content)
        known = answer["statement"] == STATEMENT and "medfs-orthanc" in answer["made_by"]
        _ = answer["model"]["sha256"], answer["series"]["sha256"], answer["familiar"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return answer if known else None


def in_words(answer: Mapping[str, Any]) -> str:
    """A line for the log."""
    if answer["familiar"] is None:
        return f"no answer: {answer['note']}"
    if answer["probabilities"] is None:
        return f"no probability: {answer['note']}"
    best = answer["prediction"]
    return f"{best} ({answer['probabilities'][best]:.2f})"
