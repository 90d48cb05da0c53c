"""Whether more cases would help, told from smaller supports."""

from itertools import pairwise

import torch

from medfs.calibration.learning_curve import learning_curve
from medfs.mappers.prototype import Prototype
from medfs.mappers.ridge import Ridge


def test_a_weak_signal_in_many_features_grows_with_cases(support):
    rising = 0
    for seed in range(6):
        made = support(seed, n_patients=20, n_features=30, gap=2.0)
        curve = learning_curve(made, Prototype(30), 0)
        assert curve.patients[0] == 2
        assert curve.patients[-1] == 15
        assert list(curve.patients) == sorted(curve.patients)
        assert curve.low <= curve.change <= curve.high
        rising += curve.change > 0
    assert rising >= 5


def test_pure_noise_is_rarely_said_to_grow(support):
    claims = 0
    for seed in range(20):
        curve = learning_curve(support(seed, n_patients=8), Ridge(8), 0)
        claims += curve.low > 0
    assert claims <= 2


def test_too_few_patients_have_no_curve(support):
    assert learning_curve(support(0, n_patients=4), Ridge(8), 0) is None


def test_sizes_see_none_of_those_who_judge(support, watched):
    made = support(0, n_patients=6, cases_per_patient=2)
    mapper = watched(Ridge(8))
    curve = learning_curve(made, mapper, 0)
    per_repeat = len(curve.patients)
    for at in range(0, len(mapper.seen), per_repeat):
        sizes = mapper.seen[at : at + per_repeat]
        assert [len(rows) for rows in sizes] == [4 * n for n in curve.patients]
        for smaller, larger in pairwise(sizes):
            assert smaller <= larger
        assert len(sizes[-1]) <= len(made) - 4


def test_the_order_of_cases_does_not_matter(support):
    made = support(3, n_patients=6, gap=1.0)
    order = torch.randperm(len(made), generator=torch.Generator().manual_seed(0))
    assert learning_curve(made, Ridge(8), 0) == learning_curve(made.subset(order), Ridge(8), 0)
