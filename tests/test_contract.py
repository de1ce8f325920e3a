"""The contract test: every layer of the package keeps the laws of a layer, and broken ones are found out."""

import importlib
import pkgutil

import numpy as np
import pytest

import layernet
from layernet import (
    ELU,
    GELU,
    SELU,
    BatchNorm,
    CategoryEmbedding,
    Concat,
    Dense,
    Dropout,
    FeatureScale,
    Flatten,
    GaussianNoise,
    HardSigmoid,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    Mish,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    ReLU,
    Reshape,
    Residual,
    RMSNorm,
    SelectFeatures,
    Sequential,
    Sigmoid,
    SiLU,
    SmoothClip,
    Softmax,
    Softplus,
    Tanh,
    check_layer,
)
from layernet.losses.loss import BoundLoss
from layernet.monitoring.user_gradients import LossOfRows, ScaledInputs

# Each layer in a few configurations, with the shape of a sample. A layer without a case fails the test below.
CASES = [
    (Dense(3), 4),
    (Dense(1, use_bias=False), 1),
    (Dense(5, weights_initializer="orthogonal", bias_initializer="ones"), 4),
    (Identity(), 4),
    (Sigmoid(), 4),
    (Tanh(), (2, 3)),
    (ReLU(), (2, 3)),
    (LeakyReLU(), 4),
    (LeakyReLU(0), 4),
    (LeakyReLU(1.5), 4),
    (ELU(), 4),
    (ELU(0.3), 4),
    (SELU(), 4),
    (GELU(), 4),
    (GELU(approximate=True), 4),
    (SiLU(), 4),
    (Mish(), 4),
    (Softplus(), 4),
    (HardSigmoid(), 4),
    (SmoothClip(), 4),
    (SmoothClip(0.5), (2, 3)),
    (Softmax(), 4),
    (Softmax(), (2, 3)),
    (LogSoftmax(), 4),
    (Dropout(0.5), 8),
    (Dropout(0), 4),
    (Dropout(0.2), (2, 3)),
    (GaussianNoise(0.5), 4),
    (GaussianNoise(0), (2, 3)),
    (BatchNorm(), 4),
    (BatchNorm(momentum=0.5, epsilon=1e-3), (2, 3)),
    (LayerNorm(), 4),
    (LayerNorm(epsilon=1e-3), (2, 3)),
    (RMSNorm(), 4),
    (RMSNorm(), (2, 3)),
    (SelectFeatures(1, 3), 4),
    (SelectFeatures(2), 4),
    (FeatureScale(), 4),
    (FeatureScale(rate=6.0), 4),
    (CategoryEmbedding([3, 2, 5], width=2), 3),
    (PeriodicEmbedding(4, width=2), 3),
    (PiecewiseLinearEncoding([[-1, 0, 1], [0, 2], [-2, -1, 0.5, 3]]), 3),
    (PiecewiseLinearEncoding([[-1, 0, 1], [0, 2]], lowest=-1), 2),
    (Flatten(), (2, 3)),
    (Flatten(), 4),
    (Reshape((3, 2)), (2, 3)),
    (Reshape([2, -1]), 4),
    (Reshape((1, -1)), 4),
    (Sequential([Dense(5), Tanh(), Dense(2)]), 4),
    (Sequential([Flatten(), BatchNorm(), Dense(4), Dropout(0.3), Sequential([Sigmoid(), Dense(2)])]), (2, 3)),
    (Sequential([ReLU()]), 4),
    (Residual(Dense(4)), 4),
    (Residual(Sequential([LayerNorm(), Dense(8), GELU(), Dense(4), Dropout(0.1)])), 4),
    (Concat([Identity(), Dense(2)]), 4),
    (Concat([ReLU(), Tanh(), Residual(Sigmoid())]), (2, 3)),
]

# A loss bound to its targets takes exactly as many rows as it has targets; tests/test_losses.py has its laws.
# The doctor's layer stands around a layer that somebody else checks.
NOT_A_LAYER_OF_ROWS = {BoundLoss, LossOfRows, ScaledInputs}


def layers_of_the_package():
    """Every class of layers that a module of the package defines, whatever else this process has imported."""
    for info in pkgutil.walk_packages(layernet.__path__, "layernet."):
        if info.name == "layernet.engine.compiled.compiler":
            continue  # defines no layer, and needs Numba
        if info.name.startswith("layernet.exercises."):
            continue  # one of its layers has a wrong backward pass, which learners have to find
        module = importlib.import_module(info.name)
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, Layer) and cls.__module__ == info.name:
                yield cls


def test_every_layer_has_a_case():
    concrete = {cls for cls in layers_of_the_package() if not cls._is_abstract}
    assert concrete - NOT_A_LAYER_OF_ROWS == {type(layer) for layer, _ in CASES}


@pytest.mark.parametrize(("layer", "input_shape"), CASES, ids=lambda value: repr(value))
def test_layer_keeps_the_laws(layer, input_shape):
    report = check_layer(layer, input_shape)
    assert len(report.kept) == 15


