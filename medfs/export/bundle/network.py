"""The graph as MONAI's tools want a network: one tensor in, one tensor out."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.export.graph import PatchClassifier

CHANNELS = ("image", "region", "spacing x", "spacing y", "spacing z")


class BundleNetwork(torch.nn.Module):
    """`PatchClassifier` on patches whose spacing stands in three constant channels."""

    def __init__(self, graph: PatchClassifier) -> None:
        super().__init__()
        self.classifier = graph

    def forward(self, x: Float[Tensor, "batch 5 x y z"]) -> Float[Tensor, "batch way"]:
        """Calibrated probabilities.

        Args:
            x: `CHANNELS`, as `medfs.preprocess.transforms.PatchToChannelsd` stacks them.
        """
        return self.classifier(x[:, 0:1], x[:, 1:2], x[:, 2:5, 0, 0, 0])
