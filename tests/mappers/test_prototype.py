"""Prototypes against the nearest mean written out, and against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestCentroid

from medfs.mappers.prototype import Prototype


def classified(support):
    return Prototype(support.features.joined().shape[1])(support)


def test_logits_are_minus_squared_distances_to_class_means(tasks):
    support, query = tasks.support(), tasks.query
    classifier = classified(support)
    x = classifier.theta.embed(support.features.joined()).numpy()
    # Class means written out: two patients each, whose cases share the patient's half.
    means = np.stack(
        [
            ((x[0] + x[1]) / 2 + x[2]) / 2,
            (x[3] + (x[4] + x[5]) / 2) / 2,
            (x[6] + (x[7] + x[8]) / 2) / 2,
        ]
    )
    q = classifier.theta.embed(query.joined()).numpy()
    distances = ((q[:, None] - means[None]) ** 2).sum(axis=2)
    expected = torch.log_softmax(torch.from_numpy(-distances), dim=1)
    actual = torch.log_softmax(classifier.logits(query), dim=1)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_predictions_are_those_of_nearest_centroid(tasks, seed):
    many = tasks.random_support(seed, n_way=3)
    # One case per patient: scikit-learn knows no patients.
    keep = [many.patients.tolist().index(p) for p in dict.fromkeys(many.patients.tolist())]
    support = many.subset(torch.tensor(keep))
    classifier = classified(support)
    x = classifier.theta.embed(support.features.joined()).numpy()
    reference = NearestCentroid().fit(x, support.labels.numpy())
    q = tasks.features((3 * torch.randn(50, 30, dtype=torch.float64)).tolist())
    expected = reference.predict(classifier.theta.embed(q.joined()).numpy())
    assert classifier.logits(q).argmax(dim=1).tolist() == expected.tolist()


def test_one_case_per_class_is_enough(tasks):
    support = tasks.support([[0.0, 1.0], [1.0, 3.0]], [0, 1], [0, 1])
    assert classified(support).logits(support.features).argmax(dim=1).tolist() == [0, 1]


def test_features_without_any_spread_give_equal_logits(tasks):
    support = tasks.support([[2.0, 2.0]] * 4, [0, 0, 1, 1], [0, 1, 2, 3])
    logits = classified(support).logits(support.features)
    torch.testing.assert_close(logits, torch.zeros(4, 2, dtype=torch.float64))
