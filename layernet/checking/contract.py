"""Contract test: checks that a layer keeps the laws of a layer, for this package's layers and users' layers."""

from __future__ import annotations

import contextlib
import copy
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import layernet
from layernet.checking.gradients import check_gradients
from layernet.checking.laws import ContractReport, try_laws
from layernet.containers import Residual, Sequential
from layernet.guards.read_only import writable_arguments
from layernet.layer import Layer
from layernet.optimizers import SGD
from layernet.validation import as_feature_shape

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def check_layer(
    layer: Layer,
    input_shape: int | tuple[int, ...],
    n_samples: int = 5,
    random_state: int = 0,
    leave_out: str | Sequence[str] = (),
) -> ContractReport:
    """Check that a layer keeps the laws of a layer: gradients, purity, types, copies and others.

    Each law is tried in inference and in training mode, in float64 and in float32, on random normal inputs.

    Parameters
    ----------
    layer : Layer
        It does not change: copies of it are built and tested.
    input_shape : int or tuple of int
        Without the batch axis.
    n_samples : int, default=5
    random_state : int, default=0
        Draws parameters, inputs and gradients.
    leave_out : str or sequence of str, default=()
        Gradients that are not compared with differences, `"inputs"` for instance; see `check_gradients`.

    Returns
    -------
    ContractReport, to be printed

    Raises
    ------
    AssertionError
        If the layer breaks a law; the message is the report, with every law that it breaks.

    Examples
    --------
    >>> from layernet import Dense, Layer
    >>> report = check_layer(Dense(3), input_shape=4)
    >>> bool(report)
    True
    >>> class Half(Layer):
    ...     def forward_pass(self, inputs):
    ...         return inputs / 2
    ...     def backward_pass(self, inputs, grad_output):
    ...         return grad_output.copy()  # the factor is missing
    >>> try:
    ...     check_layer(Half(), input_shape=4)
    ... except AssertionError as error:
    ...     print(str(error).splitlines()[0])
    Half() breaks 1 of 15 laws of a layer.
    """
    shape = as_feature_shape(input_shape)

    def cases() -> Iterator[tuple[str, Callable[[], Case]]]:
        for dtype in (np.float64, np.float32):
            for training in (False, True):
                mode = "training" if training else "inference"
                case = partial(Case, layer, shape, n_samples, random_state, dtype, training, leave_out)
                yield f"in {np.dtype(dtype)}, {mode} mode", case

    with writable_arguments():  # so that only one law reports a layer that writes to them
        return try_laws(ContractReport(repr(layer)), LAWS, cases)


class HasCloseness(Protocol):
    """Case of a check that says how far results may differ."""

    @property
    def closeness(self) -> float:
        """Largest difference that rounding in another order may cause, relative to the largest entry."""


class Case:
    """A built layer in one type and one mode, with inputs and a gradient."""

    def __init__(
        self,
        prototype: Layer,
        input_shape: tuple[int, ...],
        n_samples: int,
        random_state: int,
        dtype: DTypeLike,
        training: bool,
        leave_out: str | Sequence[str] = (),
    ) -> None:
        self.leave_out = leave_out
        random = np.random.default_rng(random_state)
        self.dtype = np.dtype(dtype)
        self.training = training
        self.prototype = prototype
        self.input_shape = input_shape
        self.random_state = random_state
        self.built = copy.deepcopy(prototype).build(input_shape, random_state, dtype)
        # Biases of 0 and scales of 1 would hide a parameter that is missing in a formula.
        parameters = self.built.parameter_vector
        parameters += 0.1 * random.standard_normal(parameters.size).astype(dtype)
        self.inputs = random.standard_normal((n_samples, *input_shape)).astype(dtype)
        self.outputs = self.forward(self.layer(), self.inputs.copy())
        self.grad_output = random.standard_normal(self.outputs.shape).astype(dtype)

    def layer(self) -> Layer:
        """Return a new copy of the built layer."""
        return copy.deepcopy(self.built)

    def mode(self, layer: Layer) -> AbstractContextManager[Any]:
        """Return the context of the case's mode."""
        return layer.training_mode() if self.training else contextlib.nullcontext()

    def forward(self, layer: Layer, inputs: np.ndarray) -> np.ndarray:
        with self.mode(layer):
            return layer.forward_pass(inputs)

    def backward(self, layer: Layer, inputs: np.ndarray, grad_output: np.ndarray) -> dict[str, np.ndarray]:
        """Run the backward pass and return copies of all gradients by name."""
        with self.mode(layer):
            grad_inputs = layer.backward_pass(inputs, grad_output)
        return {"inputs": np.array(grad_inputs), **{n: g.copy() for n, g in layer.gradients.items()}}

    @property
    def closeness(self) -> float:
        """Largest difference that rounding in another order may cause, relative to the largest entry."""
        return 1e-10 if self.dtype == np.float64 else 1e-3


