"""A model folder → a file that runs without medfs."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from medfs.core.errors import IntegrityError, MissingExtraError, UsageError
from medfs.core.patches import PatchBatch
from medfs.export.graph import PatchClassifier
from medfs.export.precision import reduce_weights
from medfs.export.programs import INPUTS, OPSET, OUTPUT, to_onnx, to_pt2, trace
from medfs.storage.files import check_new, sha256, write_bytes
from medfs.testing.samples import random_patches
from medfs.workflows.predict import Predictor, load_predictor

FORMATS = {"onnx": ".onnx", "pt2": ".pt2"}
# A file in full precision that differs from medfs by more than this is not written.
TOLERANCE = 1e-4
_CHECKED_PATCHES = 3
Consumer = Callable[[PatchBatch], Float[np.ndarray, "batch way"]]
INTENDED_USE = "Research use only; not a medical device."


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the file.
        size: bytes.
        difference: largest difference of a probability from medfs's own, on patches of noise with
            an ellipsoid as region.
    """

    path: Path
    size: int
    difference: float


def export(model: Path, kind: str, out: Path, precision: str = "float32") -> Exported:
    """Write the graph patch → probabilities, once it agrees with medfs.

    Args:
        model: folder that `medfs adapt` wrote.
        kind: `onnx` or `pt2`.
        out: the new file.
        precision: of the weights of backbones: `float32`, `float16` or `int8`.

    Raises:
        UsageError: an unknown format or precision, or one that the model cannot have.
        MissingExtraError: a package for ONNX is not installed.
        IntegrityError: the model was changed, or the file does not agree with medfs.
        OutputError: the file exists already or cannot be written.
    """
    if kind not in FORMATS:
        raise UsageError(f"there is no format called {kind!r}", why=f"Known: {', '.join(FORMATS)}")
    check_new(out)
    predictor = load_predictor(model, "cpu", use_cache=False)
    patches = random_patches(_CHECKED_PATCHES, predictor.embedder.preset.shape, seed=0)
    graph = PatchClassifier(predictor.embedder.encoders, predictor.calibrated)
    with torch.inference_mode():
        wanted = graph(*_inputs(patches)).numpy()
    reduce_weights(graph.encoders, precision)
    program = trace(graph, predictor.embedder.preset.shape)
    facts = describe_graph(predictor, model, precision)
    content = {"onnx": to_onnx, "pt2": to_pt2}[kind](program, facts)
    found = CONSUMERS[kind](content)(patches)
    difference = float(np.abs(found - wanted).max())
    if precision == "float32" and not difference <= TOLERANCE:
        raise IntegrityError(
            f"the {kind} file does not agree with medfs",
            case=str(out),
            why=f"Probabilities differ by up to {difference:.2g}",
            todo="Nothing was written. Please report it, with the versions of `medfs info`",
        )
    write_bytes(out, content)
    return Exported(out, len(content), difference)


def describe_graph(predictor: Predictor, model: Path, precision: str) -> dict[str, Any]:
    """What a consumer must know to make the inputs and to read the output."""
    preset = predictor.embedder.preset
    grid = list(preset.shape)
    return {
        "schema_version": 1,
        "medfs": version("medfs"),
        "intended_use": INTENDED_USE,
        "class_names": list(predictor.class_names),
        "inputs": {
            "image": {
                "shape": ["batch", 1, *grid],
                "axes": "right, anterior, superior",
                "meaning": "scan on the grid of the patch, normalised as the preset says",
            },
            "region": {
                "shape": ["batch", 1, *grid],
                "meaning": "1 inside the region of interest, 0 outside, on the same grid",
            },
            "spacing": {"shape": ["batch", 3], "meaning": "of that grid, mm along x, y, z"},
        },
        "output": {OUTPUT: "calibrated, in the order of class_names; rows sum to 1"},
        "preset": preset.to_dict(),
        "precision": precision,
        "opset": OPSET,
        "features": [e.identity for e in predictor.embedder.encoders],
        "model_sha256": sha256((model / "SHA256SUMS").read_bytes()),
    }


def _inputs(patches: PatchBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return patches.image, patches.roi, patches.spacing


def _of_pt2(content: bytes) -> Consumer:
    module = torch.export.load(io.BytesIO(content)).module()

    def run(patches: PatchBatch) -> Float[np.ndarray, "batch way"]:
        with torch.inference_mode():
            return np.asarray(module(*_inputs(patches)).numpy())

    return run


def _of_onnx(content: bytes) -> Consumer:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "the ONNX file cannot be checked",
            why="onnxruntime is not installed",
            todo="pip install 'medfs[onnx]'",
        ) from error
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(patches: PatchBatch) -> Float[np.ndarray, "batch way"]:
        fed = {k: t.numpy() for k, t in zip(INPUTS, _inputs(patches), strict=True)}
        return np.asarray(session.run([OUTPUT], fed)[0])

    return run


CONSUMERS: dict[str, Callable[[bytes], Consumer]] = {"onnx": _of_onnx, "pt2": _of_pt2}