class SlideSigmoid(Layer):
    """The lecture's own node, as it stands on the slides."""

    def forward_pass(self, inputs):
        return 1.0 / (1 + np.exp(-inputs))

    def backward_pass(self, inputs, grad_output):
        s = self.forward_pass(inputs)
        return grad_output * s * (1 - s)


class Scale(Layer):
    """A layer with a parameter, in ten lines."""

    def create_parameters(self, input_shape):
        self.add_parameter("factor", input_shape, "ones")

    def forward_pass(self, inputs):
        return inputs * self.factor

    def backward_pass(self, inputs, grad_output):
        self.grad_factor = (inputs * grad_output).sum(axis=0)
        return grad_output * self.factor


@pytest.mark.parametrize(
    "layer", [SlideSigmoid(), Scale(), Sequential([Scale(), SlideSigmoid(), Dense(2)]), Residual(Scale())]
)
def test_layers_written_in_ten_lines_keep_the_laws(layer):
    assert check_layer(layer, 4)


# --- planted errors: each must be found ---


class WrongSign(Tanh):
    def backward_from(self, outputs, grad_output):
        return -super().backward_from(outputs, grad_output)


class MissingFactor(Sigmoid):
    def backward_from(self, outputs, grad_output):
        return grad_output * outputs


class TransposedWeights(Dense):
    def backward_from(self, inputs, grad_output):
        self.parameter_gradients(inputs, grad_output)
        return grad_output @ self.weights


class TransposedGradient(Dense):
    def parameter_gradients(self, inputs, grad_output):
        self.grad_weights = grad_output.T @ inputs
        self.grad_bias = grad_output.sum(axis=0)


class MeanBias(Dense):
    def parameter_gradients(self, inputs, grad_output):
        super().parameter_gradients(inputs, grad_output)
        self.grad_bias = grad_output.mean(axis=0)


class AddsUp(Dense):
    def parameter_gradients(self, inputs, grad_output):
        self.grad_weights += inputs.T @ grad_output
        self.grad_bias += grad_output.sum(axis=0)


class ForgetsBatchStatistics(BatchNorm):
    """Takes mean and variance of the batch for constants."""

    def backward_from(self, record, grad_output):
        normalized, inverse_deviation, _ = record
        return super().backward_from((normalized, inverse_deviation, False), grad_output)


class RemembersInputs(Layer):
    def forward_pass(self, inputs):
        self._inputs = inputs
        return inputs**2

    def backward_pass(self, inputs, grad_output):
        return grad_output * 2 * self._inputs


class RemembersByIdentity(Layer):
    """Correct but for a memory keyed on the array object, which finite differences change in place."""

    _known = (None, None)

    def forward_pass(self, inputs):
        if self._known[0] != id(inputs):
            self._known = (id(inputs), inputs**2)
        return self._known[1].copy()

    def backward_pass(self, inputs, grad_output):
        return grad_output * 2 * inputs


class WritesToInputs(ReLU):
    def forward_pass(self, inputs):
        if inputs.flags.writeable:
            inputs[inputs < 0] = 0
        return np.maximum(inputs, 0)


class WritesToGradient(ReLU):
    def backward_from(self, outputs, grad_output):
        if grad_output.flags.writeable:
            grad_output *= outputs > 0
            return grad_output.copy()
        return grad_output * (outputs > 0)


class ReturnsItsInputs(Identity):
    def forward_pass(self, inputs):
        return inputs


class Upcasts(Sigmoid):
    def forward_pass(self, inputs):
        return super().forward_pass(inputs) * np.ones(inputs.shape)


class MovesItsAverages(BatchNorm):
    def record(self, inputs):
        result = super().record(inputs)
        self.end_step()
        return result

    forward_pass = Layer.forward_pass


class NewNoiseEveryCall(Dropout):
    def record(self, inputs):
        result = super().record(inputs)
        self.step += 1
        return result


class OtherRecord(Tanh):
    def parameter_gradients(self, record, grad_output):
        raise RuntimeError("called by training only")


class ForgetsAnArgument(LeakyReLU):
    def __init__(self, slope=0.2):
        super().__init__(slope)
        self.slope = 0.2


class MeansOverTheBatch(Layer):
    def forward_pass(self, inputs):
        return inputs - inputs.mean(axis=0)

    def backward_pass(self, inputs, grad_output):
        return grad_output - grad_output.mean(axis=0)


class NeedsARow(Layer):
    """Fails for an empty batch, as a maximum over no rows does."""

    def forward_pass(self, inputs):
        assert np.isfinite(inputs.max())
        return inputs.copy()

    def backward_pass(self, inputs, grad_output):
        return grad_output.copy()


class MeanOfNoRows(Layer):
    """Divides the gradient of its parameter by the number of rows and back, which is NaN for no rows."""

    def create_parameters(self, input_shape):
        self.add_parameter("offset", input_shape, "zeros")

    def forward_pass(self, inputs):
        return inputs + self.offset

    def backward_pass(self, inputs, grad_output):
        n_rows = grad_output.dtype.type(len(inputs))
        self.grad_offset = grad_output.sum(axis=0) / n_rows * n_rows
        return grad_output.copy()


