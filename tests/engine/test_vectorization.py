"""Loops of activations and losses use the processor's vectors; a scalar loop takes several times as long."""

import platform

import numpy as np
import pytest

pytest.importorskip("numba", reason="kernels need Numba, which is not installed")

from layernet.engine.compiled.compiler import compile_kernel
from layernet.engine.compiled.intrinsics import matrices, vectors
from layernet.engine.compiled.kernels import activations, losses
from layernet.engine.compiled.kernels.activations import ActivationKernels

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64", "arm64", "aarch64"),
    reason="LLVM may find scalar loops faster on other processors",
)
DTYPES = [np.float32, np.float64]
OF_ACTIVATIONS = [
    kernel
    for kernels in vars(activations).values()
    if isinstance(kernels, ActivationKernels)
    for kernel in (kernels.forward, kernels.backward)
]
OF_LOSSES = [
    losses.squared, losses.huber_term, losses.quantile_term, losses.poisson_term,
    losses.binary_cross_entropy_term, losses.hinge_term,
]  # fmt: skip


def is_vectorized(formula, dtype):
    """Whether LLVM has vectorized a loop: the only one of the formula that is more than a loop of zeros."""
    _, text = compile_kernel(formula, "formula", np.dtype(dtype))
    return "llvm.loop.isvectorized" in text


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", OF_ACTIVATIONS, ids=lambda kernel: kernel.name.rpartition(".")[2])
def test_the_loop_of_an_activation_is_vectorized(kernel, dtype):
    assert is_vectorized(kernel.formula, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("term", OF_LOSSES, ids=lambda term: term.__name__)
def test_the_loop_of_an_elementwise_loss_is_vectorized(term, dtype):
    def formula(control, operands, sizes):
        outputs, targets, terms, slopes, _ = vectors(control, operands, sizes, 5)
        constants = matrices(control, operands, sizes, 5)[4]
        for index in range(len(outputs)):
            terms[index], slopes[index] = term(outputs[index], targets[index], constants)

    assert is_vectorized(formula, dtype)
