"""Classes and functions of one's own that write to what they are given are refused, in both engines."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from layernet import Callback, Dense, Layer, Loss, Optimizer, Sequential, check_layer

X = np.random.default_rng(0).standard_normal((12, 5))
Y = X[:, :3]
ENGINES = ["formulas", "auto"]


class WritesForward(Layer):
    def forward_pass(self, inputs):
        inputs *= 2
        return inputs

    def backward_pass(self, inputs, grad_output):
        return 2 * grad_output


class WritesBackward(Layer):
    def forward_pass(self, inputs):
        return 2 * inputs

    def backward_pass(self, inputs, grad_output):
        grad_output *= 2
        return grad_output


class WritesToInputsOnTheWayBack(Layer):
    def forward_pass(self, inputs):
        return inputs**2

    def backward_pass(self, inputs, grad_output):
        inputs *= 2
        return inputs * grad_output


class WritesInRecord(Layer):
    def record(self, inputs):
        inputs += 1
        return inputs.copy(), None

    def backward_from(self, record, grad_output):
        return grad_output.copy()


class WritesFromRecord(Layer):
    def record(self, inputs):
        return inputs.copy(), None

    def backward_from(self, record, grad_output):
        np.negative(grad_output, out=grad_output)
        return grad_output


class WritesToItsOutputs(Layer):
    """The record holds the outputs, which the loss and metrics have too."""

    def record(self, inputs):
        outputs = np.tanh(inputs)
        return outputs, (outputs, 1)

    def backward_from(self, record, grad_output):
        outputs, _ = record
        outputs *= outputs
        return grad_output * (1 - outputs)


class WritesForParametersOnly(WritesFromRecord):
    def create_parameters(self, input_shape):
        self.add_parameter("shift", input_shape, "zeros")

    def record(self, inputs):
        return inputs + self.shift, inputs

    def backward_from(self, record, grad_output):
        self.grad_shift = grad_output.sum(axis=0)
        return grad_output.copy()

    def parameter_gradients(self, record, grad_output):
        grad_output[...] = 0


LAYERS = {
    "WritesForward.forward_pass wrote to its inputs,": WritesForward,
    "WritesBackward.backward_pass wrote to its inputs or grad_output,": WritesBackward,
    "WritesToInputsOnTheWayBack.backward_pass wrote to its inputs or grad_output,": WritesToInputsOnTheWayBack,
    "WritesInRecord.record wrote to its inputs,": WritesInRecord,
    "WritesFromRecord.backward_from wrote to its grad_output,": WritesFromRecord,
    "WritesToItsOutputs.backward_from wrote to its grad_output": WritesToItsOutputs,
    "WritesForParametersOnly.parameter_gradients wrote to its grad_output": WritesForParametersOnly,
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("message", LAYERS)
def test_a_layer_that_writes_to_its_arguments_is_refused(message, engine):
    first = [] if LAYERS[message] is WritesForParametersOnly else [Dense(4)]
    net = Sequential([*first, LAYERS[message](), Dense(3)])
    inputs = X.copy()
    with pytest.raises(ValueError, match=message):
        net.fit(inputs, Y, loss="mean_squared_error", epochs=1, engine=engine)
    assert np.array_equal(inputs, X)


def test_inputs_of_a_single_pass_stay():
    inputs = X.copy()
    with pytest.raises(ValueError, match=r"WritesForward.forward_pass wrote to its inputs.*inputs.copy\(\)"):
        WritesForward().build(5).forward_pass(inputs)
    with pytest.raises(ValueError, match=r"WritesForward\.forward_pass wrote to its inputs"):
        Sequential([WritesForward()]).build(5).compile_for_inference()(inputs)
    assert np.array_equal(inputs, X)


def test_sparse_rows_stay():
    class Doubles(Layer):
        accepts_sparse = True

        def forward_pass(self, inputs):
            if isinstance(inputs, np.ndarray):
                return 2 * inputs
            inputs.data *= 2
            return inputs.toarray()

        def backward_pass(self, inputs, grad_output):
            return 2 * grad_output

    rows = csr_array(X)
    with pytest.raises(ValueError, match=r"Doubles\.forward_pass wrote to its inputs"):
        Doubles().build(5).forward_pass(rows)
    assert np.array_equal(rows.toarray(), X)


def test_only_one_law_tells_of_a_layer_that_writes():
    with pytest.raises(AssertionError) as caught:
        check_layer(WritesBackward(), 4)
    broken = [line for line in str(caught.value).splitlines() if "BROKEN" in line]
    assert "  BROKEN Neither pass writes to its arguments." in broken
    assert "wrote to its" not in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_layer_may_write_to_what_it_has_made(engine):
    class Halves(Layer):
        def record(self, inputs):
            slopes = np.full_like(inputs, 0.5)
            outputs = inputs * slopes
            outputs += 0
            return outputs, slopes

        def backward_from(self, slopes, grad_output):
            slopes *= grad_output
            return slopes

    net = Sequential([Dense(4), Halves(), Dense(3)])
    assert len(net.fit(X, Y, loss="mean_squared_error", epochs=2, engine=engine)["loss"]) == 2


# --- losses ---


class OwnLoss(Loss):
    def losses(self, outputs, targets):
        return ((outputs - targets) ** 2).mean(axis=1)

    def gradient(self, outputs, targets):
        return 2 * (outputs - targets) / outputs.shape[1]


class WritesInLosses(OwnLoss):
    def losses(self, outputs, targets):
        outputs -= targets
        return (outputs**2).mean(axis=1)


class WritesInGradient(OwnLoss):
    def gradient(self, outputs, targets):
        targets -= outputs
        return -2 * targets / outputs.shape[1]


class WritesInGradientFrom(OwnLoss):
    def record(self, outputs, targets):
        return self.losses(outputs, targets), (outputs, 1)

    def gradient_from(self, record, targets):
        outputs, _ = record
        outputs -= targets
        return 2 * outputs / outputs.shape[1]


class WritesInPrepare(OwnLoss):
    def prepare(self, targets, output_shape, dtype):
        targets -= 1
        return super().prepare(targets, output_shape, dtype)


class WritesInRecordOfLoss(OwnLoss):
    def record(self, outputs, targets):
        targets[...] = 0
        return (outputs**2).mean(axis=1), outputs

    def gradient_from(self, outputs, targets):
        return 2 * outputs / outputs.shape[1]


class WritesForAccuracy(OwnLoss):
    def is_predicted(self, outputs, targets):
        outputs[...] = 0
        return np.ones(len(outputs), bool)


class WritesForWeights(OwnLoss):
    def sample_weights(self, targets, sample_weight):
        sample_weight *= 2
        return sample_weight


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (WritesInRecordOfLoss(), "WritesInRecordOfLoss.record wrote to its outputs or targets"),
        (WritesForAccuracy(), "WritesForAccuracy.is_predicted wrote to its outputs or targets"),
        (WritesForWeights(), "WritesForWeights.sample_weights wrote to its targets or sample_weight"),
        (WritesInLosses(), "WritesInLosses.losses wrote to its outputs or targets"),
        (WritesInGradient(), "WritesInGradient.gradient wrote to its outputs or targets"),
        (WritesInGradientFrom(), "WritesInGradientFrom.gradient_from wrote to its targets"),
        (WritesInPrepare(), "WritesInPrepare.prepare wrote to its targets"),
    ],
)
def test_a_loss_that_writes_to_its_arguments_is_refused(loss, message, engine):
    targets, weights = Y.copy(), np.ones(len(Y))
    options = {"sample_weight": weights, "metrics": "accuracy", "epochs": 1, "engine": engine}
    with pytest.raises(ValueError, match=message):
        Dense(3).fit(X, targets, loss=loss, **options)
    assert np.array_equal(targets, Y)
    assert (weights == 1).all()


def test_outputs_given_to_a_bound_loss_stay():
    outputs = X[:, :3].copy()
    with pytest.raises(ValueError, match=r"WritesInLosses\.losses wrote to its outputs"):
        WritesInLosses().bind(Y).forward_pass(outputs)
    assert np.array_equal(outputs, X[:, :3])


# --- metrics, optimizers, callbacks ---


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("averages_rows", [False, True])
def test_a_metric_that_writes_is_refused(averages_rows, engine):
    def clipped(targets, outputs):
        outputs[outputs < 0] = 0
        return float(outputs.mean())

    clipped.averages_rows = averages_rows
    with pytest.raises(ValueError, match="The metric 'clipped' wrote to its targets or outputs"):
        Dense(3).fit(X, Y, loss="mean_squared_error", metrics=clipped, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_optimizer_that_writes_to_gradients_is_refused(engine):
    class Scales(Optimizer):
        def __init__(self):
            super().__init__(0.1)

        def move(self, parameters, gradients, learning_rate):
            gradients *= learning_rate
            parameters -= gradients

    net = Dense(3).build(5, 0)
    before = net.parameter_vector.copy()
    with pytest.raises(ValueError, match=r"Scales\.move wrote to its gradients"):
        net.fit(X, Y, loss="mean_squared_error", optimizer=Scales(), engine=engine)
    assert np.array_equal(net.parameter_vector, before)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_order_of_an_epoch_cannot_be_written_to(engine):
    class Sorts(Callback):
        def on_batch_end(self, run):
            run.order.sort()

    with pytest.raises(ValueError, match="read-only"):
        Dense(3).fit(X, Y, loss="mean_squared_error", batch_size=4, callbacks=Sorts(), engine=engine)
