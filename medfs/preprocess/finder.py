"""The shipped network that finds a region: an image on a grid → a mask on that grid."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage

from medfs.core.threads import single_thread
from medfs.preprocess.finder_net import SIDE, FinderNet
from medfs.storage.shipped import FOLDER
from medfs.storage.weights import read_shipped

WEIGHTS = FOLDER / "region-finder.safetensors"
# Models keep the name of the rule, `learned`, and mean these very weights by it. Other weights need
# another name beside this one, or models made before would read other regions than they were
# adapted on.
SHA256 = "237802ccb74bfbddf007588249be599a06d0d85784b4e79392cebac71277f540"
THRESHOLD = 0.5
FOUND = "no mask: the region was found (by the network that comes with medfs)"
UNSURE = (
    "no mask: the network that comes with medfs found no clear region; its best guess is used "
    "(probability at most {:.2f})"
)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A region on the grid that was asked about: never empty.

    Attributes:
        mask: within the valid part of the grid, in one piece.
        note: how sure it is.
    """

    mask: Bool[np.ndarray, "i j k"]
    note: str


def find(image: Float[np.ndarray, "i j k"], valid: Bool[np.ndarray, "i j k"]) -> Found:
    """The finding at or near the centre of a grid.

    Args:
        image: intensities normalised by a preset.
        valid: what may be looked at, around the centre of the grid; nothing else can matter.
    """
    probability = probabilities(image, valid)
    peak = float(probability.max())
    threshold = THRESHOLD if peak > THRESHOLD else peak / 2
    mask = _most_central(probability, (probability > threshold) & valid)
    return Found(mask, FOUND if peak > THRESHOLD else UNSURE.format(peak))


def probabilities(
    image: Float[np.ndarray, "i j k"], valid: Bool[np.ndarray, "i j k"]
) -> Float[np.ndarray, "i j k"]:
    """Of belonging to the finding; 0 where the grid is not valid."""
    crop, pads = _around(valid)
    seen = np.where(valid, image, 0)[crop].astype(np.float32)
    both = np.stack([np.pad(seen, pads), np.pad(valid[crop].astype(np.float32), pads)])
    tensors = torch.from_numpy(both)[:, None, None]
    with torch.inference_mode(), single_thread():
        logits = _network()(tensors[0], tensors[1])
    inner = tuple(slice(low, low + n) for (low, _), n in zip(pads, seen.shape, strict=True))
    result = np.zeros(valid.shape, dtype=np.float32)
    result[crop] = logits.sigmoid()[0, 0].numpy()[inner]
    return np.where(valid, result, np.float32(0))


@lru_cache(maxsize=1)
def _network() -> FinderNet:
    network = FinderNet()
    network.load_state_dict(read_shipped(WEIGHTS, SHA256))
    return network.requires_grad_(False).eval()


def _around(
    valid: Bool[np.ndarray, "i j k"],
) -> tuple[tuple[slice, ...], list[tuple[int, int]]]:
    """The smallest central box that holds `valid`, and what fills it up to the network's sides."""
    crop, pads = [], []
    for axis, n in enumerate(valid.shape):
        inside = np.flatnonzero(valid.any(axis=tuple(a for a in range(3) if a != axis)))
        first = min(int(inside[0]), n - 1 - int(inside[-1]))
        crop.append(slice(first, n - first))
        missing = -(n - 2 * first) % SIDE
        # As much on both sides, if the count is even: the centre stays where it is.
        pads.append((missing // 2, missing - missing // 2))
    return tuple(crop), pads


def _most_central(
    probability: Float[np.ndarray, "i j k"], mask: Bool[np.ndarray, "i j k"]
) -> Bool[np.ndarray, "i j k"]:
    """The component with the most probability near the centre of the grid."""
    components, count = ndimage.label(mask)
    if count == 1:
        return mask
    axes = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 4)) ** 2) for n in mask.shape]
    weights = probability * np.einsum("x,y,z->xyz", *axes)
    masses = np.bincount(components.ravel(), weights=weights.ravel(), minlength=count + 1)
    return components == 1 + int(np.argmax(masses[1:]))
