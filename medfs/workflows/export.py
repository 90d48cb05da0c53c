"""A model folder → a file that runs without medfs."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from medfs.core.errors import IntegrityError, MissingExtraError, UsageError
from medfs.core.patches import PatchBatch
from medfs.export.graph import PatchClassifier
from medfs.export.model_folder import read_model
from medfs.export.precision import reduce_weights
from medfs.export.programs import INPUTS, OPSET, OUTPUT, SETS, to_onnx, to_pt2, trace
from medfs.storage.files import check_new, sha256, write_bytes
from medfs.testing.samples import random_patches
from medfs.workflows.predict import Predictor, load_predictor
from medfs.workflows.sets import AskedSets, ask_sets

FORMATS = {"onnx": ".onnx", "pt2": ".pt2"}
# A file in full precision that differs from medfs by more than this is not written.
TOLERANCE = 1e-4
_CHECKED_PATCHES = 3
Consumer = Callable[[PatchBatch], Float[np.ndarray, "batch way"]]
# All outputs, in order.
Outputs = Callable[[PatchBatch], list[np.ndarray]]
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


def export(
    model: Path, kind: str, out: Path, precision: str = "float32", coverage: float | None = None
) -> Exported:
    """Write the graph patch → probabilities, once it agrees with medfs.

    Args:
        model: folder that `medfs adapt` wrote.
        kind: `onnx` or `pt2`.
        out: the new file.
        precision: of the weights of backbones: `float32`, `float16` or `int8`.
        coverage: nominal level of prediction sets as a second output.

    Raises:
        UsageError: an unknown format or precision, or one that the model cannot have; a level that
            the patients do not support, or sets that need more than one classifier.
        MissingExtraError: a package for ONNX is not installed.
        IntegrityError: the model was changed, or the file does not agree with medfs.
        OutputError: the file exists already or cannot be written.
    """
    if kind not in FORMATS:
        raise UsageError(f"there is no format called {kind!r}", why=f"Known: {', '.join(FORMATS)}")
    check_new(out)
    predictor = load_predictor(model, "cpu", use_cache=False)
    patches = random_patches(_CHECKED_PATCHES, predictor.embedder.preset.shape, seed=0)
    sets = None if coverage is None else ask_sets(read_model(model), model, coverage)
    rule = None if sets is None else sets.sets.rule(sets.level)
    graph = PatchClassifier(predictor.embedder.encoders, predictor.calibrated, rule)
    with torch.inference_mode():
        made = graph(*_inputs(patches))
    wanted, *members = [t.numpy() for t in (made if isinstance(made, tuple) else (made,))]
    reduce_weights(graph.encoders, precision)
    program = trace(graph, predictor.embedder.preset.shape)
    facts = describe_graph(predictor, model, precision, sets)
    content = {"onnx": to_onnx, "pt2": to_pt2}[kind](program, facts)
    found, *kept = OUTPUTS[kind](content)(patches)
    difference = float(np.abs(found - wanted).max())
    same = all(bool((a == b).all()) for a, b in zip(members, kept, strict=True))
    if precision == "float32" and not (same and difference <= TOLERANCE):
        raise IntegrityError(
            f"the {kind} file does not agree with medfs",
            case=str(out),
            why=f"Probabilities differ by up to {difference:.2g}"
            + ("" if same else ", and prediction sets are others"),
            todo="Nothing was written. Please report it, with the versions of `medfs info`",
        )
    write_bytes(out, content)
    return Exported(out, len(content), difference)


def describe_graph(
    predictor: Predictor, model: Path, precision: str, sets: AskedSets | None = None
) -> dict[str, Any]:
    """What a consumer must know to make the inputs and to read the outputs."""
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
        "output": _outputs(sets),
        **({} if sets is None else {"prediction_sets": sets.described()}),
        "preset": preset.to_dict(),
        "precision": precision,
        "opset": OPSET,
        "features": [e.identity for e in predictor.embedder.encoders],
        "model_sha256": sha256((model / "SHA256SUMS").read_bytes()),
    }


def _outputs(sets: AskedSets | None) -> dict[str, str]:
    """By name, in order."""
    of_all = {OUTPUT: "calibrated, in the order of class_names; rows sum to 1"}
    if sets is None:
        return of_all
    return {**of_all, SETS: f"true for classes in the set; {sets.in_words()}"}


def _inputs(patches: PatchBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return patches.image, patches.roi, patches.spacing


def _of_pt2(content: bytes) -> Outputs:
    module = torch.export.load(io.BytesIO(content)).module()

    def run(patches: PatchBatch) -> list[np.ndarray]:
        with torch.inference_mode():
            made = module(*_inputs(patches))
        return [t.numpy() for t in (made if isinstance(made, tuple) else (made,))]

    return run


def _of_onnx(content: bytes) -> Outputs:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "the ONNX file cannot be checked",
            why="onnxruntime is not installed",
            todo="pip install 'medfs[onnx]'",
        ) from error
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(patches: PatchBatch) -> list[np.ndarray]:
        fed = {k: t.numpy() for k, t in zip(INPUTS, _inputs(patches), strict=True)}
        return [np.asarray(found) for found in session.run(None, fed)]

    return run


def _probabilities(outputs: Callable[[bytes], Outputs], content: bytes) -> Consumer:
    run = outputs(content)
    return lambda patches: run(patches)[0]


OUTPUTS: dict[str, Callable[[bytes], Outputs]] = {"onnx": _of_onnx, "pt2": _of_pt2}
CONSUMERS: dict[str, Callable[[bytes], Consumer]] = {
    kind: partial(_probabilities, outputs) for kind, outputs in OUTPUTS.items()
}
