"""From normalizations to instructions: BatchNorm, LayerNorm, RMSNorm, and softmax as a layer."""

from __future__ import annotations

import numpy as np

from layernet.engine.compiled.kernels import normalization
from layernet.engine.compiled.lowering.registry import by_formula, translates
from layernet.layers import BatchNorm, LayerNorm, LogSoftmax, RMSNorm, Softmax


@translates(BatchNorm)
def batch_norm(layer, program, inputs):
    """The statistics of the batch, each sample with its share in them; workers meet to add them up."""
    if not program.is_training:
        return batch_norm_by_averages(layer, program, inputs)
    if len(layer.input_shape) != 1 or layer._last_rows is None:  # None in a pickle of an earlier version
        return by_formula(layer, program, inputs)
    epsilon, momentum = (program.setting(layer, name) for name in ("epsilon", "momentum"))
    width = inputs.shape[1]
    outputs, normalized = program.for_samples(width), program.for_samples(width)
    gamma, beta = program.vector(layer.gamma), program.vector(layer.beta)
    sums, squares = program.shared(width + 1, np.float64), program.shared(width)
    mean, variance, inverse = (program.fixed(1, width) for _ in range(3))
    shares = program.shares()
    program.do(normalization.batch_sums, inputs, shares, sums)
    program.meet()
    program.do(normalization.batch_squares, inputs, shares, sums, mean, squares)
    program.meet()
    program.do(
        normalization.batch_norm, inputs, outputs, normalized, gamma, beta, mean, squares, variance,
        inverse, program.constants(epsilon),
    )  # fmt: skip
    averages = [
        program.vector(program.watch(lambda name=name: getattr(layer, name)))
        for name in ("running_mean", "running_variance")
    ]
    if program.is_first:
        settings = np.array([[momentum, program.team.batch_size, program.mean_weight]], np.float64)
        program.do(
            normalization.move_averages, *averages, mean, variance, program.weight_of_batch(), layer._last_rows,
            settings, at_the_end=True,
        )  # fmt: skip

    def way_back(grad_output, wanted):
        grad_gamma, grad_beta = program.gradient(layer.grad_gamma), program.gradient(layer.grad_beta)
        all_gamma, all_beta = program.shared(width), program.shared(width)
        program.do(
            normalization.batch_norm_gradients, grad_output, normalized, grad_gamma, grad_beta, all_gamma,
            all_beta,
        )  # fmt: skip
        if not wanted:
            return None
        program.meet()
        program.do(
            normalization.batch_norm_backward, grad_output, normalized, gamma, all_gamma, all_beta, shares,
            inverse, program.fixed(1, width), program.fixed(1, width),
        )  # fmt: skip
        return grad_output

    return outputs, way_back


def batch_norm_by_averages(layer, program, inputs):
    """In inference: the running averages."""
    epsilon = program.constants(program.setting(layer, "epsilon"))
    outputs = program.for_samples(inputs.shape[1])
    averages = [
        program.vector(program.watch(lambda name=name: getattr(layer, name)))
        for name in ("running_mean", "running_variance")
    ]
    parameters = program.vector(layer.gamma), program.vector(layer.beta)
    inverse = program.fixed(1, layer.gamma.size)
    program.do(normalization.norm_by_averages, inputs, outputs, *parameters, *averages, inverse, epsilon)
    return outputs, None


@translates(LayerNorm, RMSNorm)
def row_norm(layer, program, inputs):
    """Statistics of each row."""
    if len(layer.input_shape) != 1:
        return by_formula(layer, program, inputs)
    epsilon = program.constants(program.setting(layer, "epsilon"))
    outputs, normalized = program.for_samples(inputs.shape[1]), program.for_samples(inputs.shape[1])
    inverse = program.for_samples(1)
    gamma, grad_gamma = program.vector(layer.gamma), program.gradient(layer.grad_gamma)
    with_mean = isinstance(layer, LayerNorm)
    beta, grad_beta = (
        ([program.vector(layer.beta)], [program.gradient(layer.grad_beta)]) if with_mean else ([], [])
    )
    forward = normalization.layer_norm if with_mean else normalization.rms_norm
    backward = normalization.layer_norm_backward if with_mean else normalization.rms_norm_backward
    program.do(forward, inputs, outputs, normalized, gamma, *beta, inverse, epsilon)

    def way_back(grad_output, wanted):
        program.do(backward, grad_output, normalized, gamma, grad_gamma, *grad_beta, inverse)
        return grad_output

    return outputs, way_back


@translates(Softmax, LogSoftmax)
def softmax(layer, program, inputs):
    """Probabilities of each row, or their logarithms."""
    if len(layer.input_shape) != 1:
        return by_formula(layer, program, inputs)
    is_plain = isinstance(layer, Softmax)
    outputs = program.for_samples(inputs.shape[1])
    program.do(normalization.softmax if is_plain else normalization.log_softmax, inputs, outputs)
    backward = normalization.softmax_backward if is_plain else normalization.log_softmax_backward

    def way_back(grad_output, wanted):
        program.do(backward, outputs, grad_output)
        return grad_output

    return outputs, way_back
