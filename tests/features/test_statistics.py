"""First-order statistics against NumPy and SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from medfs.features.radiomics.statistics import moments, quantiles

LEVELS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def _masked(seed, n=500, count=120):
    rng = np.random.default_rng(seed)
    values, mask = rng.gamma(2, 3, n), np.zeros(n)
    mask[rng.choice(n, count, replace=False)] = 1
    return values, mask


def _rows(*arrays):
    return [torch.from_numpy(np.asarray(a, np.float64)).view(1, 1, -1, 1, 1) for a in arrays]


@pytest.mark.parametrize("seed", range(3))
def test_moments_are_those_of_scipy(seed):
    values, mask = _masked(seed)
    inside = values[mask > 0]
    expected = [inside.mean(), inside.std(), stats.skew(inside), stats.kurtosis(inside)]
    np.testing.assert_allclose(moments(*_rows(values, mask))[0].numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("count", [1, 2, 7, 120])
def test_quantiles_are_those_of_numpy(count):
    values, mask = _masked(0, count=count)
    found = quantiles(*_rows(values, mask), LEVELS)[0].numpy()
    np.testing.assert_allclose(found, np.quantile(values[mask > 0], LEVELS), rtol=1e-12)


def test_an_empty_mask_gives_zeros():
    values, mask = _rows(np.arange(9.0), np.zeros(9))
    assert moments(values, mask)[0].tolist()[0] == 0
    assert not moments(values, mask)[0, 2:].any()
    assert not quantiles(values, mask, LEVELS).any()


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -1000.0])
def test_a_constant_region_has_no_skewness_or_kurtosis(value):
    values, mask = torch.full((1, 1, 4, 4, 4), value), torch.ones(1, 1, 4, 4, 4)
    assert moments(values, mask)[0, 2:].tolist() == [0.0, 0.0]
    assert quantiles(values, mask, LEVELS)[0].tolist() == [pytest.approx(value)] * len(LEVELS)


@given(st.integers(0, 10_000), st.floats(-10, 10), st.floats(0.1, 10))
def test_shift_and_scale_move_location_and_spread_alone(seed, shift, scale):
    values, mask = _masked(seed, 60, 20)
    before = moments(*_rows(values, mask))[0].numpy()
    after = moments(*_rows(scale * values + shift, mask))[0].numpy()
    expected = [scale * before[0] + shift, scale * before[1], before[2], before[3]]
    np.testing.assert_allclose(after, expected, rtol=1e-6, atol=1e-6)


def test_each_row_of_a_batch_is_its_own():
    (v1, m1), (v2, m2) = _masked(1), _masked(2)
    both = [torch.cat(pair) for pair in zip(_rows(v1, m1), _rows(v2, m2), strict=True)]
    for row, (v, m) in enumerate([(v1, m1), (v2, m2)]):
        torch.testing.assert_close(moments(*both)[row], moments(*_rows(v, m))[0])
        torch.testing.assert_close(
            quantiles(*both, LEVELS)[row], quantiles(*_rows(v, m), LEVELS)[0]
        )
