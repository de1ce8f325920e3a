"""Checks of layers: half a layer, a layer that stands twice, and inputs that do not fit are refused."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layernet.interrupts import uninterrupted
from layernet.representation import is_of_the_package
from layernet.sparse import are_sparse_rows, as_sparse_rows, is_sparse
from layernet.validation import as_float_array

if TYPE_CHECKING:
    from layernet.layer import Layer

PASSES = ("forward_pass", "backward_pass", "record", "backward_from", "parameter_gradients")

# What a layer that sees the batch is told of it in training.
BATCH_INFO = ("batch_weights", "batch_rows", "batch_full_rows", "batch_mean_weight")


def with_checked_inputs(formula):
    """A pass that converts its inputs, builds the layer on first use, and refuses what does not fit."""

    @functools.wraps(formula)
    def checked(self, inputs):
        return formula(self, inputs if is_ready_input(self, inputs) else self.validate_inputs(inputs))

    return checked


def with_checked_gradient(formula):
    """A backward pass that checks its inputs and its gradient, which NumPy might stretch to fit."""

    @functools.wraps(formula)
    def checked(self, inputs, grad_output):
        inputs = inputs if is_ready_input(self, inputs) else self.validate_inputs(inputs)
        output_shape = (inputs.shape[0], *self.infer_output_shape(inputs.shape[1:]))
        return formula(self, inputs, self.validate_gradient(grad_output, output_shape, inputs.dtype))

    return checked


# Off while `check_layer` tries whether a layer leaves its arguments as they are.
_guards_arguments: ContextVar[bool] = ContextVar("_guards_arguments", default=True)


def read_only(array: Any) -> Any:
    """An array, or sparse rows, as a view that refuses to be written to; anything else as it is."""
    if isinstance(array, np.ndarray):
        array = array.view()
        array.flags.writeable = False
    elif are_sparse_rows(array):
        array = copy.copy(array)
        array.data = read_only(array.data)
    return array


def with_read_only_arguments(method: Callable, names: tuple[str, ...], first: int = 0) -> Callable:
    """A method of somebody else's class that cannot write to the arrays it is given.

    What it is given is read again: by the loss, by metrics, by the other engine, by the caller. An array that
    was overwritten would falsify all of these without a word.

    Parameters
    ----------
    method : callable
    names : tuple of str
        Of the arguments that are arrays to be read, which come one after the other.
    first : int, default=0
        The place of the first of them, not counting self.

    Returns
    -------
    callable
    """
    last = first + len(names)

    @functools.wraps(method)
    def guarded(self, *arguments, **named):
        if not _guards_arguments.get():
            return method(self, *arguments, **named)
        read = map(read_only, arguments[first:last])
        for name in named.keys() & set(names):
            named[name] = read_only(named[name])
        try:
            return method(self, *arguments[:first], *read, *arguments[last:], **named)
        except ValueError as error:
            if not is_of_read_only(error):
                raise
            raise overwrites(f"{type(self).__name__}.{method.__name__}", names) from error

    return guarded


def with_read_only_outputs(record: Callable) -> Callable:
    """A `record` whose outputs, where they are kept for the way back, are read-only there."""

    @functools.wraps(record)
    def guarded(self, *arguments, **named):
        outputs, kept = record(self, *arguments, **named)
        if not _guards_arguments.get():
            return outputs, kept
        if type(kept) is tuple:
            return outputs, tuple(read_only(one) if one is outputs else one for one in kept)
        return outputs, read_only(kept) if kept is outputs else kept

    return guarded


def guard_passes(cls: type[Layer], contract: type[Layer]) -> None:
    """Give the passes that a class defines read-only arguments, if it is none of this package's.

    Parameters
    ----------
    cls : type
    contract : type
        `Layer`, whose own record is the inputs.
    """
    if is_of_the_package(cls):
        return
    own = vars(cls)
    # A record of its own is the layer's to overwrite.
    of_record = ("inputs", "grad_output") if cls.record is contract.record else ("grad_output",)
    names = {
        "forward_pass": ("inputs",),
        "record": ("inputs",),
        "backward_pass": ("inputs", "grad_output"),
        "backward_from": of_record,
        "parameter_gradients": of_record,
    }
    for name in names.keys() & own.keys():
        formula = own[name]
        if name == "record":
            formula = with_read_only_outputs(formula)
        first = 1 if names[name] == ("grad_output",) else 0
        setattr(cls, name, with_read_only_arguments(formula, names[name], first))


@contextmanager
def writable_arguments() -> Iterator[None]:
    """Within this context, passes of somebody else's classes are given arrays as they are."""
    token = _guards_arguments.set(False)
    try:
        yield
    finally:
        _guards_arguments.reset(token)


