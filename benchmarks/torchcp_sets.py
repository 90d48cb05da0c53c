"""Prediction sets by TorchCP: split conformal with the score of least ambiguous classifiers.

TorchCP imports all of itself at once, so it needs more than these sets do, none of it CUDA;
torchsort is compiled, for the CPU alone where there is no `nvcc` on the path:

    pip install --no-deps torchcp==1.2.1
    pip install tqdm networkx torch_geometric transformers
    pip install --no-build-isolation torchsort==0.1.10
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchcp.classification.predictor import ClassConditionalPredictor, SplitPredictor
from torchcp.classification.score import LAC

NAMES = {"TorchCP, split": SplitPredictor, "TorchCP, by class": ClassConditionalPredictor}


def torchcp_sets(
    logits: Float[Tensor, "held way"],
    labels: Int[Tensor, "held"],
    new: Float[Tensor, "query way"],
    levels: Sequence[float],
) -> Iterator[tuple[tuple[str, float], Bool[np.ndarray, "query way"]]]:
    """Sets of new cases by both predictors, from logits of cases that were held out.

    Args:
        logits: of held-out cases.
        labels: of the same.
        new: logits of the queries, by the same classifier.
        levels: nominal coverages.
    """
    for name, kind in NAMES.items():
        for level in levels:
            predictor = kind(LAC(), alpha=1 - level, device=torch.device("cpu"))
            predictor.calculate_threshold(logits, labels)
            yield (name, level), predictor.predict_with_logits(new).numpy().astype(bool)