def gradients_match_differences(case: Case) -> None:
    """The gradients of inputs and parameters are those of the forward pass."""
    options: dict[str, Any] = {"training": case.training, "leave_out": case.leave_out}
    report = check_gradients(case.layer(), case.inputs, case.grad_output, **options)
    assert report, str(report)


def passes_are_pure(case: Case) -> None:
    """A pass gives the same again, whatever was computed before or in between."""
    layer = case.layer()
    first = case.forward(layer, case.inputs)
    case.forward(layer, 2 * case.inputs)
    case.backward(layer, 2 * case.inputs, case.grad_output)
    require_equal(first, case.forward(layer, case.inputs), "outputs of two forward passes")


def backward_needs_no_forward(case: Case) -> None:
    """The backward pass works on a fresh layer, and overwrites the gradients of the one before."""
    fresh = case.backward(case.layer(), case.inputs, case.grad_output)
    used = case.layer()
    case.forward(used, 2 * case.inputs + 1)
    case.backward(used, 2 * case.inputs + 1, case.grad_output)
    require_all_equal(fresh, case.backward(used, case.inputs, case.grad_output), "after other passes")
    require_all_equal(fresh, case.backward(used, case.inputs, case.grad_output), "when called twice")


def record_agrees(case: Case) -> None:
    """`record` and `backward_from` give what the two passes give."""
    plain, layer = case.backward(case.layer(), case.inputs, case.grad_output), case.layer()
    with case.mode(layer):
        outputs, record = layer.record(case.inputs)
        grad_inputs = layer.backward_from(record, case.grad_output)
    require_equal(case.outputs, outputs, "outputs of forward_pass and record")
    require_all_equal(plain, {"inputs": grad_inputs, **layer.gradients}, "of backward_pass and backward_from")
    only = case.layer()
    with case.mode(only):
        only.parameter_gradients(only.record(case.inputs)[1], case.grad_output)
    require_all_equal(layer.gradients, only.gradients, "of backward_from and parameter_gradients")


def arguments_are_unchanged(case: Case) -> None:
    """Neither pass writes to its arguments."""
    layer, inputs, grad_output = case.layer(), case.inputs.copy(), case.grad_output.copy()
    case.forward(layer, inputs)
    case.backward(layer, inputs, grad_output)
    require_equal(case.inputs, inputs, "inputs before and after")
    require_equal(case.grad_output, grad_output, "grad_output before and after")


def results_share_no_memory(case: Case) -> None:
    """What a pass returns shares no memory with its arguments or the layer."""
    layer = case.layer()
    with case.mode(layer):
        outputs = layer.forward_pass(case.inputs)
        grad_inputs = layer.backward_pass(case.inputs, case.grad_output)
    vectors = (case.inputs, case.grad_output, layer.parameter_vector, layer.gradient_vector)
    for name, result in (("outputs", outputs), ("grad_inputs", grad_inputs)):
        assert not any(np.shares_memory(result, other) for other in vectors), f"{name} share memory"


def dtype_is_preserved(case: Case) -> None:
    """float32 stays float32 throughout, and float64 stays float64."""
    gradients = case.backward(layer := case.layer(), case.inputs, case.grad_output)
    arrays = {
        "outputs": case.outputs,
        **gradients,
        **{f"parameter {n}": p for n, p in layer.parameters.items()},
    }
    for name, array in arrays.items():
        assert array.dtype == case.dtype, f"{name} came out as {array.dtype}"


def any_memory_layout_works(case: Case) -> None:
    """Fortran-ordered, strided and read-only arrays, and lists, give what contiguous arrays give.

    So do sparse rows, if the layer declares that it accepts them.
    """
    plain = case.backward(case.layer(), case.inputs, case.grad_output)
    for layout, change in LAYOUTS.items():
        inputs, grad_output = change(case.inputs), change(case.grad_output)
        require_close(case.outputs, case.forward(case.layer(), inputs), case, f"outputs of {layout} inputs")
        changed = case.backward(case.layer(), inputs, grad_output)
        for name, gradient in plain.items():
            require_close(gradient, changed[name], case, f"gradient of {name} for {layout} arrays")
    if case.built.accepts_sparse:
        compare_sparse_rows(case)


