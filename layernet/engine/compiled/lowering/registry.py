"""Registry of translations: a function for each type of layer. A layer without one runs its formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from layernet.engine.compiled.lowering.losses import FORMULAS
from layernet.engine.compiled.program import Program, copy_of
from layernet.engine.compiled.sparse_rows import SparseRows
from layernet.engine.formulas import set_batch_info
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.optimizers.optimizer import Optimizer

# What somebody may have put on a layer in the place of its class's own.
PASSES = ("forward_pass", "backward_pass", "record", "backward_from", "parameter_gradients", "end_step")
WayBack = Callable[[np.ndarray, bool], np.ndarray | None]
Translation = Callable[[Layer, Program, np.ndarray], tuple[np.ndarray, WayBack | None]]

_translations: dict[type[Layer], Translation] = {}


def translates(*kinds: type[Layer]) -> Callable[[Translation], Translation]:
    """Say that a function translates layers of these types, but not of types derived from them; a decorator."""

    def register(translation):
        for kind in kinds:
            _translations[kind] = translation
        return translation

    return register


def by_formula(layer, program, inputs):
    """A layer that there is no kernel for: its own two passes, between the kernels of the others.

    It gets copies: whoever keeps what a pass was given must find it unchanged when the buffers hold the next
    batch.
    """
    outputs = program.for_samples(math.prod(layer.output_shape))
    if not program.is_training:

        def infer(rows):
            values = layer.forward_pass(copy_of(inputs, rows, layer.input_shape))
            outputs[:rows] = values.reshape(rows, -1)

        program.do_in_python(infer)
        return outputs, None

    record = None

    seeing = [inner for inner in layer.walk() if inner.uses_batch_info]

    def forward(rows):
        nonlocal record
        batch, full_rows = program.batch, program.team.batch_size
        set_batch_info(seeing, batch.weights, batch.numbers, full_rows, batch.mean_weight)
        is_sparse = isinstance(inputs, SparseRows)
        values, record = layer.record(batch.inputs if is_sparse else copy_of(inputs, rows, layer.input_shape))
        outputs[:rows] = values.reshape(rows, -1)

    program.do_in_python(forward)
    program.do_in_python(lambda rows: layer.end_step(), at_the_end=True)

    def way_back(grad_output, wanted):
        grad_inputs = program.for_samples(inputs.shape[1]) if wanted else None

        def backward(rows):
            gradient = copy_of(grad_output, rows, layer.output_shape)
            if wanted:
                grad_inputs[:rows] = layer.backward_from(record, gradient).reshape(rows, -1)
            else:
                layer.parameter_gradients(record, gradient)

        program.do_in_python(backward)
        return grad_inputs

    return outputs, way_back


def methods_of(network: Layer, loss: Loss, optimizer: Optimizer) -> list[tuple]:
    """The layers, the loss and the optimizer, and what was put on them in the place of their own formulas."""
    return [
        (owner, *(vars(owner).get(name) for name in names))
        for owners, names in ((network.walk(), PASSES), ([loss], FORMULAS), ([optimizer], ("move", "step")))
        for owner in owners
    ]