def is_of_read_only(error: BaseException) -> bool:
    """Whether an error is NumPy's for an array that cannot be written to."""
    return type(error) is ValueError and "read-only" in str(error)


def overwrites(who: str, names: tuple[str, ...]) -> ValueError:
    """The error for somebody who writes to arguments."""
    return ValueError(
        f"{who} wrote to its {' or '.join(names)}, which others read after it. Write to a copy, as by "
        f"{names[0]} = {names[0]}.copy()."
    )


def forward_unchecked(layer: Layer, inputs: np.ndarray) -> np.ndarray:
    """The forward pass of a layer on inputs that are checked already."""
    formula = getattr(layer.forward_pass, "__wrapped__", None)
    # One that was put on the layer or its class afterwards, to spy on it for instance, was never wrapped.
    return layer.forward_pass(inputs) if formula is None else formula(layer, inputs)


def is_ready_input(layer: Layer, inputs) -> bool:
    """Whether inputs can go into a layer's formula as they are: the common case, decided quickly."""
    if inputs.__class__ is np.ndarray:
        return inputs.dtype is layer.dtype and inputs.ndim > 1 and inputs.shape[1:] == layer.input_shape
    return (
        are_sparse_rows(inputs)
        and layer.accepts_sparse
        and inputs.dtype == layer.dtype
        and inputs.shape[1:] == layer.input_shape
    )


def as_valid_inputs(layer: Layer, inputs: Any) -> Any:
    """Inputs as a layer's formulas take them; see `Layer.validate_inputs`."""
    name = f"inputs of {type(layer).__name__}"
    if is_sparse(inputs):
        inputs = as_sparse_rows(inputs, layer.dtype, layer.has_parameters, name)
        if not layer.accepts_sparse:
            inputs = inputs.toarray()
    else:
        inputs = as_float_array(inputs, layer.dtype, layer.has_parameters, name)
    if inputs.ndim == 0:
        raise ValueError(f"{layer!r} expects inputs of shape (n_samples, ...), got a single number.")
    if layer.input_shape is None:
        layer.build(inputs.shape[1:], dtype=inputs.dtype)
        return inputs.astype(layer.dtype, copy=False) if layer.has_parameters else inputs
    if layer.has_parameters and inputs.shape[1:] != layer.input_shape:
        raise ValueError(
            f"{layer!r} expects inputs of shape {with_samples(layer.input_shape)}, got {inputs.shape}. "
            f"It was built for {describe_shape(layer.input_shape)}; call build again or check the data."
        )
    return inputs


def inherit_no_declaration(cls: type[Layer]) -> None:
    """Have a class that defines a pass say for itself whether it accepts sparse rows."""
    if "accepts_sparse" not in vars(cls) and any(name in vars(cls) for name in PASSES):
        cls.accepts_sparse = False  # what was declared is true of the passes that it replaces


@contextmanager
def unchanged_on_error(layer: Layer) -> Iterator[None]:
    """Put a layer and all inside it back to how they were if building them, or what follows it, fails."""
    before = [(inner, dict(vars(inner))) for inner in layer.walk()]
    try:
        yield
    except BaseException:
        for inner, attributes in before:
            vars(inner).clear()
            vars(inner).update(attributes)
        raise