def any_batch_size_works(case: Case) -> None:
    """A batch of one row and a batch of no rows go through, forward and backward."""
    for n_samples in (1, 0):
        layer, grad_output = case.layer(), case.grad_output[:n_samples]
        outputs = case.forward(layer, case.inputs[:n_samples])
        assert outputs.shape == grad_output.shape, f"{n_samples} rows gave outputs of shape {outputs.shape}"
        gradients = case.backward(layer, case.inputs[:n_samples], grad_output)
        assert gradients["inputs"].shape == (n_samples, *case.input_shape), f"{n_samples} rows: grad_inputs"
        for name, gradient in gradients.items():
            assert np.isfinite(gradient).all(), f"{n_samples} rows gave a gradient of {name} that is not finite"
            assert n_samples or not gradient.any(), f"no rows gave a gradient of {name} that is not zero"


def rows_are_independent(case: Case) -> None:
    """In inference each row alone gives what it gives in the batch."""
    if case.training:
        return
    alone = [case.forward(case.layer(), case.inputs[i : i + 1]) for i in range(len(case.inputs))]
    require_close(case.outputs, np.concatenate(alone), case, "outputs of single rows")


def copies_share_one_vector(case: Case) -> None:
    """Parameters are views of one vector: when built, after an update, and in pickles and deep copies."""
    updated = case.layer()
    case.backward(updated, case.inputs, case.grad_output)
    SGD(0.1).update(updated)
    for how, layer in (
        ("built", case.built),
        ("updated", updated),
        ("pickled", pickle.loads(pickle.dumps(case.built)) if is_importable(case.built) else case.layer()),
        ("copied", copy.deepcopy(case.built)),
    ):
        twin = layer if how == "updated" else copy.deepcopy(layer)
        if how != "updated":
            require_equal(case.outputs, case.forward(layer, case.inputs), f"outputs of the {how} layer")
        twin.parameter_vector[:] = np.arange(twin.parameter_vector.size)
        flat = [array.ravel() for array in twin.parameters.values()]
        together = np.concatenate(flat) if flat else np.zeros(0)
        require_equal(together, twin.parameter_vector, f"the {how} layer's parameters and its vector")


def works_inside_containers(case: Case) -> None:
    """Inside a nested Sequential, and in a Residual, it gives what it gives alone."""
    plain = case.backward(case.layer(), case.inputs, case.grad_output)
    nested = Sequential([Sequential([case.layer()])]).build(case.input_shape, dtype=case.dtype)
    require_equal(case.outputs, case.forward(nested, case.inputs), "outputs in a nested Sequential")
    inside = case.backward(nested, case.inputs, case.grad_output)
    for name, gradient in plain.items():
        there = inside["inputs" if name == "inputs" else f"0.0.{name}"]
        require_equal(gradient, there, f"gradient of {name} in a nested Sequential")
    if case.outputs.shape == case.inputs.shape:
        residual = Residual(case.layer()).build(case.input_shape, dtype=case.dtype)
        outputs = case.forward(residual, case.inputs)
        require_close(case.inputs + case.outputs, outputs, case, "outputs in a Residual")
        around = case.backward(residual, case.inputs, case.grad_output)
        require_close(plain["inputs"] + case.grad_output, around["inputs"], case, "grad_inputs in a Residual")


def repr_recreates_layer(case: Case) -> None:
    """`repr` is a call that makes an equal layer."""
    text = repr(case.prototype)
    names = {name: getattr(layernet, name) for name in layernet.__all__}
    names.update({type(inner).__name__: type(inner) for inner in case.prototype.walk()}, array=np.array)
    again = eval(text, names)
    assert type(again) is type(case.prototype), f"{text} made a {type(again).__name__}"
    assert repr(again) == text, f"{text} made {again!r}"
    again.build(case.input_shape, case.random_state, case.dtype)
    first = copy.deepcopy(case.prototype).build(case.input_shape, case.random_state, case.dtype)
    require_equal(case.forward(first, case.inputs), case.forward(again, case.inputs), f"outputs of {text}")


def only_a_step_changes_state(case: Case) -> None:
    """The passes leave parameters and state as they are; forward twice and `end_step` once moves it once."""
    once, twice = case.layer(), case.layer()
    for layer, times in ((once, 1), (twice, 2)):
        parameters, state = layer.parameter_vector.copy(), layer.state()
        for _ in range(times):
            case.forward(layer, case.inputs)
        case.backward(layer, case.inputs, case.grad_output)
        require_equal(parameters, layer.parameter_vector, "parameters before and after the passes")
        require_same_state(state, layer.state(), "before and after the passes")
        layer.end_step()
        require_equal(parameters, layer.parameter_vector, "parameters before and after end_step")
    require_same_state(once.state(), twice.state(), "after one forward pass and after two")


