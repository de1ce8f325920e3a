"""Two trainings of one network, by formulas and by kernels, and what they must have in common."""

import copy
import math
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

from layernet import DivergenceError, Layer
from layernet.engine.compiled.lowering.layers import lower
from layernet.engine.compiled.machine import Machine
from layernet.engine.compiled.program import Program
from layernet.optimizers import Optimizer
from layernet.training import History

# Kernels sum in another order, fuse products with sums, and have a series of their own for exponentials: each
# number differs in its last digit or two. A few hundred steps of networks that do not enlarge small differences
# (an optimizer that divides by gradients of rounding alone does) make of that at most 4e-13 and 3e-6.
TOLERANCES = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-5}


class Training(NamedTuple):
    """What came of a training."""

    network: Layer
    optimizer: Optimizer
    history: History
    error: DivergenceError | None


@contextmanager
def workers(count):
    """In this context so many workers share each batch of a compiled plan, however small it is."""
    with pytest.MonkeyPatch.context() as patch:
        name = "layernet.engine.compiled.plan.n_workers_for"
        patch.setattr(name, lambda network, batch_size, is_sparse=False: count)
        yield


def train(engine, network, X, y, *, loss, optimizer, callbacks=(), shuffle=True, **options):
    """Train a copy of a built network, with copies of all that remembers something."""
    copies = network, loss, optimizer, callbacks, shuffle
    network, loss, optimizer, callbacks, shuffle = copy.deepcopy(copies)
    error = None
    options = {"random_state": 0, "batch_size": 8, "shuffle": shuffle, **options}
    try:
        history = network.fit(
            X, y, loss=loss, optimizer=optimizer, callbacks=callbacks, engine=engine, **options
        )
    except DivergenceError as found:
        error, history = found, found.history
    return Training(network, optimizer, history, error)


def assert_same_training(network, X, y, *, n_workers=(1,), tolerance=None, **options):
    """Train by formulas, and by kernels with each of these numbers of workers; all must come to the same.

    Returns the training by formulas, and the last one by kernels.
    """
    tolerance = TOLERANCES[network.dtype] if tolerance is None else tolerance
    by_formulas = train("formulas", network, X, y, **options)
    for count in n_workers:
        with workers(count):
            by_kernels = train("compiled", network, X, y, **options)
        assert_same(by_kernels, by_formulas, tolerance)
    return by_formulas, by_kernels


def assert_same(found, expected, tolerance):
    """Whether two trainings came to the same parameters, state, memory of the optimizer, and history."""
    assert str(found.error) == str(expected.error)
    assert_close(found.network.parameter_vector, expected.network.parameter_vector, tolerance, "parameters")
    assert_close(found.network.state(), expected.network.state(), tolerance, "state")
    if expected.optimizer.steps:  # before that an optimizer has no memory, or one of zeros
        assert_close(found.optimizer.state(), expected.optimizer.state(), tolerance, "optimizer")
    assert found.optimizer.steps == expected.optimizer.steps
    assert found.optimizer.last_learning_rate == expected.optimizer.last_learning_rate
    assert found.history.stop_reason == expected.history.stop_reason
    assert found.history.stop_message == expected.history.stop_message
    columns = [
        {name: values for name, values in training.history.items() if name != "seconds"}
        for training in (found, expected)
    ]
    assert_close(*columns, tolerance, "history")


def assert_close(found, expected, tolerance, name):
    """Whether two numbers, arrays, or dicts of these differ by rounding only; whole numbers must be equal."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), name
        for key, value in expected.items():
            assert_close(found[key], value, tolerance, f"{name}: {key}")
    elif isinstance(expected, int):
        assert found == expected, name
    else:
        assert np.asarray(found).dtype == np.asarray(expected).dtype, name
        assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=name)


def passes_by_kernels(layer, inputs, grad_output):
    """Both passes of a built layer in training by kernels: outputs, grad_inputs, gradients of parameters."""
    program = Program(layer.dtype, len(inputs), layer.gradient_vector)
    program.sample_numbers[:, 0] = np.arange(len(inputs))
    outputs, backward = lower(layer, program, filled(program, inputs))
    grad_inputs = backward(filled(program, grad_output), True)
    program.end_backward()
    run(program)
    shape = layer.output_shape
    return outputs.reshape(len(inputs), *shape), grad_inputs.reshape(inputs.shape), layer.gradient_vector.copy()


def filled(program, values):
    """A buffer of a program, with the values of some samples."""
    buffer = program.sample_buffer(math.prod(values.shape[1:]), values.dtype)
    buffer[:] = values.reshape(len(values), -1)
    return buffer


def run(program, n_rows=None):
    """Carry out one step of a program that has instructions only; the machine, which says how it went."""
    assert program.all_operations == program.instructions
    n_rows = program.batch_size if n_rows is None else n_rows
    for begin in program.on_call_start:
        begin()
    machine = Machine(program.instructions, program.dtype, 0, 1, program.batch_size)
    machine.run(0, machine.n_instructions, 0, 1, n_rows, n_rows)
    return machine


def run_python(script, *arguments, **options):
    """What a script prints in a process of its own; see `run_python_and_listen`."""
    return run_python_and_listen(script, *arguments, **options).stdout


def run_python_and_listen(script, *arguments, timeout=60, **environment):
    """Run a script in a process of its own, with some variables of the environment changed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
    )
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"
    return done
