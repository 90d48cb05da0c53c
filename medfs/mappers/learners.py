"""φ and everything that is trained with it: a batch of tasks in, logits of its queries out."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.tasks import TaskBatch
from medfs.core.theta import Film, LinearHead
from medfs.mappers.anil import prototype_start
from medfs.mappers.base import TensorMapper, query_logits
from medfs.mappers.inner_loop import descend, support_loss

# On a CPU what does not fit into the cache is slower: 15 volumes of 24³ at once.
_VOXELS_AT_ONCE = 15 * 24**3
QueryLogits = Float[Tensor, "task query way"]


class FeatureLearner(torch.nn.Module):
    """A mapper on features that a frozen encoder made: items of the batch are `(feature,)`."""

    def __init__(self, mapper: TensorMapper) -> None:
        super().__init__()
        self.mapper = mapper

    def forward(self, batch: TaskBatch) -> QueryLogits:
        return query_logits(self.mapper, batch.support, batch.members, batch.query)


class EndToEndLearner(torch.nn.Module):
    """An encoder and a mapper trained together: items of the batch are `(channel, x, y, z)`.

    A mapper that was built with `film_channels` first reads the support as the encoder sees it
    untouched, then modulates the encoder's stages for each task.

    Args:
        encoder: (case, channel, x, y, z), modulation → (case, feature).
        mapper: on the encoder's features, with the embedding `none`.
        precision: `bfloat16` runs the encoder under autocast; mappers stay in float32.
        channels_last: memory format of the images; often faster for convolutions.
    """

    def __init__(
        self,
        encoder: torch.nn.Module,
        mapper: TensorMapper,
        precision: torch.dtype = torch.float32,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.mapper = encoder, mapper
        self.precision, self.channels_last = precision, channels_last

    def forward(self, batch: TaskBatch) -> QueryLogits:
        modulation = self._modulation(batch)
        support = self._encode(batch.support, modulation)
        query = self._encode(batch.query, modulation)
        return query_logits(self.mapper, support, batch.members, query)

    def _modulation(self, batch: TaskBatch) -> list[tuple[Tensor, Tensor]] | None:
        """Gain and shift of every stage, (task, channel) each."""
        if not getattr(self.mapper, "film_channels", ()):
            return None

        def of_one_task(x: Tensor, members: Tensor) -> list[tuple[Tensor, Tensor]]:
            films: Sequence[Film] = self.mapper.films(x, members)  # type: ignore[operator]
            return [(film.gain, film.shift) for film in films]

        untouched = self._encode(batch.support, None)
        return torch.func.vmap(of_one_task)(untouched, batch.members)

    def _encode(
        self,
        images: Float[Tensor, "task case channel x y z"],
        modulation: list[tuple[Tensor, Tensor]] | None,
    ) -> Float[Tensor, "task case feature"]:
        n_tasks, n_cases = images.shape[:2]
        flat = images.flatten(0, 1)
        size = len(flat)
        if images.device.type == "cpu":
            size = max(1, _VOXELS_AT_ONCE // math.prod(images.shape[3:]))
        repeated = [
            (gain.repeat_interleave(n_cases, dim=0), shift.repeat_interleave(n_cases, dim=0))
            for gain, shift in modulation or ()
        ]
        features = []
        for start in range(0, len(flat), size):
            some = slice(start, start + size)
            own = [(gain[some], shift[some]) for gain, shift in repeated]
            features.append(self._encode_some(flat[some], own))
        return torch.cat(features).view(n_tasks, n_cases, -1)

    def _encode_some(
        self, images: Float[Tensor, "case channel x y z"], modulation: list[tuple[Tensor, Tensor]]
    ) -> Float[Tensor, "case feature"]:
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last_3d)
        reduced = self.precision != torch.float32
        with torch.autocast(images.device.type, self.precision, enabled=reduced):
            features = self.encoder(images, modulation) if modulation else self.encoder(images)
        return features.float()


class EndToEndMAML(torch.nn.Module):
    """MAML in which the whole encoder descends on each support (Finn et al., ICML 2017).

    φ is the encoder's start, the scale of the head's start (the prototypes) and the rate. Exact
    second derivatives; one task after the other, since each has an encoder of its own.

    Args:
        encoder: (case, channel, x, y, z) → (case, feature).
        n_features: length of its rows.
        steps: of the inner loop, at least 1.
        first_order: take the inner loop's gradients for constants (FOMAML, in the same paper).
    """

    def __init__(
        self,
        encoder: torch.nn.Module,
        n_features: int,
        steps: int = 3,
        first_order: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.steps, self.first_order = encoder, steps, first_order
        self.log_scale = torch.nn.Parameter(torch.tensor(-math.log(n_features)))
        self.log_rate = torch.nn.Parameter(torch.tensor(math.log(0.01)))

    def forward(self, batch: TaskBatch) -> QueryLogits:
        tasks = zip(batch.support, batch.members, batch.query, strict=True)
        return torch.stack([self._one_task(*task) for task in tasks])

    def _one_task(self, support: Tensor, members: Tensor, query: Tensor) -> Tensor:
        def logits(parameters: dict[str, Tensor], images: Tensor) -> Tensor:
            return _linear(parameters, self._features(parameters, images))

        def loss(parameters: dict[str, Tensor]) -> Tensor:
            return support_loss(logits(parameters, support), members)

        first = self._first_step(support, members)
        rate, more = self.log_rate.exp(), self.steps - 1
        return logits(descend(loss, first, rate, more, self.first_order), query)

    def _first_step(self, support: Tensor, members: Tensor) -> dict[str, Tensor]:
        """The head starts at the prototypes; they and the first loss share one pass."""
        start: dict[str, Tensor] = dict(self.encoder.named_parameters(prefix="encoder"))
        x, pull_back = torch.func.vjp(lambda p: self._features(p, support), start)  # type: ignore[misc]
        head = {
            f"head.{name}": p
            for name, p in prototype_start(x, members, self.log_scale.exp()).items()
        }

        def loss(of_head: dict[str, Tensor], z: Tensor) -> Tensor:
            return support_loss(_linear(of_head, z), members)

        of_head, of_x = torch.func.grad(loss, argnums=(0, 1))(head, x)
        slope = {**pull_back(of_x)[0], **of_head}
        if self.first_order:
            slope = {name: gradient.detach() for name, gradient in slope.items()}
        return {n: p - self.log_rate.exp() * slope[n] for n, p in {**start, **head}.items()}

    def _features(self, parameters: dict[str, Tensor], images: Tensor) -> Tensor:
        own = {
            n.removeprefix("encoder."): p for n, p in parameters.items() if n.startswith("encoder.")
        }
        images = images.contiguous(memory_format=torch.channels_last_3d)
        return torch.func.functional_call(self.encoder, own, (images,))


def _linear(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
    return LinearHead(parameters["head.weight"], parameters["head.bias"])(x)
