"""Lowering of BatchNorm, LayerNorm, RMSNorm, Softmax and LogSoftmax."""

from __future__ import annotations

import numpy as np

from layernet.engine.compiled.kernels import normalization
from layernet.engine.compiled.lowering.registry import EmitBackward, lower_to_python, lowers
from layernet.engine.compiled.program import Program
from layernet.layers import BatchNorm, LayerNorm, LogSoftmax, RMSNorm, Softmax


@lowers(BatchNorm)
def batch_norm(
    layer: BatchNorm, program: Program, inputs: np.ndarray
) -> tuple[np.ndarray, EmitBackward | None]:
    """Normalize by the weighted mean and variance of the batch; all workers add up their parts."""
    if not program.is_training:
        return batch_norm_by_averages(layer, program, inputs)
    if len(layer.input_shape) != 1 or layer._last_rows is None:  # None in a pickle of an earlier version
        return lower_to_python(layer, program, inputs)
    epsilon, momentum = (program.setting(layer, name) for name in ("epsilon", "momentum"))
    width = inputs.shape[1]
    outputs, normalized = program.sample_buffer(width), program.sample_buffer(width)
    gamma, beta = program.as_matrix(layer.gamma), program.as_matrix(layer.beta)
    sums, squares = program.worker_rows(width + 1, np.float64), program.worker_rows(width)
    mean, variance, inverse = (program.zeros(1, width) for _ in range(3))
    normalized_weights = program.normalized_weights()
    program.emit(normalization.batch_sums, inputs, normalized_weights, sums)
    program.barrier()
    program.emit(normalization.batch_squares, inputs, normalized_weights, sums, mean, squares)
    program.barrier()
    program.emit(
        normalization.batch_norm, inputs, outputs, normalized, gamma, beta, mean, squares, variance,
        inverse, program.constants(epsilon),
    )  # fmt: skip
    averages = [program.state(layer, name) for name in ("running_mean", "running_variance")]
    if program.is_first_worker:
        settings = np.array([[momentum, program.batch_size, program.mean_weight]], np.float64)
        program.emit(
            normalization.move_averages, *averages, mean, variance, program.batch_weight(), layer._last_rows,
            settings, after_update=True,
        )  # fmt: skip

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        grad_gamma, grad_beta = program.gradient(layer.grad_gamma), program.gradient(layer.grad_beta)
        all_gamma, all_beta = program.worker_rows(width), program.worker_rows(width)
        program.emit(
            normalization.batch_norm_gradients, grad_output, normalized, grad_gamma, grad_beta, all_gamma,
            all_beta,
        )  # fmt: skip
        if not needs_grad_inputs:
            return None
        program.barrier()
        program.emit(
            normalization.batch_norm_backward, grad_output, normalized, gamma, all_gamma, all_beta,
            normalized_weights, inverse, program.zeros(1, width), program.zeros(1, width),
        )  # fmt: skip
        return grad_output

    return outputs, backward


def batch_norm_by_averages(layer: BatchNorm, program: Program, inputs: np.ndarray) -> tuple[np.ndarray, None]:
    """Normalize by the running averages, in inference."""
    epsilon = program.constants(program.setting(layer, "epsilon"))
    outputs = program.sample_buffer(inputs.shape[1])
    averages = [program.state(layer, name) for name in ("running_mean", "running_variance")]
    parameters = program.as_matrix(layer.gamma), program.as_matrix(layer.beta)
    inverse = program.zeros(1, layer.gamma.size)
    program.emit(normalization.norm_by_averages, inputs, outputs, *parameters, *averages, inverse, epsilon)
    return outputs, None


@lowers(LayerNorm, RMSNorm)
def row_norm(
    layer: LayerNorm | RMSNorm, program: Program, inputs: np.ndarray
) -> tuple[np.ndarray, EmitBackward | None]:
    """Normalize each row by its own mean and variance, or mean square."""
    if len(layer.input_shape) != 1:
        return lower_to_python(layer, program, inputs)
    epsilon = program.constants(program.setting(layer, "epsilon"))
    outputs, normalized = program.sample_buffer(inputs.shape[1]), program.sample_buffer(inputs.shape[1])
    inverse = program.sample_buffer(1)
    gamma, grad_gamma = program.as_matrix(layer.gamma), program.gradient(layer.grad_gamma)
    with_mean = isinstance(layer, LayerNorm)
    beta, grad_beta = (
        ([program.as_matrix(layer.beta)], [program.gradient(layer.grad_beta)]) if with_mean else ([], [])
    )
    forward_kernel = normalization.layer_norm if with_mean else normalization.rms_norm
    backward_kernel = normalization.layer_norm_backward if with_mean else normalization.rms_norm_backward
    program.emit(forward_kernel, inputs, outputs, normalized, gamma, *beta, inverse, epsilon)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        program.emit(backward_kernel, grad_output, normalized, gamma, grad_gamma, *grad_beta, inverse)
        return grad_output

    return outputs, backward


@lowers(Softmax, LogSoftmax)
def softmax(
    layer: Softmax | LogSoftmax, program: Program, inputs: np.ndarray
) -> tuple[np.ndarray, EmitBackward | None]:
    """Compute the probabilities of each row, or their logarithms."""
    if len(layer.input_shape) != 1:
        return lower_to_python(layer, program, inputs)
    is_plain = isinstance(layer, Softmax)
    outputs = program.sample_buffer(inputs.shape[1])
    program.emit(normalization.softmax if is_plain else normalization.log_softmax, inputs, outputs)
    backward_kernel = normalization.softmax_backward if is_plain else normalization.log_softmax_backward

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        program.emit(backward_kernel, outputs, grad_output)
        return grad_output

    return outputs, backward
