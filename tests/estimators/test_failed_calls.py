"""What a call that failed leaves behind: nothing in the estimator, and nothing undone in what is the user's."""

import numpy as np
import pytest

from layernet import (
    BatchNorm,
    Dense,
    Dropout,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    ReLU,
    Sequential,
)
from layernet.training import Callback

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((60, 4))
Y = np.arange(60) % 3
WITH_NAN = np.where(np.arange(60)[:, None] == 7, np.nan, X)


class Fails(Callback):
    """Raises an error after an epoch of training, and keeps what the parameters were then."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, run):
        self.seen.append(run.network.parameter_vector.copy())
        raise RuntimeError("that is enough")


def of_kind(kind, **parameters):
    """An estimator with dropout and batch normalization, whose networks have a state, and its y."""
    parameters = {"max_iter": 3, "random_state": 0, **parameters}
    network = Sequential([Dense(3), BatchNorm(), ReLU(), Dropout(0.2), Dense(1 if "Regr" in kind else 3)])
    layers = {"dropout": 0.2, "normalization": "batch", "hidden_layer_sizes": (3,)}
    return {
        "MLPClassifier": lambda: (MLPClassifier(**layers, **parameters), Y),
        "MLPRegressor": lambda: (MLPRegressor(**layers, **parameters), X[:, 0]),
        "NetworkClassifier": lambda: (NetworkClassifier(network, **parameters), Y),
        "NetworkRegressor": lambda: (NetworkRegressor(network, **parameters), X[:, 0]),
    }[kind]()


ESTIMATORS = ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"]

# Each is what makes a call fail: parameters, X, and arguments beside X and y.
FAILURES = {
    "a NaN": ({}, WITH_NAN, {}),
    "weights": ({}, X, {"sample_weight": -np.ones(60)}),
    "no weight": ({}, X, {"sample_weight": np.zeros(60)}),
    "a parameter": ({"tol": -1}, X, {}),
    "a callback": ({"callbacks": [Fails()]}, X, {}),
    "no callback": ({"callbacks": [print]}, X, {}),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("kind", ["MLPClassifier", "NetworkClassifier"])
def test_the_classes_of_a_first_partial_fit_that_failed_are_given_again(kind, failure):
    parameters, rows, arguments = FAILURES[failure]
    estimator, _ = of_kind(kind)
    good = {name: getattr(estimator, name) for name in parameters}
    estimator.set_params(**parameters)
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        estimator.partial_fit(rows, Y, classes=[0, 1, 2], **arguments)
    assert not hasattr(estimator, "classes_")
    estimator.set_params(**good)
    two = Y < 2
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        estimator.partial_fit(X[two], Y[two])
    estimator.partial_fit(X[two], Y[two], classes=[0, 1, 2])
    assert list(estimator.classes_) == [0, 1, 2]
    assert estimator.predict_proba(X).shape == (60, 3)
    estimator.partial_fit(X, Y)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_estimator_is_as_it_was(kind, method, failure):
    parameters, rows, arguments = FAILURES[failure]
    if method == "partial_fit" and "Classifier" in kind:
        arguments = {**arguments, "classes": [0, 1, 2]}
    for fitted in (False, True):
        estimator, y = of_kind(kind)
        if fitted:
            estimator.fit(X, y)
            outputs, network_state = estimator.predict(X), estimator.network_.state()
        good = {name: getattr(estimator, name) for name in parameters}
        attributes = dict(vars(estimator))
        estimator.set_params(**parameters)
        with pytest.raises((ValueError, TypeError, RuntimeError)):
            getattr(estimator, method)(rows, y, **arguments)
        estimator.set_params(**good)
        assert vars(estimator).keys() == attributes.keys()
        assert all(vars(estimator)[name] is value for name, value in attributes.items())
        if fitted:
            assert np.array_equal(estimator.predict(X), outputs)
            for name, value in network_state.items():
                assert np.array_equal(estimator.network_.state()[name], value)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_estimators_own_random_numbers_go_on_as_if_the_failed_call_had_not_been(kind):
    steady, y = of_kind(kind)
    stumbles, _ = of_kind(kind)
    for estimator in (steady, stumbles):
        estimator.partial_fit(X, y, **({"classes": [0, 1, 2]} if "Classifier" in kind else {}))
    stumbles.set_params(callbacks=[Fails()])
    with pytest.raises(RuntimeError):
        stumbles.partial_fit(X, y)
    stumbles.set_params(callbacks=[])
    for estimator in (steady, stumbles):
        estimator.partial_fit(X, y)
    assert np.array_equal(steady.network_.parameter_vector, stumbles.network_.parameter_vector)


@pytest.fixture
def numpys_random_state():
    """NumPy's global generator, put back where it was."""
    everybodys = np.random.mtrand._rand
    before = everybodys.get_state()
    yield everybodys
    everybodys.set_state(before)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("whose", ["the user's", "NumPy's"])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_trying_again_draws_other_parameters(kind, whose, shuffle, numpys_random_state):
    """Only the estimator's own random numbers are set back; a generator that is the user's goes on."""
    random = np.random.RandomState(3) if whose == "the user's" else numpys_random_state
    given = random if whose == "the user's" else None
    estimator, y = of_kind(kind, random_state=given, shuffle=shuffle)
    estimator.fit(X, y)
    fails = Fails()
    estimator.set_params(callbacks=[fails])
    for _ in range(3):
        drawn_before = random.get_state()[1:3]
        with pytest.raises(RuntimeError):
            estimator.fit(X, y)
        drawn_after = random.get_state()[1:3]
        assert not np.array_equal(np.hstack(drawn_before), np.hstack(drawn_after))
    one, two, three = fails.seen
    assert not np.allclose(one, two)
    assert not np.allclose(two, three)
    # and with both partial_fit goes on, as one stream of random numbers
    drawn_before = np.hstack(random.get_state()[1:3])
    with pytest.raises(RuntimeError):
        estimator.partial_fit(X, y)
    assert np.array_equal(drawn_before, np.hstack(random.get_state()[1:3])) is not shuffle


@pytest.mark.parametrize("kind", ["NetworkClassifier", "NetworkRegressor"])
def test_two_fits_from_one_random_state_differ_without_shuffling(kind):
    random = np.random.RandomState(0)
    one, two = (of_kind(kind, random_state=random, shuffle=False)[0].fit(X, Y % 3) for _ in range(2))
    assert not np.allclose(one.network_.parameter_vector, two.network_.parameter_vector)


@pytest.mark.parametrize("wrong", ["optimizer__rate", "nonsense", "nonsense__0", "network__9__units"])
def test_parameters_of_which_one_is_wrong_are_all_left_as_they_were(wrong):
    estimator, _ = of_kind("NetworkClassifier")
    before = estimator.get_params()
    with pytest.raises(ValueError, match="Invalid parameter"):
        estimator.set_params(**{"alpha": 1.0, "network__0__units": 9, wrong: 1, "tol": 0.5})
    assert estimator.get_params() == before
