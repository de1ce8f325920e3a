"""Kernels one by one: elementary functions to the last digits, passes of layers and losses at the edges."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from test_equivalence import ACTIVATIONS, LOSSES

from layernet import BatchNorm, Dense, Dropout, LayerNorm, LogSoftmax, RMSNorm, Softmax
from layernet.losses.loss import weighted_rows

pytest.importorskip("numba", reason="kernels need Numba, which is not installed")

from engine.comparing import filled, passes_by_kernels, run

from layernet.engine.compiled.intrinsics import GRADIENT_NOT_FINITE, LOSS_NOT_FINITE, inline, vectors
from layernet.engine.compiled.kernel import Kernel
from layernet.engine.compiled.kernels import elementary, losses, optimizers, products
from layernet.engine.compiled.lowering.losses import emit_loss
from layernet.engine.compiled.program import Program

DTYPES = [np.float32, np.float64]


def program_for(n_rows, dtype):
    return Program(dtype, n_rows, np.zeros(0, dtype))


# --- elementary functions ---


def of_each_entry(function):
    """The kernel that applies a function to all entries of its operand."""

    def formula(control, operands, sizes):
        (values,) = vectors(control, operands, sizes, 1)
        for place in range(len(values)):
            values[place] = function(values[place])

    return Kernel(formula, f"{function.__name__}_of_each_entry")


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def normal_tail(x):
    """The normal distribution function at -x; erfc alone would enlarge the rounding error of its argument."""
    return np.exp(-x * x / 2) * special.erfcx((x * np.sqrt(np.longdouble(0.5))).astype(float)) / 2


@inline
def bell(x):
    return elementary.bell_and_tail(x)[0]


@inline
def tail(x):
    return elementary.bell_and_tail(x)[1]


# What each is in NumPy, the range of its arguments, and how many units in the last place it may be wrong.
FUNCTIONS = {
    elementary.exponential: (np.exp, -800, 800, 2),
    elementary.exponential_minus_one: (np.expm1, -800, 80, 3),
    elementary.hyperbolic_tangent: (np.tanh, -800, 800, 4),
    elementary.logistic: (lambda x: 1 / (1 + np.exp(-x)), -800, 800, 4),
    elementary.softplus: (softplus, -800, 800, 4),
    elementary.logarithm_of_one_plus: (np.log1p, 0, 1, 4),
    bell: (lambda x: np.exp(-x * x / 2), 0, 800, 4),
    tail: (normal_tail, 0, 800, 12),
}
KERNELS = {function: of_each_entry(function) for function in FUNCTIONS}


def by_kernel(function, arguments):
    program = program_for(1, arguments.dtype)
    values = arguments.reshape(1, -1).copy()
    program.emit(KERNELS[function], values)
    run(program)
    return values[0]


def numbers_up_to(largest, dtype):
    """Numbers from 0 to a largest one: of all sizes down to the smallest that there are, and evenly spread."""
    smallest = np.log10(float(np.finfo(dtype).smallest_subnormal))
    return np.concatenate(
        [
            [0.0],
            np.logspace(smallest, np.log10(largest), 20_000),
            np.linspace(0, largest, 20_001),
            np.linspace(0, min(largest, 3), 20_001),
        ]
    ).astype(dtype)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is no longer than double here")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_elementary_functions_are_exact_to_a_few_units_in_the_last_place(function, dtype):
    in_numpy, lowest, highest, units = FUNCTIONS[function]
    x = numbers_up_to(highest, dtype)
    if lowest < 0:
        x = np.concatenate([-numbers_up_to(-lowest, dtype), x])
    limits = np.finfo(dtype)
    with np.errstate(over="ignore", under="ignore"):
        expected = in_numpy(x.astype(np.longdouble))
        rounded = expected.astype(dtype)
    found = by_kernel(function, x)
    # What is near the smallest number of full precision may be 0, or be made of numbers that are.
    is_compared = (np.abs(expected) >= 4 * limits.tiny) & np.isfinite(rounded)
    wrong = np.abs(found - expected)[is_compared] / np.spacing(np.abs(rounded[is_compared]))
    assert wrong.max() <= units
    assert_array_equal(np.isinf(found), np.isinf(rounded))  # no sooner and no later
    assert np.abs(found - expected)[np.abs(expected) < 4 * limits.tiny].max(initial=0) <= 4 * limits.tiny


def both_of_each_entry(control, operands, sizes):
    turns, sines, cosines = vectors(control, operands, sizes, 3)
    for index in range(len(turns)):
        sines[index], cosines[index] = elementary.sine_and_cosine_of_turns(turns[index])


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is no longer than double here")
@pytest.mark.parametrize("dtype", DTYPES)
def test_sines_and_cosines_are_exact_to_rounding(dtype):
    turns = np.concatenate([np.linspace(-2, 2, 40_001), numbers_up_to(0.5, dtype), [1e4 + 0.25]]).astype(dtype)
    program = program_for(1, dtype)
    arrays = [turns.reshape(1, -1), *(np.zeros((1, len(turns)), dtype) for _ in range(2))]
    program.emit(Kernel(both_of_each_entry, "both_of_each_entry"), *arrays)
    run(program)
    rest = turns.astype(np.longdouble) - np.round(turns.astype(np.longdouble))
    angles = 2 * np.longdouble("3.14159265358979323846264338327950288") * rest
    for found, expected in ((arrays[1][0], np.sin(angles)), (arrays[2][0], np.cos(angles))):
        assert np.abs(found - expected).max() <= 5 * np.finfo(dtype).eps  # the angle is doubled twice
    # Sines of small angles are exact relative to their size, too.
    small = (np.abs(turns) < 1e-3) & (np.abs(turns) > 1e3 * np.finfo(dtype).tiny)
    assert_allclose(arrays[1][0][small], np.sin(angles)[small].astype(dtype), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_elementary_functions_of_zero_nan_and_what_is_far_out(function, dtype):
    in_numpy, lowest, highest, _ = FUNCTIONS[function]
    below = [-np.inf, -1e30] if lowest == -800 else []
    above = [np.inf, 1e30] if highest == 800 else []
    x = np.array([0.0, -0.0, np.nan, *below, *above], dtype)
    with np.errstate(over="ignore", under="ignore"):
        assert_allclose(by_kernel(function, x), in_numpy(x), rtol=np.finfo(dtype).eps, atol=0)


def test_numbers_too_small_for_full_precision_are_zero_in_kernels_and_nowhere_else():
    smallest = np.finfo(np.float64).smallest_subnormal
    assert by_kernel(elementary.logarithm_of_one_plus, np.array([smallest]))[0] == 0
    assert np.array([smallest]) * 2 == 2 * smallest > 0


# --- both passes of layers ---


def passes_by_formulas(layer, inputs, grad_output):
    with layer.training_mode(), np.errstate(all="ignore"):
        outputs, record = layer.record(inputs)
        grad_inputs = layer.backward_from(record, grad_output)
    return outputs, grad_inputs, layer.gradient_vector.copy()


def assert_same_passes(layer, inputs, grad_output, rtol, atol=0.0):
    found = passes_by_kernels(layer, inputs, grad_output)
    for mine, expected in zip(found, passes_by_formulas(layer, inputs, grad_output), strict=True):
        assert mine.dtype == expected.dtype
        assert_allclose(mine, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_activations_of_numbers_of_all_sizes(layer, dtype):
    limits = np.finfo(dtype)
    sizes = np.concatenate([np.logspace(-30, 30, 601), np.linspace(0, 20, 401)]).astype(dtype)
    edges = np.array([0.0, 4 * limits.tiny, 3, limits.max, np.inf, np.nan], dtype)
    x = np.concatenate([-edges, edges, -sizes, sizes]).reshape(-1, 1)
    if layer.__class__ in (Softmax, LogSoftmax):
        x = np.hstack([x, x[::-1], np.ones_like(x)])
    layer = type(layer)(**layer.configuration()).build(x.shape[1], dtype=dtype)
    grad_output = np.linspace(1, 2, x.size).astype(dtype).reshape(x.shape)
    # A slope near 0 is what is left of larger numbers, in the formulas too: of 1 + tanh(u), times x up to 10,
    # for instance, each with roundings of its own.
    assert_same_passes(layer, x, grad_output, rtol=100 * limits.eps, atol=100 * limits.eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", [0.01, 0.5, 0.999])
@pytest.mark.parametrize("shape", [(7,), (2, 3)])
def test_dropout_draws_the_mask_of_the_layer(rate, shape, dtype):
    layer = Dropout(rate).build(shape, random_state=0, dtype=dtype)
    inputs = np.random.default_rng(0).standard_normal((200, *shape)).astype(dtype)
    for step in (0, 5, 2**32 - 1, 2**40):
        layer.step = step
        assert_same_passes(layer, inputs, inputs[::-1].copy(), rtol=0)


NORMALIZATIONS = [BatchNorm(), LayerNorm(), RMSNorm()]


@pytest.mark.parametrize("layer", NORMALIZATIONS, ids=repr)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-15, 1e-4, 1.0, 1e4, 1e12])
def test_normalizations_at_all_scales(layer, scale, dtype):
    random = np.random.default_rng(0)
    layer = type(layer)().build(6, dtype=dtype)
    layer.gamma = random.uniform(0.5, 2, 6)
    inputs = (scale * random.standard_normal((30, 6))).astype(dtype)
    grad_output = random.standard_normal((30, 6)).astype(dtype)
    eps = np.finfo(dtype).eps
    assert_same_passes(layer, inputs, grad_output, rtol=500 * eps, atol=100 * eps * max(1, 1 / (scale + 0.003)))


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()], ids=repr)
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e4])
def test_an_offset_does_not_drown_the_variance_of_single_precision(layer, offset):
    numbers = (offset + np.random.default_rng(0).standard_normal((30, 30))).astype(np.float32)
    layer = type(layer)().build(30, dtype=np.float32)
    outputs, _, _ = passes_by_kernels(layer, numbers, numbers)
    with layer.training_mode():
        exact = layer.astype(np.float64)
    with exact.training_mode():
        expected = exact.forward_pass(numbers.astype(np.float64))
    assert_allclose(outputs, expected, atol=1e-6 * (1 + offset / 10))


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()], ids=repr)
@pytest.mark.parametrize("constant", [1e6, 7.8e6, 2e8, 1.7e9, 3e12])
def test_what_is_constant_is_normalized_to_zero_however_large_it_is(layer, constant):
    """A serial number or a time in seconds, of which single precision keeps seven digits."""
    for size in range(2, 60):
        shape = (size, 3) if isinstance(layer, BatchNorm) else (3, size)
        inputs = np.full(shape, constant, np.float32)
        built = type(layer)().build(shape[1], dtype=np.float32)
        outputs, _, _ = passes_by_kernels(built, inputs, inputs)
        assert np.isfinite(outputs).all()
        assert np.abs(outputs).max() < 1e-3


# --- products ---


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_rows", [1, 31, 64, 1000])
def test_a_gradient_of_weights_is_the_same_in_parts(n_rows, dtype, monkeypatch):
    """Large products are summed up in parts of the batch, which may not divide it evenly."""
    random = np.random.default_rng(0)
    inputs, grad_output = (random.standard_normal((n_rows, width)).astype(dtype) for width in (70, 60))
    assert n_rows < 1000 or inputs.shape[1] * n_rows * 60 > products.UNPACKED_PRODUCT
    dense = Dense(60, use_bias=False).build(70, random_state=0, dtype=dtype)
    eps = np.finfo(dtype).eps
    assert_same_passes(dense, inputs, grad_output, rtol=0, atol=eps * 200 * np.sqrt(n_rows))


# --- losses ---

SAMPLES = 40


def targets_for(loss, targets):
    """The first of some targets as a loss takes them, and the number of outputs."""
    n_outputs = 3 if targets.ndim == 1 and targets.max() == 2 else int(np.prod(targets.shape[1:]))
    return loss.prepare(targets[:SAMPLES], (n_outputs,), np.dtype(np.float64)), n_outputs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 30.0, 1e4])
@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        pytest.param(loss, targets, id=f"{loss!r}, {name}")
        for loss, all_targets in LOSSES
        for name, targets in all_targets.items()
        if targets.ndim < 3
    ],
)
def test_losses_of_outputs_of_all_sizes(loss, targets, scale, dtype):
    targets, n_outputs = targets_for(loss, targets)
    targets = targets if targets.dtype.kind == "i" else targets.astype(dtype)
    random = np.random.default_rng(0)
    outputs = (scale * random.standard_normal((SAMPLES, n_outputs))).astype(dtype)
    factors = random.uniform(0, 2, SAMPLES).astype(dtype)
    factors[::3] = 0
    with np.errstate(over="ignore"):
        values, record = loss.record(outputs, targets)
        gradient = weighted_rows(loss.gradient_from(record, targets), factors)
        values = weighted_rows(values, factors)

    program = program_for(SAMPLES, dtype)
    places = filled(program, outputs), filled(program, targets)
    of_samples = filled(program, factors[:, None]), program.sample_buffer(1)
    found = emit_loss(loss, program, places[0], (n_outputs,), places[1], *of_samples)
    run(program)
    eps = np.finfo(dtype).eps
    assert_allclose(of_samples[1][:, 0], values, rtol=100 * eps, atol=20 * eps * (1 + scale))
    assert_allclose(found, gradient, rtol=100 * eps, atol=20 * eps)


# --- verdicts and measures ---


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("loss", "gradients", "expected"),
    [
        (1.0, [1.0, 2.0], 0),
        (1.0, [1.0, np.inf], GRADIENT_NOT_FINITE),
        (1.0, [np.nan, 1.0], GRADIENT_NOT_FINITE),
        (1.0, ["large", "large"], 0),
        (np.nan, [1.0, 2.0], LOSS_NOT_FINITE),
        (np.inf, [1.0, np.nan], LOSS_NOT_FINITE),
        ("large", ["large", "large"], 0),
    ],
)
def test_the_verdict_on_a_step(loss, gradients, expected, dtype):
    """Large are numbers whose squares overflow; they are finite all the same."""
    large = np.sqrt(np.finfo(dtype).max) * 100
    loss, *gradients = (large if number == "large" else number for number in (loss, *gradients))
    program = program_for(1, dtype)
    totals, statuses = program.worker_rows(1), program.worker_rows(1, np.int64)
    record = program.zeros(1, 3)
    program.emit(losses.sum_losses, np.full((1, 1), loss, dtype), totals, statuses)
    program.emit(losses.check_finite_gradients, np.array([gradients], dtype), statuses)
    program.emit(losses.finish_step, totals, record, statuses)
    machine = run(program)
    assert machine.status == expected
    assert_array_equal(record[0, 0], dtype(loss))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-25, 1.0, 1e15, 1e25, 1e38])
def test_gradients_are_clipped_by_norm_where_their_squares_overflow_too(size, dtype):
    gradients = (size * np.array([[1.0, -2.0, 0.5]])).astype(dtype)
    program = program_for(1, dtype)
    lengths, constants = program.worker_rows(1), program.constants(np.inf, 1e-30, 0.0)
    zeros, prepared = np.zeros_like(gradients), np.zeros_like(gradients)
    program.emit(optimizers.reset_norms, lengths)
    program.emit(optimizers.measure_norm, gradients, lengths, constants)
    program.emit(optimizers.clip_and_decay, gradients, zeros, zeros, prepared, lengths, constants)
    run(program)
    wide = gradients.astype(np.float64)
    expected = wide * (1e-30 / np.linalg.norm(wide))
    assert_allclose(prepared, expected, rtol=1e-5, atol=0)
