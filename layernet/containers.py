"""Containers, layers that consist of layers: Sequential, Residual, Concat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from layernet.guards.modes import require_distinct_layers
from layernet.layer import Layer
from layernet.registry import find_by_name

__all__ = ["Concat", "Residual", "Sequential"]


class Sequential(Layer):
    """Chain of layers: the outputs of each are the inputs of the next.

    outputs = f_n(... f_2(f_1(inputs))). By the chain rule, the backward pass goes through the layers in reverse
    order.

    Parameters
    ----------
    layers : sequence of Layer or str, Layer or str
        Layers, containers, or names of layers: "relu" for `ReLU()`. Each object may occur once in a network.
    *more : Layer or str
        Layers after the first, if they are given one by one: `Sequential(Dense(32), "relu")`.

    Raises
    ------
    TypeError
        If an item is neither a layer nor a name.
    ValueError
        If a name is unknown or a layer occurs twice; at `build`, if there is no layer or the shapes do not fit.

    Examples
    --------
    >>> from layernet import Dense
    >>> net = Sequential([Dense(32), "relu", Dense(10)]).build(64, random_state=0)
    >>> net.output_shape, net.parameter_vector.size
    ((10,), 2410)
    >>> net[1], net[:2], len(net)
    (ReLU(), Sequential([Dense(32), ReLU()]), 3)
    """

    def __init__(self, layers: Sequence[Layer | str] | Layer | str = (), *more: Layer | str) -> None:
        self.layers = as_layers(layers, more, "Sequential")
        require_distinct_layers(self)

    @property
    def accepts_sparse(self) -> bool:  # type: ignore[override]  # a container asks the layers inside it
        """Whether the first layer accepts sparse rows."""
        return bool(self.layers) and self.layers[0].accepts_sparse

    def append(self, layer: Layer | str) -> None:
        """Append a layer to a network that is not built.

        Raises
        ------
        ValueError
            If the network is built: its parameter vector cannot grow.
        """
        if self.input_shape is not None:
            raise ValueError(f"A built Sequential cannot grow. Make a new one: Sequential([*net, {layer!r}]).")
        grown = Sequential([*self.layers, layer])
        self.layers = grown.layers

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        if not self.layers:
            raise ValueError("An empty Sequential computes nothing: give it at least one layer.")
        for index, layer in enumerate(self.layers):
            try:
                input_shape = self.build_inside(layer, input_shape)
            except Exception as error:
                before = f", after {self.layers[index - 1]!r}" if index else ""
                error.add_note(f"Raised by layer {index} of a Sequential of {len(self.layers)} layers{before}.")
                raise

    def infer_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        for layer in self.layers:
            input_shape = layer.infer_output_shape(input_shape)
        return input_shape

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        records = []
        for layer in self.layers:
            inputs, record = layer.record(inputs)
            records.append(record)
        return inputs, records

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            inputs = layer.forward_pass(inputs)
        return inputs

    def backward_from(self, records: Any, grad_output: np.ndarray) -> np.ndarray:
        for layer, record in zip(reversed(self.layers), reversed(records), strict=True):
            grad_output = layer.backward_from(record, grad_output)
        return grad_output

    def parameter_gradients(self, records: Any, grad_output: np.ndarray) -> None:
        # Layers before the first one with parameters need no gradient.
        first = next((i for i, layer in enumerate(self.layers) if layer.has_parameters), None)
        if first is None:
            return
        for index in range(len(self.layers) - 1, first, -1):
            grad_output = self.layers[index].backward_from(records[index], grad_output)
        self.layers[first].parameter_gradients(records[first], grad_output)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, index: int | slice) -> Layer:
        """Return a layer, or for a slice a `Sequential` that shares the parameters of its layers."""
        if not isinstance(index, slice):
            return self.layers[index]
        part = Sequential(self.layers[index])
        if self.input_shape is not None and part.layers:
            part.build(part.layers[0].input_shape, dtype=self.dtype)
        return part


class Residual(Layer):
    """Residual connection: outputs = inputs + body(inputs).

    grad_inputs = G + grad_inputs of the body, with G = grad_output.

    Parameters
    ----------
    body : Layer or str
        Layer, or its name, whose outputs have the shape of its inputs; a `Sequential` for several layers.

    Examples
    --------
    >>> from layernet import ReLU
    >>> Residual(ReLU()).forward_pass([[-1.0, 2.0]])
    array([[-1.,  4.]])

    References
    ----------
    He, Zhang, Ren and Sun (2016), Deep residual learning for image recognition.
    """

    def __init__(self, body: Layer | str) -> None:
        if isinstance(body, (list, tuple)):
            raise TypeError(
                "Residual takes one layer, its body, got a list. Write Residual(Sequential([...]))."
            )
        self.layers = as_layers([body], (), "Residual")
        self.body = self.layers[0]
        require_distinct_layers(self)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        output_shape = self.build_inside(self.body, input_shape)
        if output_shape != input_shape:
            raise ValueError(
                f"{self!r} adds the outputs of its body to its inputs: both need the same shape, but inputs "
                f"are {input_shape} and outputs {output_shape}. Let the body end in a layer of {input_shape}."
            )

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        outputs, record = self.body.record(inputs)
        return inputs + outputs, record

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        return grad_output + self.body.backward_from(record, grad_output)


class Concat(Layer):
    """Layers with common inputs, whose outputs are concatenated along the last axis.

    outputs = [f_1(inputs), f_2(inputs), ...]. Each layer receives its part of grad_output, and grad_inputs is
    the sum over the layers.

    Parameters
    ----------
    layers : sequence of Layer or str, Layer or str
        At least one layer, or name of a layer. The outputs may differ in the last axis only.
    *more : Layer or str
        Layers after the first, if they are given one by one.

    Examples
    --------
    >>> from layernet import Identity, ReLU
    >>> Concat([Identity(), ReLU()]).forward_pass([[-1.0, 2.0]])
    array([[-1.,  2.,  0.,  2.]])
    """

    def __init__(self, layers: Sequence[Layer | str] | Layer | str, *more: Layer | str) -> None:
        self.layers = as_layers(layers, more, "Concat")
        require_distinct_layers(self)

    @property
    def accepts_sparse(self) -> bool:  # type: ignore[override]  # a container asks the layers inside it
        """Whether all layers accept sparse rows."""
        return all(layer.accepts_sparse for layer in self.layers)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        if not self.layers:
            raise ValueError("An empty Concat computes nothing: give it at least one layer.")
        shapes = [self.build_inside(layer, input_shape) for layer in self.layers]
        if any(shape[:-1] != shapes[0][:-1] or not shape for shape in shapes):
            raise ValueError(
                f"{self!r} joins outputs along the last axis, so all other axes must agree; got {shapes}."
            )

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        outputs, records = zip(*(layer.record(inputs) for layer in self.layers), strict=True)
        return np.concatenate(outputs, axis=-1), records

    def backward_from(self, records: Any, grad_output: np.ndarray) -> np.ndarray:
        parts = self._parts_of(grad_output)
        total: Any = sum(
            layer.backward_from(record, part)
            for layer, record, part in zip(self.layers, records, parts, strict=True)
        )
        return total

    def parameter_gradients(self, records: Any, grad_output: np.ndarray) -> None:
        for layer, record, part in zip(self.layers, records, self._parts_of(grad_output), strict=True):
            if layer.has_parameters:
                layer.parameter_gradients(record, part)

    def _parts_of(self, grad_output: np.ndarray) -> list[np.ndarray]:
        ends = np.cumsum([layer.output_shape[-1] for layer in self.layers])
        return np.split(grad_output, ends[:-1], axis=-1)


def chain_of(network: Layer) -> Iterator[Layer]:
    """Iterate over the layers of a network, with the layers of nested `Sequential` containers in their place.

    Parameters
    ----------
    network : Layer

    Yields
    ------
    Layer
        The network itself, if it is not a `Sequential` or overrides the passes of `Sequential`.

    Examples
    --------
    >>> from layernet import Dense, ReLU
    >>> list(chain_of(Sequential([Sequential([Dense(2), ReLU()]), Dense(1)])))
    [Dense(2), ReLU(), Dense(1)]
    """
    if not keeps_passes_of(network, Sequential):
        yield network
        return
    for layer in network.layers:
        yield from chain_of(layer)


def keeps_passes_of(layer: Layer, kind: type[Layer]) -> bool:
    """Return whether a layer is of a class and does not override the passes of that class."""
    passes = ("forward_pass", "backward_pass", "record", "backward_from")
    return isinstance(layer, kind) and all(getattr(type(layer), p) is getattr(kind, p) for p in passes)


def first_layers(network: Layer) -> Iterator[Layer]:
    """Iterate over the layers, without containers, whose inputs are the network's inputs.

    Examples
    --------
    >>> from layernet import Dense, ReLU
    >>> list(first_layers(Sequential([Concat([Dense(2), Sequential([Dense(3), ReLU()])]), Dense(1)])))
    [Dense(2), Dense(3)]
    """
    if not network.layers:
        yield network
        return
    for layer in network.layers[:1] if isinstance(network, Sequential) else network.layers:
        yield from first_layers(layer)


def as_layers(
    layers: Sequence[Layer | str] | Layer | str, more: Sequence[Layer | str], container: str
) -> list[Layer]:
    """Return a list of layers from a sequence of layers and names, or from items given one by one.

    Parameters
    ----------
    layers : sequence of Layer or str, Layer or str
        A `Sequential` alone stands for the layers inside it.
    more : sequence of Layer or str
    container : str
        Class name of the container, for errors.

    Raises
    ------
    TypeError
        If an item is neither a layer nor a name.
    ValueError
        If a name is unknown, or its layer needs arguments.
    """
    is_sequence = isinstance(layers, Sequential) or (
        isinstance(layers, Iterable) and not isinstance(layers, (Layer, str))
    )
    items: list[Any] = list(layers) if is_sequence and not more else [layers, *more]
    return [as_layer(item, f"{container} layer {index}") for index, item in enumerate(items)]


def as_layer(item: Any, argument: str) -> Layer:
    """Return a layer from its name, or the layer itself.

    Parameters
    ----------
    item : Layer or str
    argument : str
        Name of the user's argument, for errors.

    Returns
    -------
    Layer
    """
    if isinstance(item, type) and issubclass(item, Layer):
        raise TypeError(
            f"{argument} is the class {item.__name__}, not an object of it: write {item.__name__}(...)."
        )
    if isinstance(item, str):
        return find_by_name(Layer, item, argument)
    if not isinstance(item, Layer):
        raise TypeError(
            f"{argument} must be a Layer or the name of one, got {type(item).__name__}. A layer of your own is "
            "a subclass of layernet.Layer."
        )
    return item
