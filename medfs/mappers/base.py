"""What the methods share: θ from plain tensors, for one task or for many at once."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.classifiers import Classifier
from medfs.core.episodes import SupportSet
from medfs.core.tasks import TaskBatch
from medfs.core.theta import Theta
from medfs.mappers.embedding import Embedding, Kind
from medfs.mappers.standardize import balanced_weights


class TensorMapper(torch.nn.Module, ABC):
    """A mapper whose θ depends on features and weighted class membership alone.

    `theta` must be made of operations that `torch.func.vmap` can batch, so that meta-training maps
    many tasks in one call. A case of weight zero must count for nothing.

    Args:
        n_features: length of a row.
        embedding: in which units features are seen; see `Embedding`.
        hidden: width of the embedding's residual block.
    """

    def __init__(self, n_features: int, embedding: Kind = "support", hidden: int = 0) -> None:
        super().__init__()
        self.n_features = n_features
        self.embedding = Embedding(n_features, embedding, hidden)

    @abstractmethod
    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        """θ = M_φ(S).

        Args:
            x: features of the support.
            members: weight of each case in each class; all classes have the same sum, the whole
                sums to one.
        """

    def fit_population(self, batches: Sequence[TaskBatch]) -> None:
        """Take the features' statistics from tasks of meta-training, once, before it begins."""
        rows = [b.support[b.support_weights > 0] for b in batches]
        rows += [b.query[b.query_weights > 0] for b in batches]
        self.embedding.fit_population(torch.cat(rows))

    def forward(self, support: SupportSet) -> Classifier:
        codes = torch.nn.functional.one_hot(support.labels, support.n_way)
        members = (codes * balanced_weights(support)[:, None]).to(self.precision)
        theta = self.theta(support.features.joined().to(self.precision), members)
        return Classifier(support.features.identities, theta.to(torch.float64), support.class_names)

    @property
    def precision(self) -> torch.dtype:
        """That of φ, or double where there is none."""
        return next((p.dtype for p in self.parameters()), torch.float64)


def query_logits(
    mapper: TensorMapper,
    support: Float[Tensor, "task case feature"],
    members: Float[Tensor, "task case way"],
    query: Float[Tensor, "task query feature"],
) -> Float[Tensor, "task query way"]:
    """Logits of the queries of many tasks, each by its own θ."""

    def of_one_task(x: Tensor, m: Tensor, q: Tensor) -> Tensor:
        return mapper.theta(x, m)(q)

    return torch.func.vmap(of_one_task, randomness="error")(support, members, query)


def class_means(
    x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]
) -> Float[Tensor, "way feature"]:
    """Weighted mean of every class."""
    return (members / members.sum(dim=0)).T @ x