def bad_inputs_are_refused(case: Case) -> None:
    """A gradient of another shape is refused, and so are inputs of another width where there are parameters."""
    for wrong in (case.grad_output[:-1], case.grad_output[..., None], np.ones(())):
        backward = partial(case.backward, case.layer(), case.inputs, wrong)
        require_refusal(backward, "grad_output", wrong)
    if case.built.has_parameters:
        wider = np.concatenate([case.inputs, case.inputs], axis=-1)
        require_refusal(lambda: case.forward(case.layer(), wider), "inputs", wider)


LAWS: list[Callable[[Case], None]] = [
    gradients_match_differences,
    passes_are_pure,
    backward_needs_no_forward,
    record_agrees,
    arguments_are_unchanged,
    results_share_no_memory,
    dtype_is_preserved,
    any_memory_layout_works,
    any_batch_size_works,
    rows_are_independent,
    copies_share_one_vector,
    works_inside_containers,
    repr_recreates_layer,
    only_a_step_changes_state,
    bad_inputs_are_refused,
]


def compare_sparse_rows(case: Case) -> None:
    """Raise an error if sparse rows give anything else than the same rows as an array."""
    from scipy.sparse import csr_array

    few = np.where(np.abs(case.inputs) > 0.5, case.inputs, 0)  # about 4 of 10 are zeros
    few[0] = few[:, 0] = 0  # a row and a feature without entries
    rows, layer, only = csr_array(few), case.layer(), case.layer()
    plain = case.backward(case.layer(), few, case.grad_output)
    with case.mode(layer), case.mode(only):
        outputs, grad_inputs = layer.forward_pass(rows), layer.backward_pass(rows, case.grad_output)
        only.parameter_gradients(only.record(rows)[1], case.grad_output)
    require_close(case.forward(case.layer(), few), outputs, case, "outputs of sparse rows")
    found = {"inputs": grad_inputs, **layer.gradients}
    for name, gradient in plain.items():
        assert isinstance(found[name], np.ndarray), f"sparse rows gave a gradient of {name} that is no array"
        require_close(gradient, found[name], case, f"gradient of {name} for sparse rows")
    require_all_equal(layer.gradients, only.gradients, "of backward_pass and parameter_gradients")
    assert np.array_equal(rows.toarray(), few), "a pass wrote to the sparse rows"


def _strided(array: np.ndarray) -> np.ndarray:
    return np.repeat(array, 2, axis=0)[::2]


def _read_only(array: np.ndarray) -> np.ndarray:
    frozen = array.copy()
    frozen.flags.writeable = False
    return frozen


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "Fortran-ordered": np.asfortranarray,
    "strided": _strided,
    "read-only": _read_only,
    "listed": np.ndarray.tolist,
}


def is_importable(layer: Layer) -> bool:
    """Return whether pickle can find the classes by their names: not those defined inside a function."""
    kinds = {type(inner) for inner in layer.walk()}
    return all(getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind for kind in kinds)


def require_equal(expected: Any, found: Any, what: str) -> None:
    """Raise an error if two arrays differ at all."""
    expected, found = np.asarray(expected), np.asarray(found)
    assert expected.shape == found.shape, f"{what} have the shapes {expected.shape} and {found.shape}"
    assert np.array_equal(expected, found), f"{what} differ by up to {np.abs(expected - found).max():.2g}"


def require_close(expected: np.ndarray, found: np.ndarray, case: HasCloseness, what: str) -> None:
    """Raise an error if two arrays differ by more than rounding in another order."""
    assert expected.shape == found.shape, f"{what} have the shapes {expected.shape} and {found.shape}"
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    difference = float(np.abs(expected - found).max(initial=0))
    assert difference <= case.closeness * scale, f"{what} differ by up to {difference:.2g}"


def require_all_equal(expected: dict[str, np.ndarray], found: dict[str, np.ndarray], what: str) -> None:
    """Raise an error if gradients differ, and say which."""
    for name, gradient in expected.items():
        require_equal(gradient, found[name], f"gradients of {name} {what}")


def require_same_state(expected: dict[str, Any], found: dict[str, Any], what: str) -> None:
    """Raise an error if two states differ, and say where."""
    assert expected.keys() == found.keys(), f"state {what} has other names"
    for name, value in expected.items():
        require_equal(value, found[name], f"state {name} {what}")


def require_refusal(attempt: Callable[[], Any], argument: str, wrong: np.ndarray) -> None:
    """Raise an error if an attempt goes through that should not."""
    try:
        attempt()
    except ValueError:
        return
    raise AssertionError(f"{argument} of shape {wrong.shape} went through without an error")
