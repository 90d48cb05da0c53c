"""The graph as a file that runs without medfs: torch.export (.pt2) and ONNX.

Both take a batch of any size and hold, as JSON under `medfs.json` or the key `medfs`, what a
consumer must know: classes, the grid of the patch, how intensities were normalised.
"""

import io
import logging
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from medfs.core.errors import MissingExtraError
from medfs.export.graph import PatchClassifier
from medfs.storage.files import to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

INPUTS = ("image", "region", "spacing")
OUTPUT, SETS = "probabilities", "prediction_set"
# Opset 18 is what torch's exporter is written for; every ONNX Runtime since 1.14 knows it.
OPSET = 18
FACTS = "medfs.json"
_LARGEST_BATCH = 1024


def trace(graph: PatchClassifier, shape: tuple[int, int, int]) -> torch.export.ExportedProgram:
    """The graph with a free first axis, without traces of the machine that made it.

    Args:
        graph: patch → probabilities.
        shape: grid points of a patch along x, y, z; they are fixed.
    """
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    example = _example(shape)
    with _silence():
        program = torch.export.export(
            graph, example, dynamic_shapes=tuple({0: batch} for _ in example)
        )
    # Stack traces hold the paths of files on this machine, and so its user's name.
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    return program


def to_pt2(program: torch.export.ExportedProgram, facts: Mapping[str, Any]) -> bytes:
    """A .pt2 archive, for `torch.export.load(file).module()`."""
    content = io.BytesIO()
    with _silence():
        torch.export.save(program, content, extra_files={FACTS: to_json(dict(facts))})
    return content.getvalue()


def to_onnx(program: torch.export.ExportedProgram, facts: Mapping[str, Any]) -> bytes:
    """An ONNX model of opset 18 with named inputs, and outputs as the facts have them.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch's exporter is written in it)
    except ImportError as error:
        raise MissingExtraError(
            "ONNX files cannot be written here",
            why=f"A package is not installed: {error.name}",
            todo="pip install 'medfs[onnx]'",
        ) from error
    with _silence():
        made = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(facts["output"]),
            # Consumers optimise by themselves; the exporter's own rewriting takes three times as
            # long as all the rest.
            optimize=False,
            verbose=False,
        )
    if made is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    model = made.model_proto
    _forget(model)
    model.producer_name, model.producer_version = "medfs", str(facts["medfs"])
    entry = model.metadata_props.add()
    entry.key, entry.value = "medfs", to_json(dict(facts))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _forget(model: Any) -> None:
    """Leave out what tells of the code and the machine that made the model, in every subgraph."""
    del model.metadata_props[:]
    for part in (model.graph, *model.functions):
        _forget_nodes(part)


def _forget_nodes(part: Any) -> None:
    part.doc_string = ""
    del part.metadata_props[:]
    for value in (*getattr(part, "value_info", ()), *getattr(part, "initializer", ())):
        value.doc_string = ""
        del value.metadata_props[:]
    for node in part.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                _forget_nodes(inner)


def _example(shape: tuple[int, int, int]) -> tuple[torch.Tensor, ...]:
    region = torch.zeros(2, 1, *shape)
    inner = tuple(slice(n // 4, n - n // 4) for n in shape)
    region[(slice(None), slice(None), *inner)] = 1
    return torch.zeros(2, 1, *shape), region, torch.ones(2, 3)


@contextmanager
def _silence() -> "Iterator[None]":
    """Exporters tell of their own inner deprecations, and of torchvision, which medfs has not."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
