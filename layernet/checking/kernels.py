"""Check of a layer's kernels against its formulas, for the layers of this package and for yours."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from layernet.checking.contract import require_close
from layernet.checking.laws import ContractReport, try_laws
from layernet.containers import Sequential
from layernet.engine.choice import check_engine
from layernet.engine.formulas import FormulaPlan
from layernet.engine.inference import InferencePlan
from layernet.layer import Layer
from layernet.layers import Dense, Flatten, Reshape, Tanh
from layernet.losses import MeanSquaredError
from layernet.optimizers import SGD
from layernet.training.data import TrainingData
from layernet.validation import as_feature_shape

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

AnyLayer = TypeVar("AnyLayer", bound=Layer)

# How many workers share a batch: the last of three has no row of the last batch.
WORKER_COUNTS = (2, 3)
# More rows than the buffers of inference hold. A prime: loops over blocks of rows leave some over.
MANY_ROWS = 1103


def check_kernel(
    layer: Layer, input_shape: int | tuple[int, ...], n_samples: int = 5, random_state: int = 0
) -> ContractReport:
    """Check that a layer's kernels compute what its formulas compute: outputs, gradients, training.

    Each law is tried in float64 and in float32, with batches of one row, of `n_samples` and of 1103, with and
    without sample weights, and with one worker and more. The layer stands first in a network, and behind other
    layers. It takes some seconds.

    Parameters
    ----------
    layer : Layer
        Left as it is: copies are built and tried.
    input_shape : int or tuple of int
        Without the batch axis.
    n_samples : int, default=5
        Rows of a small batch.
    random_state : int, default=0
        Draws parameters, inputs and targets.

    Returns
    -------
    ContractReport
        Which laws were tried; print it to read them.

    Raises
    ------
    AssertionError
        If a law is broken; the message is the report. A layer that is carried out by its formulas breaks the
        first one.
    ImportError
        If Numba is not installed.

    Examples
    --------
    >>> from layernet import Dense
    >>> print(check_kernel(Dense(3), input_shape=4))  # doctest: +SKIP
    Dense(3) keeps all 5 laws of a kernel.
      kept   All layers inside have kernels, for training and for inference.
      kept   Inference by kernels gives the outputs of the forward pass, for any number of rows.
      kept   A step by kernels gives the loss and all gradients of the formulas.
      kept   Training by kernels comes to the parameters and the state of the formulas.
      kept   A setting, a parameter or a piece of state that changes is noticed.
    """
    check_engine("compiled")
    shape = as_feature_shape(input_shape)

    fewest = 1 if may_be_alone(copy.deepcopy(layer).build(shape)) else 2

    def cases() -> Iterator[tuple[str, Callable[[], KernelCase]]]:
        for dtype, (n_rows, has_weights, n_workers) in product(
            (np.float64, np.float32),
            (
                (n_samples, False, 1),
                (n_samples, True, 1),
                (fewest, False, 1),
                (MANY_ROWS, True, 1),
                *((n_samples, True, n) for n in WORKER_COUNTS),
            ),
        ):
            yield (
                f"in {np.dtype(dtype)}, {'with' if has_weights else 'without'} sample weights, batches of "
                f"{n_rows} rows, workers: {n_workers}",
                partial(KernelCase, layer, shape, dtype, n_rows, has_weights, n_workers, random_state),
            )

    return try_laws(ContractReport(repr(layer), "laws of a kernel"), LAWS, cases)


def may_be_alone(layer: Layer) -> bool:
    """Return whether a built layer can be trained on batches of one row."""
    try:
        for inner in layer.walk():
            inner.validate_batch_size(1)
    except ValueError:
        return False
    return True


class KernelCase:
    """A layer in one type, and data to train it on by one way of making batches."""

    def __init__(
        self,
        prototype: Layer,
        input_shape: tuple[int, ...],
        dtype: DTypeLike,
        n_rows: int,
        has_weights: bool,
        n_workers: int,
        random_state: int,
    ) -> None:
        self.random = np.random.default_rng(random_state)
        self.dtype = np.dtype(dtype)
        self.n_rows, self.n_workers = n_rows, n_workers
        width = math.prod(input_shape)
        # What stands before keeps its outputs, and what stands behind its inputs: both must be left alone.
        layers_by_place: dict[str, list[Layer]] = {
            "first": [copy.deepcopy(prototype), Flatten(), Dense(2)],
            "behind others": [
                *(Dense(width), Tanh(), Reshape(input_shape)), copy.deepcopy(prototype), Flatten(), Dense(2),
            ],
        }  # fmt: skip
        self.networks: dict[str, Sequential] = {}
        for place, layers in layers_by_place.items():
            network = Sequential(layers).build(input_shape if place == "first" else 3, random_state, dtype)
            self.networks[place] = self._moved(network)
        self.layer = self._moved(copy.deepcopy(prototype).build(input_shape, random_state, dtype))
        n_samples = 3 * n_rows + 2  # the last batch is smaller, or there is one more
        self.targets = self.random.standard_normal((n_samples, 2)).astype(dtype)
        self.weights: np.ndarray | None = None
        if has_weights:
            self.weights = self.random.uniform(0, 2, n_samples)
            self.weights[1] = 0
        self.orders = [self.random.permutation(n_samples) for _ in range(3)]
        # The gradients of an epoch are those of its last batch: in one of the epochs, of a full batch.
        self.orders[1] = self.orders[1][: 3 * n_rows]

    def _moved(self, network: AnyLayer) -> AnyLayer:
        """Change all parameters: initial zeros and ones would hide a parameter that a formula leaves out."""
        parameters = network.parameter_vector
        parameters += 0.1 * self.random.standard_normal(parameters.size).astype(self.dtype)
        return network

    def draw(self, n_rows: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return random normal numbers."""
        return self.random.standard_normal((n_rows, *shape)).astype(self.dtype)

    @property
    def closeness(self) -> float:
        """Return the tolerance for results that are computed in another order."""
        return 1e-10 if self.dtype == np.float64 else 1e-3

    def plan(self, engine: str, network: Layer, inputs: np.ndarray, rate: float) -> Any:
        """Return a plan that trains a network by formulas or by kernels."""
        from layernet.engine.compiled.plan import CompiledPlan

        loss = MeanSquaredError()
        data = TrainingData(network, loss, inputs, self.targets[: len(inputs)], self._weights_of(inputs), None)
        what = network, loss, SGD(rate), data, self.n_rows
        return FormulaPlan(*what) if engine == "formulas" else CompiledPlan(*what, n_workers=self.n_workers)

    def _weights_of(self, inputs: np.ndarray) -> np.ndarray | None:
        return None if self.weights is None else self.weights[: len(inputs)]

    def compare_training(self, rate: float, n_epochs: int, change: Callable[[Layer], None]) -> None:
        """Raise an error if an epoch by kernels and one by formulas give different results."""
        for place, network in self.networks.items():
            inputs = self.draw(len(self.targets), network.input_shape)
            twins = {engine: copy.deepcopy(network) for engine in ("formulas", "compiled")}
            found: dict[str, list[dict[str, Any]]] = {engine: [] for engine in twins}
            for engine, twin in twins.items():
                plan = self.plan(engine, twin, inputs, rate)
                with twin.training_mode(), plan.ready():
                    for order in self.orders[:n_epochs]:
                        losses = [loss for done in plan.epoch(order, False) for loss in done.losses]
                        found[engine].append(everything_of(twin, losses))
                        change(twin)
            for epoch, (expected, by_kernels) in enumerate(zip(*found.values(), strict=True), 1):
                for name, value in expected.items():
                    what = f"{name} after epoch {epoch} of a network in which the layer stands {place}"
                    require_close(value, by_kernels[name], self, what)


