"""Networks that end in an activation which their loss applies itself, or takes for something else."""

import numpy as np
import pytest

from layernet import (
    BinaryCrossEntropy,
    Concat,
    CrossEntropy,
    Dense,
    Dropout,
    Flatten,
    HardSigmoid,
    Identity,
    Layer,
    LogLoss,
    LogSoftmax,
    Loss,
    NetworkClassifier,
    NetworkRegressor,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)

random = np.random.default_rng(0)
X = random.standard_normal((40, 4))
TWO = (X[:, 0] + X[:, 1] > 0).astype(int)
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
LABELS = (X[:, :3] > 0).astype(int)
COUNTS = random.poisson(2, 40)


class OwnSigmoid(Layer):
    def forward_pass(self, inputs):
        return 1 / (1 + np.exp(-inputs))

    def backward_pass(self, inputs, grad_output):
        outputs = self.forward_pass(inputs)
        return grad_output * outputs * (1 - outputs)


class Exponential(Layer):
    def forward_pass(self, inputs):
        return np.exp(inputs)

    def backward_pass(self, inputs, grad_output):
        return grad_output * np.exp(inputs)


class Named(Sequential):
    pass


class ExponentialRate(Loss):
    """Says which activation it applies, and nothing of what its outputs are."""

    output_activation = np.exp

    def losses(self, outputs, targets):
        return (np.exp(outputs) - targets * outputs).mean(axis=1)

    def gradient(self, outputs, targets):
        return (np.exp(outputs) - targets) / outputs.shape[1]


DOUBLED = [
    ([Dense(1), Sigmoid()], "binary_cross_entropy", TWO),
    ([Dense(3), Sigmoid()], BinaryCrossEntropy(), LABELS),
    ([Dense(1), Sigmoid()], LogLoss(label_smoothing=0.1), TWO),
    ([Dense(3), Softmax()], "cross_entropy", THREE),
    ([Dense(3), Softmax()], CrossEntropy(label_smoothing=0.1), np.eye(3)[THREE]),
    ([Dense(1), OwnSigmoid()], "binary_cross_entropy", TWO),
    ([Dense(1), Exponential()], "poisson", COUNTS),
    ([Dense(1), Exponential()], "half_poisson_deviance", COUNTS),
    ([Dense(1), Exponential()], ExponentialRate(), COUNTS),
    ([Dense(1), Sigmoid(), Dropout(0.5), Flatten(), Identity()], "log_loss", TWO),
    ([Sequential([Dense(3), Named([ReLU(), Softmax()])])], "cross_entropy", THREE),
    ([Dense(6), Reshape((2, 3)), Sigmoid()], "binary_cross_entropy", np.ones((40, 2, 3))),
    ([Concat([Sequential([Dense(1), Sigmoid()]), Dense(2)])], "binary_cross_entropy", LABELS),
]


@pytest.mark.parametrize("engine", ["formulas", "auto"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("layers", "loss", "y"), DOUBLED)
def test_an_activation_that_the_loss_applies_itself_is_refused_before_the_first_step(
    layers, loss, y, dtype, engine
):
    network = Sequential(layers).build(4, 0, dtype)
    before = network.parameter_vector.copy()
    with pytest.raises(ValueError, match=r"applies their activation itself.*Remove that layer"):
        network.fit(X, y, loss=loss, epochs=1, engine=engine)
    assert np.array_equal(network.parameter_vector, before)


def test_a_refused_network_stays_unbuilt():
    network = Sequential([Dense(1), Sigmoid()])
    with pytest.raises(ValueError, match="applies their activation itself"):
        network.fit(X, TWO, loss="log_loss")
    assert network.input_shape is None


@pytest.mark.parametrize(
    ("layers", "loss", "y"),
    [
        ([Dense(3), LogSoftmax()], "cross_entropy", THREE),
        ([Dense(3), Tanh()], "cross_entropy", THREE),
        ([Dense(1), Sigmoid()], "mean_squared_error", TWO),
        ([Dense(3), Softmax()], "mean_squared_error", np.eye(3)[THREE]),
        ([Dense(1), Exponential()], "mean_squared_error", COUNTS),
        ([Dense(1), Softplus()], "poisson", COUNTS),
        ([Dense(1), Sigmoid()], ExponentialRate(), COUNTS),
        ([Sigmoid(), Dense(1)], "binary_cross_entropy", TWO),
        ([Dense(3), Softmax(), Dense(3)], "cross_entropy", THREE),
        ([Dense(3), Softmax(), Tanh()], "cross_entropy", THREE),  # in the other order it is a softmax
    ],
)
def test_other_endings_train(layers, loss, y):
    assert len(Sequential(layers).fit(X, y, loss=loss, epochs=1, random_state=0)["loss"]) == 1


@pytest.mark.parametrize(
    ("layers", "loss", "y"),
    [
        ([Dense(3), Sigmoid()], "cross_entropy", THREE),
        ([Dense(1), HardSigmoid()], "binary_cross_entropy", TWO),
        ([Dense(3), Softmax()], "binary_cross_entropy", LABELS),
        ([Dense(3), Softmax()], "hinge", THREE),
        ([Dense(1), Sigmoid()], "hinge", TWO),
    ],
)
def test_probabilities_where_other_outputs_are_expected_give_a_warning(layers, loss, y):
    with pytest.warns(UserWarning, match=r"lie between 0 and 1.*Remove that layer"):
        Sequential(layers).fit(X, y, loss=loss, epochs=1, random_state=0)


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (NetworkClassifier(Sequential([Dense(16), ReLU(), Dense(1), Sigmoid()])), TWO),
        (NetworkClassifier(Sequential([Dense(3), Softmax()])), THREE),
        (NetworkClassifier(Sequential([Dense(3), Sigmoid()])), LABELS),
        (NetworkClassifier(Sequential([Dense(2), Softmax()]), loss=CrossEntropy()), TWO),
        (NetworkClassifier(lambda shape, n: Sequential([Dense(n), OwnSigmoid()])), TWO),
        (NetworkRegressor(Sequential([Dense(1), Exponential()]), loss="poisson"), COUNTS),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_estimators_refuse_them_and_stay_unfitted(estimator, y, method):
    first = {"classes": np.unique(y)} if method == "partial_fit" and y is not COUNTS and y.ndim == 1 else {}
    with pytest.raises(ValueError, match="applies their activation itself"):
        getattr(estimator, method)(X, y, **first)
    assert not hasattr(estimator, "network_")
