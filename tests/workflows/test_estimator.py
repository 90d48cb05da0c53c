"""FewShotClassifier as people use estimators of scikit-learn."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_score

from medfs import FewShotClassifier
from medfs.core.errors import CohortError, UsageError, UserError


@pytest.fixture
def classifier():
    return FewShotClassifier(cache=True)


def test_the_constructor_only_stores():
    given = {"mapper": "prototype", "preset": "ct-soft", "random_state": 7, "features": ["x"]}
    made = FewShotClassifier(**given)
    for name, value in given.items():
        assert getattr(made, name) is value
    assert clone(made).get_params() == made.get_params()
    assert made.set_params(mapper="ridge").mapper == "ridge"
    assert is_classifier(made)


def test_before_fit(classifier, simulated):
    with pytest.raises(NotFittedError):
        classifier.predict_proba(simulated.images)


def test_paths_with_masks(classifier, simulated):
    fitted = classifier.fit(simulated.masked, simulated.labels, groups=simulated.patients)
    assert fitted is classifier
    assert list(classifier.classes_) == ["smooth", "spiculated"]
    p = classifier.predict_proba(simulated.masked)
    assert p.shape == (8, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-9)
    assert (classifier.classes_[p.argmax(axis=1)] == classifier.predict(simulated.masked)).all()
    assert classifier.score(simulated.masked, simulated.labels) > 0.5
    assert classifier.preset_ == "ct-lung"


def test_one_scan_equals_the_same_among_others(classifier, simulated):
    classifier.fit(simulated.masked, simulated.labels)
    together = classifier.predict_proba(simulated.masked)
    alone = classifier.predict_proba(simulated.masked[3:4])
    assert alone[0].tobytes() == together[3].tobytes()


def test_it_says_which_scans_are_like_those_it_was_fitted_to(simulated):
    arrays = [{"image": c.voxels, "mask": c.mask} for c in simulated.cases]
    classifier = FewShotClassifier(spacing=(0.7, 0.7, 2.0)).fit(arrays, simulated.labels)
    muscle = np.random.default_rng(0).normal(45, 12, arrays[0]["image"].shape)
    odd = {"image": muscle, "mask": arrays[0]["mask"]}
    with pytest.raises(UserError, match="empty"):
        classifier.is_familiar([{**odd, "mask": np.zeros_like(odd["mask"])}])
    found = classifier.is_familiar([*arrays, odd])
    assert found.tolist() == [True] * 8 + [False]
    assert classifier.predict_proba([odd]).sum() == pytest.approx(1)
    assert classifier.is_familiar([]).shape == (0,)


def test_arrays_are_read_with_the_given_spacing(simulated):
    arrays = [{"image": c.voxels, "mask": c.mask} for c in simulated.cases]
    classifier = FewShotClassifier(spacing=(0.7, 0.7, 2.0)).fit(arrays, simulated.labels)
    p = classifier.predict_proba(arrays)
    assert p.shape == (8, 2)
    other = FewShotClassifier(spacing=(0.7, 0.7, 1.0)).fit(arrays, simulated.labels)
    assert not np.allclose(p, other.predict_proba(arrays))


def test_arrays_without_spacing_are_refused(simulated):
    arrays = [c.voxels for c in simulated.cases]
    with pytest.raises(UsageError, match="spacing="):
        FewShotClassifier().fit(arrays, simulated.labels)


@pytest.mark.parametrize("labels", [[10, 9] * 4, [True, False] * 4, ["b", "a"] * 4])
def test_classes_are_sorted_in_their_own_order(classifier, simulated, labels):
    classifier.fit(simulated.masked, labels)
    assert list(classifier.classes_) == sorted(set(labels))
    assert classifier.predict_proba(simulated.masked)[0].argmax() == 1
    assert classifier.predict(simulated.masked)[0] == labels[0]


def test_groups_decide_what_can_be_held_out(classifier, simulated):
    classifier.set_params(calibrator="temperature")
    alone = classifier.fit(simulated.masked, simulated.labels)
    temperature = float(alone.calibrated_.temperature)
    # All cases of a class are of one patient: nothing can be left out.
    together = clone(classifier).fit(
        simulated.masked, simulated.labels, groups=[c.label for c in simulated.cases]
    )
    assert float(together.calibrated_.temperature) != temperature


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda x, y: (x, y[:-1], None), "do not fit"),
        (lambda x, y: (x, y, [1, 2]), "do not fit"),
        (lambda x, y: (x, ["a"] * 8, None), "two classes"),
        (lambda x, y: ([*x[:-1], x[-1]["image"]], y, None), "no mask"),
        (lambda x, y: ([], [], None), "found 0"),
    ],
)
def test_what_does_not_fit_is_refused(classifier, simulated, harm, words):
    scans, labels, groups = harm(simulated.masked, simulated.labels)
    with pytest.raises(UserError, match=words):
        classifier.fit(scans, labels, groups=groups)


def test_a_missing_file_is_named(classifier, simulated, tmp_path):
    scans = [*simulated.masked[:-1], {**simulated.masked[-1], "image": tmp_path / "lost.nii.gz"}]
    with pytest.raises(UserError, match="lost"):
        classifier.fit(scans, simulated.labels)


def test_masks_for_fitting_only_are_refused(classifier, simulated):
    classifier.fit(simulated.masked, simulated.labels)
    with pytest.raises(CohortError, match="masks"):
        classifier.predict_proba(simulated.images)


def test_no_scans_give_no_rows(classifier, simulated):
    classifier.fit(simulated.masked, simulated.labels)
    assert classifier.predict_proba([]).shape == (0, 2)
    assert classifier.predict([]).shape == (0,)


def test_cross_validation_over_paths(classifier, simulated):
    paths = [str(p) for p in simulated.images]
    scores = cross_val_score(
        classifier,
        paths,
        simulated.labels,
        groups=simulated.patients,
        cv=GroupKFold(4),
        scoring="accuracy",
        error_score="raise",
    )
    assert scores.shape == (4,)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_same_seed_same_parameters(classifier, simulated):
    fits = [clone(classifier).fit(simulated.masked, simulated.labels) for _ in range(2)]
    one, other = (fit.calibrated_.classifier.theta.head.weight for fit in fits)
    assert one.numpy().tobytes() == other.numpy().tobytes()