class RefusesReadOnlyInputs(Layer):
    """Fails for read-only inputs, as a C extension does that asks for a writable buffer."""

    def forward_pass(self, inputs):
        if not inputs.flags.writeable:
            raise ValueError("buffer source array is read-only")
        return inputs.copy()

    def backward_pass(self, inputs, grad_output):
        return grad_output.copy()


class IgnoresItsScale(Layer):
    """Leaves its parameter out of the gradient of the inputs, where it still is 1."""

    def create_parameters(self, input_shape):
        self.add_parameter("scale", input_shape, "ones")

    def forward_pass(self, inputs):
        return inputs * self.scale

    def backward_pass(self, inputs, grad_output):
        self.grad_scale = (inputs * grad_output).sum(axis=0)
        return grad_output.copy()


class IgnoresItsOffset(Layer):
    """Leaves its parameter out of the gradient of the inputs, where it still is 0."""

    def create_parameters(self, input_shape):
        self.add_parameter("offset", input_shape, "zeros")

    def forward_pass(self, inputs):
        return (inputs + self.offset) ** 2

    def backward_pass(self, inputs, grad_output):
        self.grad_offset = (2 * (inputs + self.offset) * grad_output).sum(axis=0)
        return 2 * inputs * grad_output


class CountsForwardPasses(Layer):
    """Counts its forward passes; `end_step` moves its state by the count."""

    _n_passes = 0

    def create_parameters(self, input_shape):
        self.add_state("n_passes", 0)

    def forward_pass(self, inputs):
        self._n_passes += 1
        return inputs.copy()

    def backward_pass(self, inputs, grad_output):
        return grad_output.copy()

    def end_step(self):
        self.n_passes += self._n_passes
        self._n_passes = 0


@pytest.mark.parametrize(
    ("layer", "law"),
    [
        (WrongSign(), "gradients of inputs"),
        (MissingFactor(), "gradients of inputs"),
        (TransposedWeights(4), "gradients of inputs"),
        (TransposedGradient(4), "gradients of inputs"),
        (MeanBias(4), "gradients of inputs"),
        (AddsUp(4), "fresh layer"),
        (ForgetsBatchStatistics(), "gradients of inputs"),
        (RemembersInputs(), "fresh layer"),
        (RemembersByIdentity(), "gradients of inputs"),
        (WritesToInputs(), "writes to its arguments"),
        (WritesToGradient(), "writes to its arguments"),
        (ReturnsItsInputs(), "shares no memory"),
        (Upcasts(), "float32 stays float32"),
        (MovesItsAverages(), "leave parameters and state"),
        (NewNoiseEveryCall(0.5), "gives the same again"),
        (OtherRecord(), "`record` and `backward_from`"),
        (ForgetsAnArgument(0.5), "`repr` is a call"),
        (MeansOverTheBatch(), "each row alone"),
        (NeedsARow(), "a batch of no rows"),
        (MeanOfNoRows(), "a batch of no rows"),
        (RefusesReadOnlyInputs(), "read-only arrays"),
        (IgnoresItsScale(), "gradients of inputs"),
        (IgnoresItsOffset(), "gradients of inputs"),
        (CountsForwardPasses(), "`end_step` once"),
    ],
    ids=lambda value: repr(value),
)
def test_planted_errors_are_found(layer, law):
    with pytest.raises(AssertionError, match="BROKEN") as failure:
        check_layer(layer, 4)
    broken = [line for line in str(failure.value).splitlines() if line.startswith("  BROKEN")]
    assert any(law in line for line in broken), failure.value


def off_by_a_percent(layer, grad_inputs):
    """grad_inputs times 1.01; where it is 0, as that of a lookup, the gradients of the parameters instead."""
    if layer.has_parameters and not grad_inputs.any():
        for name in layer.parameter_shapes:
            getattr(layer, f"grad_{name}")[...] *= 1.01
    return 1.01 * grad_inputs


@pytest.mark.slow
def test_every_layer_is_found_out_when_its_gradient_is_off_by_a_percent():
    for layer, input_shape in CASES:
        base = type(layer)

        class Planted(base):
            def backward_from(self, record, grad_output, base=base):
                return off_by_a_percent(self, base.backward_from(self, record, grad_output))

            if base.backward_from is Layer.backward_from:  # a layer of the two plain passes

                def backward_pass(self, inputs, grad_output, base=base):
                    return off_by_a_percent(self, base.backward_pass(self, inputs, grad_output))

                backward_from = Layer.backward_from

        planted = Planted.__new__(Planted)
        vars(planted).update(vars(layer))
        with pytest.raises(AssertionError, match="BROKEN The gradients of inputs"):
            check_layer(planted, input_shape)


def test_gradient_errors_are_far_below_the_bound():
    """At most 1e-7 relative in float64, for every layer, in both modes: shown with the figures themselves."""
    for layer, input_shape in CASES:
        for training in (False, True):
            report = layernet.check_gradients(
                layer,
                np.random.default_rng(1).standard_normal((4, *np.atleast_1d(input_shape))),
                training=training,
            )
            assert report.worst.error <= 1e-7, report