def everything_of(network: Layer, losses: list[float]) -> dict[str, np.ndarray]:
    """Return copies of all arrays that a step changes, by name."""
    return {
        "losses": np.array(losses),
        **{f"gradients of {name}": values.copy() for name, values in network.gradients.items()},
        **{f"parameters {name}": values.copy() for name, values in network.parameters.items()},
        **{f"state {name}": np.asarray(value, float) for name, value in network.state().items()},
    }


def has_kernels(case: KernelCase) -> None:
    """All layers inside have kernels, for training and for inference."""
    from layernet.engine.compiled.lowering.layers import lower
    from layernet.engine.compiled.program import Program

    layer = case.layer
    for is_training in (True, False):
        program = Program(case.dtype, case.n_rows, layer.gradient_vector, is_training=is_training)
        _, backward = lower(layer, program, program.sample_buffer(math.prod(layer.input_shape)))
        if is_training:
            backward(program.sample_buffer(math.prod(layer.output_shape)), True)
            program.end_backward()
        mode = "training" if is_training else "inference"
        assert program.all_operations == program.instructions, (
            f"in {mode} a layer is carried out by its formulas: its type is not translated, a pass was put on "
            "it, or its translation asks for a setting that is no single number"
        )


def inference_agrees(case: KernelCase) -> None:
    """Inference by kernels gives the outputs of the forward pass, for any number of rows."""
    for place, network in {"alone": case.layer, **case.networks}.items():
        by_kernels = InferencePlan(network, "compiled")
        for n_rows in (case.n_rows, 0, 1, 2, MANY_ROWS, case.n_rows):
            inputs = case.draw(n_rows, network.input_shape)
            what = f"outputs of {n_rows} rows of a network in which the layer stands {place}"
            require_close(network.forward_pass(inputs), by_kernels(inputs), case, what)


def steps_agree(case: KernelCase) -> None:
    """A step by kernels gives the loss and all gradients of the formulas."""
    case.compare_training(rate=0.0, n_epochs=2, change=lambda network: None)


def training_agrees(case: KernelCase) -> None:
    """Training by kernels comes to the parameters and the state of the formulas."""
    case.compare_training(rate=0.02, n_epochs=3, change=lambda network: None)


def changes_are_noticed(case: KernelCase) -> None:
    """A setting, a parameter or a piece of state that changes is noticed."""
    case.compare_training(rate=0.02, n_epochs=3, change=change_everything)


def change_everything(network: Layer) -> None:
    """Change all settings and parameters of a layer, and replace the arrays of its state."""
    network.parameter_vector[:] *= 0.9
    network.load_state(network.state())
    for layer in network.walk():
        for name, value in layer.configuration().items():
            if isinstance(value, float):
                with suppress(ValueError, TypeError):  # not every setting may be changed
                    setattr(layer, name, 0.75 * value)


LAWS: list[Callable[[KernelCase], None]] = [
    has_kernels,
    inference_agrees,
    steps_agree,
    training_agrees,
    changes_are_noticed,
]
