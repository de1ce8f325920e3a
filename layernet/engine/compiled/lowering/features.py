"""Lowering of SelectFeatures, FeatureScale, CategoryEmbedding, PeriodicEmbedding, PiecewiseLinearEncoding."""

from __future__ import annotations

import numpy as np

from layernet.engine.compiled.kernels import features, structure
from layernet.engine.compiled.lowering.registry import EmitBackward, lowers
from layernet.engine.compiled.program import Program
from layernet.layers import (
    CategoryEmbedding,
    FeatureScale,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    SelectFeatures,
)


@lowers(SelectFeatures)
def select_features(
    layer: SelectFeatures, program: Program, inputs: np.ndarray
) -> tuple[np.ndarray, EmitBackward]:
    """Copy some columns."""
    first = np.array([[layer.start]], np.int64)
    outputs = program.sample_buffer(layer.output_shape[0])
    program.emit(structure.copy_from_columns, outputs, inputs, first)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        if not needs_grad_inputs:
            return None
        grad_inputs = program.sample_buffer(inputs.shape[1])
        program.emit(structure.fill_zeros, grad_inputs)
        program.emit(structure.copy_into_columns, grad_output, grad_inputs, first)
        return grad_inputs

    return outputs, backward


@lowers(FeatureScale)
def feature_scale(layer: FeatureScale, program: Program, inputs: np.ndarray) -> tuple[np.ndarray, EmitBackward]:
    """Multiply each feature by its factor."""
    outputs, factor = program.sample_buffer(inputs.shape[1]), program.as_matrix(layer.factor)
    program.emit(features.scale, inputs, factor, outputs)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        grad_factor = program.gradient(layer.grad_factor)
        program.emit(features.scale_backward, inputs, factor, grad_output, grad_factor)
        return grad_output

    return outputs, backward


@lowers(CategoryEmbedding)
def category_embedding(
    layer: CategoryEmbedding, program: Program, inputs: np.ndarray
) -> tuple[np.ndarray, EmitBackward]:
    """Copy the vectors of the levels; inputs get no gradient but 0."""
    n_levels = np.array([layer.n_levels], np.int64)
    outputs = program.sample_buffer(layer.output_shape[0])
    program.emit(features.embed_categories, inputs, program.as_matrix(layer.weights), outputs, n_levels)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        grad_weights = program.gradient(layer.grad_weights)
        program.emit(features.embed_categories_backward, inputs, grad_output, grad_weights, n_levels)
        if not needs_grad_inputs:
            return None
        grad_inputs = program.sample_buffer(inputs.shape[1])
        program.emit(structure.fill_zeros, grad_inputs)
        return grad_inputs

    return outputs, backward


@lowers(PiecewiseLinearEncoding)
def piecewise_linear_encoding(
    layer: PiecewiseLinearEncoding, program: Program, inputs: np.ndarray
) -> tuple[np.ndarray, EmitBackward]:
    """Compute how far each feature has come in its intervals."""
    indices, starts, slopes = (program.state(layer, name) for name in ("features", "starts", "slopes"))
    lowest = program.constants(program.setting(layer, "lowest"))
    outputs = program.sample_buffer(starts.shape[1])
    program.emit(features.encode_pieces, inputs, starts, slopes, lowest, outputs, indices)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        if not needs_grad_inputs:
            return None
        grad_inputs = program.sample_buffer(inputs.shape[1])
        program.emit(
            features.encode_pieces_backward, outputs, slopes, lowest, grad_output, grad_inputs, indices
        )
        return grad_inputs

    return outputs, backward


@lowers(PeriodicEmbedding)
def periodic_embedding(
    layer: PeriodicEmbedding, program: Program, inputs: np.ndarray
) -> tuple[np.ndarray, EmitBackward]:
    """Compute the cosines and their mixes; the backward pass reads the cosines and the sines."""
    n_rows, n_features = program.rows_per_worker, inputs.shape[1]
    columns, cosines, sines = (
        program.zeros(n_columns, n_rows)
        for n_columns in (n_features, layer.frequencies.size, layer.frequencies.size)
    )
    sums = program.zeros(1 + layer.width, n_rows)
    outputs = program.sample_buffer(layer.output_shape[0])
    frequencies, phases, weights, bias = (
        program.as_matrix(values) for values in (layer.frequencies, layer.phases, layer.weights, layer.bias)
    )
    program.emit(
        features.embed_periodically,
        inputs, frequencies, phases, weights, bias, columns, cosines, sines, sums, outputs,
    )  # fmt: skip

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        gradients = (
            program.gradient(values)
            for values in (layer.grad_frequencies, layer.grad_phases, layer.grad_weights, layer.grad_bias)
        )
        program.emit(
            features.embed_periodically_backward,
            columns,
            weights,
            cosines,
            sines,
            sums,
            grad_output,
            *gradients,
        )
        if not needs_grad_inputs:
            return None
        grad_inputs = program.sample_buffer(n_features)
        program.emit(
            features.embed_periodically_grad_inputs, frequencies, sines, sums, grad_output, grad_inputs
        )
        return grad_inputs

    return outputs, backward
