"""Layers made of layers: Sequential, Residual, Concat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from layernet.guards.modes import require_distinct_layers
from layernet.layer import Layer


class Sequential(Layer):
    """A chain of layers: the outputs of each are the inputs of the next.

    outputs = f_n(... f_2(f_1(inputs))), and by the chain rule the gradient goes through the same layers in
    the opposite order.

    Parameters
    ----------
    layers : sequence of Layer, or Layer
        Containers too. Each object may stand only once in a network.
    *more : Layer
        The layers after the first, if they are given one by one: `Sequential(Dense(32), ReLU())`.

    Raises
    ------
    TypeError
        If something in it is not a layer.
    ValueError
        If a layer stands in it twice; at `build`, if it is empty or the shapes do not fit.

    Examples
    --------
    >>> from layernet import Dense, ReLU
    >>> net = Sequential([Dense(32), ReLU(), Dense(10)]).build(64, random_state=0)
    >>> net.output_shape, net.parameter_vector.size
    ((10,), 2410)
    >>> net[1], net[:2], len(net)
    (ReLU(), Sequential([Dense(32), ReLU()]), 3)
    """

    def __init__(self, layers: Sequence[Layer] | Layer = (), *more: Layer):
        self.layers = as_layers(layers, more, "Sequential")
        require_distinct_layers(self)

    @property
    def accepts_sparse(self) -> bool:
        """Whether the first layer accepts sparse rows."""
        return bool(self.layers) and self.layers[0].accepts_sparse

    def append(self, layer: Layer) -> None:
        """Add a layer at the end, before the network is built.

        Raises
        ------
        ValueError
            If the network is built already: its parameters lie in one vector.
        """
        if self.input_shape is not None:
            raise ValueError(f"A built Sequential cannot grow. Make a new one: Sequential([*net, {layer!r}]).")
        grown = Sequential([*self.layers, layer])
        self.layers = grown.layers

    def create_parameters(self, input_shape):
        if not self.layers:
            raise ValueError("An empty Sequential computes nothing: give it at least one layer.")
        for index, layer in enumerate(self.layers):
            try:
                input_shape = self.build_inside(layer, input_shape)
            except Exception as error:
                before = f", after {self.layers[index - 1]!r}" if index else ""
                error.add_note(f"This was layer {index} of a Sequential of {len(self.layers)} layers{before}.")
                raise

    def infer_output_shape(self, input_shape):
        for layer in self.layers:
            input_shape = layer.infer_output_shape(input_shape)
        return input_shape

    def record(self, inputs):
        records = []
        for layer in self.layers:
            inputs, record = layer.record(inputs)
            records.append(record)
        return inputs, records

    def forward_pass(self, inputs):
        for layer in self.layers:
            inputs = layer.forward_pass(inputs)
        return inputs

    def backward_from(self, records, grad_output):
        for layer, record in zip(reversed(self.layers), reversed(records), strict=True):
            grad_output = layer.backward_from(record, grad_output)
        return grad_output

    def parameter_gradients(self, records, grad_output):
        # Nothing before the first layer with parameters asks for a gradient.
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
        """A layer; or, for a slice, a network of some of the layers that shares their parameters."""
        if not isinstance(index, slice):
            return self.layers[index]
        part = Sequential(self.layers[index])
        if self.input_shape is not None and part.layers:
            part.build(part.layers[0].input_shape, dtype=self.dtype)
        return part


class Residual(Layer):
    """A layer with a way around it: outputs = inputs + body(inputs).

    The gradient takes both ways: grad_inputs = G + body's own, so that it reaches early layers undiminished.

    Parameters
    ----------
    body : Layer
        Its outputs must have the shape of its inputs; a `Sequential` for more than one layer.

    Examples
    --------
    >>> from layernet import ReLU
    >>> Residual(ReLU()).forward_pass([[-1.0, 2.0]])
    array([[-1.,  4.]])

    References
    ----------
    He, Zhang, Ren and Sun (2016), Deep residual learning for image recognition.
    """

    def __init__(self, body: Layer):
        self.body = body
        if isinstance(body, (list, tuple)):
            raise TypeError(
                "Residual takes one layer, its body, got a list. Write Residual(Sequential([...]))."
            )
        self.layers = as_layers([body], (), "Residual")
        require_distinct_layers(self)

    def create_parameters(self, input_shape):
        output_shape = self.build_inside(self.body, input_shape)
        if output_shape != input_shape:
            raise ValueError(
                f"{self!r} adds the outputs of its body to its inputs: both need one shape, but inputs are "
                f"{input_shape} and outputs {output_shape}. Let the body end in a layer of {input_shape}."
            )

    def record(self, inputs):
        outputs, record = self.body.record(inputs)
        return inputs + outputs, record

    def backward_from(self, record, grad_output):
        return grad_output + self.body.backward_from(record, grad_output)


class Concat(Layer):
    """Several layers side by side on the same inputs, their outputs joined along the last axis.

    outputs = [f_1(inputs), f_2(inputs), ...]; each layer gets its own part of G, and the gradients with
    respect to the shared inputs add up.

    Parameters
    ----------
    layers : sequence of Layer, or Layer
        At least one. Their outputs may differ in the last axis only.
    *more : Layer
        The layers after the first, if they are given one by one.

    Examples
    --------
    >>> from layernet import Identity, ReLU
    >>> Concat([Identity(), ReLU()]).forward_pass([[-1.0, 2.0]])
    array([[-1.,  2.,  0.,  2.]])
    """

    def __init__(self, layers: Sequence[Layer] | Layer, *more: Layer):
        self.layers = as_layers(layers, more, "Concat")
        require_distinct_layers(self)

    @property
    def accepts_sparse(self) -> bool:
        """Whether all layers accept sparse rows."""
        return all(layer.accepts_sparse for layer in self.layers)

    def create_parameters(self, input_shape):
        if not self.layers:
            raise ValueError("An empty Concat computes nothing: give it at least one layer.")
        shapes = [self.build_inside(layer, input_shape) for layer in self.layers]
        if any(shape[:-1] != shapes[0][:-1] or not shape for shape in shapes):
            raise ValueError(
                f"{self!r} joins outputs along the last axis, so all other axes must agree; got {shapes}."
            )

    def record(self, inputs):
        outputs, records = zip(*(layer.record(inputs) for layer in self.layers), strict=True)
        return np.concatenate(outputs, axis=-1), records

    def backward_from(self, records, grad_output):
        parts = self._parts_of(grad_output)
        return sum(
            layer.backward_from(record, part)
            for layer, record, part in zip(self.layers, records, parts, strict=True)
        )

    def parameter_gradients(self, records, grad_output):
        for layer, record, part in zip(self.layers, records, self._parts_of(grad_output), strict=True):
            layer.parameter_gradients(record, part)

    def _parts_of(self, grad_output):
        ends = np.cumsum([layer.output_shape[-1] for layer in self.layers])
        return np.split(grad_output, ends[:-1], axis=-1)


def chain_of(network: Layer) -> Iterator[Layer]:
    """The layers of a network one after the other, those of a `Sequential` inside it in their place.

    Parameters
    ----------
    network : Layer

    Yields
    ------
    Layer
        The network itself, if it is no `Sequential`, or a subclass that defines passes of its own.

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
    """Whether a layer computes what its kind does: a subclass of a container may define passes of its own."""
    passes = ("forward_pass", "backward_pass", "record", "backward_from")
    return isinstance(layer, kind) and all(getattr(type(layer), p) is getattr(kind, p) for p in passes)


def first_layers(network: Layer) -> Iterator[Layer]:
    """The layers inside a network, none of them a container, that are given the network's own inputs.

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


def as_layers(layers: Sequence[Layer] | Layer, more: Sequence[Layer], container: str) -> list[Layer]:
    """A list of layers from a sequence of them, or from layers given one by one.

    Parameters
    ----------
    layers : sequence of Layer, or Layer
        A `Sequential` alone gives the layers inside it.
    more : sequence of Layer
    container : str
        The class that takes them, for errors.

    Raises
    ------
    TypeError
        If one of them is not a layer.
    """
    is_sequence = isinstance(layers, Sequential) or (
        isinstance(layers, Iterable) and not isinstance(layers, (Layer, str))
    )
    layers = list(layers) if is_sequence and not more else [layers, *more]
    for index, layer in enumerate(layers):
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(
                f"{container} layer {index} is the class {layer.__name__}, not an object of it: "
                f"write {layer.__name__}(...)."
            )
        if not isinstance(layer, Layer):
            raise TypeError(
                f"{container} layer {index} must be a Layer, got {type(layer).__name__}. A layer of your "
                "own is a subclass of layernet.Layer."
            )
    return layers
