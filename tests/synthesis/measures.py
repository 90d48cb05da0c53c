"""A plain measurement of image and region for each latent factor: what an observer may see."""

import numpy as np
from scipy import ndimage


def points(mask, spacing):
    """Places of the voxels in mm around their centre."""
    places = np.argwhere(mask) * spacing
    return places - places.mean(axis=0)


def volume(mask, spacing):
    return mask.sum() * spacing.prod()


def axes(mask, spacing):
    """Standard deviations along the principal axes, longest first."""
    found = points(mask, spacing)
    covariance = found.T @ found / len(found) + np.diag(spacing**2 / 12)
    return np.sqrt(np.linalg.eigvalsh(covariance))[::-1]


def surface(mask, spacing):
    """Area of the faces between the region and the rest."""
    padded, voxel = np.pad(mask, 1).astype(float), spacing.prod()
    return sum(np.abs(np.diff(padded, axis=a)).sum() * voxel / spacing[a] for a in range(3))


def depth(mask, spacing):
    padded = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)
    return padded[1:-1, 1:-1, 1:-1]


def away(mask, spacing):
    return ndimage.distance_transform_edt(~mask, sampling=spacing)


def largest(mask):
    parts, count = ndimage.label(mask)
    sizes = ndimage.sum_labels(mask, parts, range(1, count + 1))
    return parts == 1 + np.argmax(sizes)


def core(mask, spacing):
    """The region without its surface, if anything is left."""
    inner = ndimage.binary_erosion(mask)
    return inner if inner.sum() >= 20 else mask


def count(image, mask, spacing):
    return ndimage.label(mask)[1]


def size(image, mask, spacing):
    return volume(mask, spacing)


def elongation(image, mask, spacing):
    longest, middle, shortest = axes(largest(mask), spacing)
    return longest / np.sqrt(middle * shortest)


def height(image, mask, spacing):
    """Extent along z, along which organs are elongated."""
    return points(mask, spacing)[:, 2].std() / volume(mask, spacing) ** (1 / 3)


def irregularity(image, mask, spacing):
    part = largest(mask)
    return surface(part, spacing) / volume(part, spacing) ** (2 / 3)


def lopsided(image, mask, spacing):
    """Third moments of one body: zero if its sides are alike."""
    part = largest(mask)
    found = points(part, spacing)
    third = (found * np.square(found).sum(axis=1, keepdims=True)).mean(axis=0)
    return np.linalg.norm(third) / np.square(axes(part, spacing)).sum() ** 1.5


def imbalance(image, mask, spacing):
    """How unequal the right and the left half are."""
    right = mask[len(mask) // 2 :].sum() / mask.sum()
    return abs(right - 0.5)


def roughness(image, mask, spacing):
    """Squared differences of neighbours over the variance: high for fine patterns."""
    inner = core(mask, spacing)
    steps = []
    for axis in (0, 1):
        both = inner & np.roll(inner, -1, axis)
        steps.append((np.roll(image, -1, axis) - image)[both])
    return np.square(np.concatenate(steps)).mean() / max(image[inner].var(), 1e-9)


def spread(image, mask, spacing):
    return image[core(mask, spacing)].std()


def variation(image, mask, spacing):
    """Spread over mean, for images of positive values that are scaled by their maximum."""
    inside = image[core(mask, spacing)]
    return inside.std() / inside.mean()


def contrast(image, mask, spacing):
    distance = away(mask, spacing)
    shell = (distance > 1.5 * spacing.max()) & (distance < 4.5 * spacing.max())
    return image[mask].mean() - image[shell].mean()


def rim(image, mask, spacing):
    """Correlation of intensity with closeness to the surface, outermost voxels left out."""
    deep = depth(mask, spacing)
    inner = deep > 1.01 * spacing.min()
    inner = inner if inner.sum() >= 10 else mask
    a, b = deep[inner] - deep[inner].mean(), image[inner] - image[inner].mean()
    return -(a @ b) / np.sqrt((a @ a) * (b @ b) + 1e-9)


def surroundings(image, mask, spacing):
    """Spread of intensities around the region: large where the boundary of the organ is near."""
    distance = away(mask, spacing)
    return -image[(distance > spacing.max()) & (distance < 10 * spacing.max())].std()


def calibre(image, mask, spacing):
    return volume(mask, spacing) / surface(mask, spacing)


def bulge(image, mask, spacing):
    deep = depth(mask, spacing)
    return deep.max() / deep[mask].mean()


def winding(image, mask, spacing):
    longest, middle, _ = axes(mask, spacing)
    return middle / longest


MEASURES = {
    "size": size,
    "elongation": elongation,
    "irregularity": irregularity,
    "count": count,
    "asymmetry": lopsided,
    "texture_scale": lambda *case: -roughness(*case),
    "texture_amplitude": spread,
    "contrast": lambda *case: abs(contrast(*case)),
    "rim": rim,
    "site": surroundings,
    "calibre": calibre,
    "bulges": bulge,
    "tortuosity": winding,
    "branches": winding,
}
# What differs between structures or between kinds of volumes.
SPECIAL = {
    ("organ", "elongation"): height,
    ("organ", "asymmetry"): imbalance,
    ("percentile", "texture_amplitude"): variation,
}


def measure_of(scene, factor):
    """The measurement that shows a factor in a scene; it grows with the factor."""
    kind = scene.modality.kind if scene.modality else "shape"
    by_kind = SPECIAL.get((kind, factor), MEASURES[factor])
    return SPECIAL.get((scene.structure, factor), by_kind)