class Pass(NamedTuple):
    """One direction of a contract, and the two methods of which either follows from the other.

    Attributes
    ----------
    direction : str
        What it is called in errors.
    plain, reusing : str
        The method that computes everything itself, and the one that keeps or takes a record.
    """

    direction: str
    plain: str
    reusing: str


def refuse_incomplete(
    cls: type, contract: type, forward: Pass, backward: Pass, plain_may_stay: bool = False
) -> None:
    """Raise an error for a class in which a pass is missing, or in which two ways of doing it would disagree.

    Parameters
    ----------
    cls : type
    contract : type
        The base class, whose own methods only turn one way of doing a pass into the other.
    forward, backward : Pass
    plain_may_stay : bool, default=False
        Whether a class may extend the record of a class with plain methods alone: where training calls nothing
        else, no method is ignored.
    """

    def definer(name):
        return next(base for base in cls.__mro__ if name in vars(base))

    for direction, plain, reusing in (forward, backward):
        if definer(plain) is contract and definer(reusing) is contract:
            raise TypeError(
                f"{cls.__name__} has no {direction}: define {plain}, or {reusing} for one that reuses work."
            )
        for mine, other in ((plain, reusing), (reusing, plain))[: 1 if plain_may_stay else 2]:
            # What an abstract class defines is made to go with the methods of its subclasses.
            if definer(mine) is cls and definer(other) is not cls and not definer(other)._is_abstract:
                raise TypeError(
                    f"{cls.__name__} defines {mine} but inherits {other} from {definer(other).__name__}, and "
                    f"the two would disagree. Define {other} too."
                )
    extends = plain_may_stay and definer(forward.plain) is not contract
    if definer(forward.reusing) is not contract and definer(backward.reusing) is contract and not extends:
        raise TypeError(
            f"{cls.__name__} defines {forward.reusing} but not {backward.reusing}, so nothing reads the "
            f"record. Define {backward.reusing}."
        )


@contextmanager
def in_mode(layer: Layer, training: bool) -> Iterator[None]:
    """Have a layer and all inside it behave as in training, or in inference, and put them back afterwards."""
    # What layers were told of a batch is of no other rows: it is set aside with the mode.
    names = ("training", *BATCH_INFO)
    attributes_of_layers = [vars(inner) for inner in layer.walk()]
    before = [(own, {name: own[name] for name in names if name in own}) for own in attributes_of_layers]
    try:
        for attributes, values in before:
            for name in values:
                del attributes[name]
            attributes["training"] = training
        yield
    finally:
        with uninterrupted:
            for attributes, values in before:
                for name in names:
                    attributes.pop(name, None)
                attributes.update(values)


def refuse_repeated(layer: Layer) -> None:
    """Raise an error if one layer object stands twice in a network: its gradients would be overwritten."""
    seen: set[int] = set()
    for inner in layer.walk():
        if id(inner) in seen:
            raise ValueError(
                f"{inner!r} stands twice in one network, as one object. Make a second object, or use "
                "copy.deepcopy(layer)."
            )
        seen.add(id(inner))


def shape_of_rows(layer: Layer, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a layer's outputs without the batch axis, found by passing rows of zeros.

    Raises
    ------
    ValueError
        If the outputs have not one row for each sample, and are not a single number, a loss.
    """
    # As many as no other axis has: an axis that takes the place of the batch's is then another number.
    n_rows = next(n for n in itertools.count(2) if n not in input_shape)
    shape = np.shape(layer.forward_pass(np.zeros((n_rows, *input_shape), layer.dtype)))
    if shape and shape[0] != n_rows:
        raise ValueError(
            f"{layer!r} must put out a row for each sample: its outputs for {n_rows} rows have the shape "
            f"{shape}. Leave the first axis, which counts samples, as it is."
        )
    return shape[1:]


def describe_shape(shape: tuple[int, ...]) -> str:
    """A feature shape in words."""
    return f"{shape[0]} features" if len(shape) == 1 else f"features of shape {shape}"


def with_samples(shape: tuple[int, ...]) -> str:
    """A feature shape with the batch axis in front, as it is written in docstrings."""
    return f"({', '.join(['n_samples', *map(str, shape)])})"
