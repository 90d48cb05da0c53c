"""Ridge regression on class codes in closed form (as in R2-D2; Bertinetto et al., ICLR 2019).

The penalty λ is the one with the smallest error when each patient is left out; that error comes
from one eigendecomposition (Golub, Heath & Wahba 1979, in its block form) and is exact for the
given standardisation. It also is the noise level that turns scores into logits: with Gaussian noise
of variance v around the class codes, log p(c | x) = f_c(x) / v + const.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medfs.core.classifiers import Classifier
from medfs.core.episodes import SupportSet
from medfs.core.features import Features
from medfs.core.theta import LinearHead, Theta
from medfs.mappers.standardize import balanced_weights, standardize

# The smallest of several errors of ten cases is too good to be true: the noise is estimated as if
# this many more cases had been predicted no better than by chance.
_CHANCE_CASES = 10


class Ridge(torch.nn.Module):
    """Class-balanced ridge; λ by exact leave-one-patient-out.

    The grid of λ is relative to the total variance of the features; it ends where smaller penalties
    only let ten cases pick among forty features by chance. Where a class has a single
    patient nothing can be left out: λ is then the total variance itself and the noise that of the
    class codes, which keeps the logits small. Nothing is meta-learned: `r2d2` learns the penalty.

    Of several blocks of features each weighs as much as any other, however many features it has:
    two hundred numbers that say nothing would otherwise drown forty that do.
    """

    grid: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.n_features = n_features
        self.register_buffer(
            "grid", torch.logspace(-1, 1, 9, dtype=torch.float64), persistent=False
        )

    def forward(self, support: SupportSet) -> Classifier:
        weights = balanced_weights(support)
        standardizer, x = standardize(support.features.joined().double(), weights)
        gains = block_weights(support.features)
        x, root = x * gains, weights.sqrt()[:, None]
        members = torch.nn.functional.one_hot(support.labels, support.n_way).double()
        design, codes = root * x, root * (members - 1 / support.n_way)
        basis = _Basis(design, codes)
        chance = codes.new_tensor((1 - 1 / support.n_way) / support.n_way)
        if min(len(support.patients_of(c)) for c in range(support.n_way)) < 2:
            penalty, noise = basis.total, chance
        else:
            candidates = self.grid * basis.total
            errors = basis.left_out_error(candidates, support.patients) / support.n_way
            best = int(torch.argmin(errors))
            share = len(support) / (len(support) + _CHANCE_CASES)
            penalty, noise = candidates[best], share * errors[best] + (1 - share) * chance
        coefficients = basis.solve(penalty)
        weight = (coefficients.T @ design) * gains / noise
        head = LinearHead(weight, torch.zeros_like(weight[:, 0]))
        theta = Theta((standardizer,), head)
        return Classifier(support.features.identities, theta, support.class_names)


def block_weights(features: Features) -> Float[Tensor, "feature"]:
    """Factors by which blocks of standardised features get equal variance; one for a single block.

    Their squares are one on average, so that the total variance is what it was.
    """
    sizes = [block.shape[1] for block in features.blocks.values()]
    even = sum(sizes) / len(sizes)
    parts = [torch.full((n,), (even / n) ** 0.5, dtype=torch.float64) for n in sizes]
    return torch.cat(parts).to(next(iter(features.blocks.values())).device)


class _Basis:
    """Eigenvectors of the kernel of a design matrix, shared by every penalty."""

    def __init__(
        self, design: Float[Tensor, "case feature"], codes: Float[Tensor, "case way"]
    ) -> None:
        self.codes = codes
        values, self.vectors = torch.linalg.eigh(design @ design.T)
        self.values = values.clamp_min(0)
        self.total = self.values.sum().clamp_min(1e-12)

    def solve(self, penalty: Float[Tensor, ""]) -> Float[Tensor, "case way"]:
        """Dual coefficients (K + λI)⁻¹ Y."""
        return self.vectors @ ((self.vectors.T @ self.codes) / (self.values + penalty)[:, None])

    def left_out_error(
        self, penalties: Float[Tensor, "candidate"], patients: Int[Tensor, "case"]
    ) -> Float[Tensor, "candidate"]:
        """Weighted squared error of every patient's cases, predicted by all other patients.

        With residuals r = (I − H) y, those of a block B that is left out are (I − H_BB)⁻¹ r_B.
        """
        shrink = penalties[:, None] / (self.values + penalties[:, None])
        residual_maker = (self.vectors * shrink[:, None, :]) @ self.vectors.T
        residuals = residual_maker @ self.codes
        error = torch.zeros_like(penalties)
        for block in _blocks(patients):
            within = residual_maker[:, block[:, :, None], block[:, None, :]]
            left_out = torch.linalg.solve(within, residuals[:, block])
            error = error + (left_out**2).sum(dim=(1, 2, 3))
        return error


def _blocks(patients: Int[Tensor, "case"]) -> list[Int[Tensor, "patient cases"]]:
    """Cases of each patient; patients with the same number of cases are in one tensor."""
    order = torch.argsort(patients, stable=True)
    counts = torch.unique(patients, return_counts=True)[1]
    first = counts.cumsum(0) - counts
    sizes = torch.unique(counts).tolist()
    return [order[first[counts == n][:, None] + torch.arange(n)] for n in sizes]
