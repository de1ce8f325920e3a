"""The checks of the exercises: what an answer has right, and where it differs from what was asked."""

from __future__ import annotations

import numpy as np

from layernet import Layer, check_gradients, check_layer


def check(answer: type[Layer]) -> None:
    """Print how an answer stands; the name of the class says which exercise it answers.

    Tests are tried in order, and the first that fails ends the check: those after it build on it.
    """
    if answer.__name__ not in EXERCISES:
        print(f"There is no exercise named {answer.__name__}. There are: {', '.join(EXERCISES)}.")
        return
    number, tests = EXERCISES[answer.__name__]
    lines, solved = [], True
    for test in tests:
        if not solved:
            lines.append(f"  waits  {test.__doc__}")
            continue
        try:
            # Far out, exp may overflow; what counts is the number that comes of it.
            with np.errstate(all="ignore"):
                test(answer)
            lines.append(f"  right  {test.__doc__}")
        except Exception as error:
            solved = False
            raised = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            lines.append(f"  TO DO  {test.__doc__}")
            lines += [f"         {line}" for line in f"{raised}{error}".splitlines()]
    print(f"Exercise {number}, {answer.__name__}: {'solved' if solved else 'not yet'}.", *lines, sep="\n")


# --- Tanh ---


def tanh_is_tanh(answer):
    """forward_pass gives tanh(x) for x = -2, -0.5, 0, 1."""
    x = np.array([[-2.0, -0.5, 0.0, 1.0]])
    require_equal(np.tanh(x), answer().forward_pass(x), "forward_pass")


def tanh_far_out(answer):
    """forward_pass gives -1 and 1 far out, for x = -1000 and 1000."""
    require_equal(np.array([[-1.0, 1.0]]), answer().forward_pass([[-1000.0, 1000.0]]), "forward_pass")


def tanh_slope(answer):
    """backward_pass gives grad_output times tanh'(x): with grad_output = 3, it is 3 at x = 0."""
    require_equal(np.array([[3.0]]), answer().backward_pass([[0.0]], [[3.0]]), "backward_pass")


# --- PReLU ---


def prelu_has_slopes(answer):
    """There is a parameter named slope, one number for each of 3 features, all 0.25 in the beginning."""
    parameters = answer().build(3).parameters
    assert "slope" in parameters, f"Its parameters are: {', '.join(parameters) or 'none'}."
    require_equal(np.full(3, 0.25), parameters["slope"], "slope")


def prelu_is_two_lines(answer):
    """forward_pass gives x above zero, and slope * x below."""
    layer = answer().build(3)
    layer.slope = [0.25, 0.5, -1.0]
    inputs = np.array([[4.0, 4.0, 4.0], [-4.0, -4.0, -4.0]])
    require_equal(np.array([[4.0, 4.0, 4.0], [-1.0, -2.0, 4.0]]), layer.forward_pass(inputs), "forward_pass")


def prelu_learns(answer):
    """backward_pass writes grad_slope, the sum over the samples of grad_output * x where x is below zero."""
    layer = answer().build(2)
    require_array(layer.backward_pass([[-1.0, 2.0], [-3.0, -4.0]], [[1.0, 1.0], [10.0, 1.0]]), "backward_pass")
    require_equal(np.array([-31.0, -4.0]), layer.grad_slope, "grad_slope")


# --- Affine ---


def affine_is_dense(answer):
    """forward_pass gives inputs @ weights + bias."""
    layer = answer(2).build(3, random_state=0)
    layer.bias = [1.0, 2.0]
    inputs = np.array([[1.0, 2.0, 3.0]])
    require_equal(inputs @ layer.weights + [1.0, 2.0], layer.forward_pass(inputs), "forward_pass")


def affine_on_one_sample(answer):
    """All gradients agree with central differences on a batch of 1 sample."""
    require_gradients(answer(2), n_samples=1)


def affine_on_six_samples(answer):
    """All gradients agree with central differences on a batch of 6 samples."""
    require_gradients(answer(2), n_samples=6)


# --- every layer ---


def gradients_agree(answer):
    """All gradients agree with central differences on 6 samples of 4 features."""
    require_gradients(answer(), n_samples=6)


def laws_are_kept(answer):
    """check_layer finds that it keeps all laws of a layer."""
    layer = answer(3) if answer.__name__ == "Affine" else answer()
    try:
        check_layer(layer, input_shape=4)
    except AssertionError as report:
        broken, _, _ = str(report).partition("\n  kept ")
        raise AssertionError(broken) from None


EXERCISES = {
    "Tanh": (1, [tanh_is_tanh, tanh_far_out, tanh_slope, gradients_agree, laws_are_kept]),
    "PReLU": (2, [prelu_has_slopes, prelu_is_two_lines, prelu_learns, gradients_agree, laws_are_kept]),
    "Affine": (3, [affine_is_dense, affine_on_one_sample, affine_on_six_samples, laws_are_kept]),
}


# --- what the tests ask for ---


def require_array(found, name):
    assert found is not None, f"{name} returns nothing: it still has to be written."
    assert isinstance(found, np.ndarray), f"{name} returns no array, but {found!r}."


def require_equal(expected, found, name):
    require_array(found, name)
    assert found.shape == expected.shape, f"{name} has the shape {found.shape}, expected {expected.shape}."
    difference = np.abs(found - expected)
    # Written so that a NaN is the worst difference of all.
    worst = np.unravel_index(np.argmax(np.where(np.isnan(difference), np.inf, difference)), difference.shape)
    place = [int(i) for i in worst]
    assert difference[worst] <= 1e-12, (
        f"{name} is {found[worst]:.6g} at entry {place}, expected {expected[worst]:.6g}.\n"
        f"Yours:    {np.array2string(found, precision=4, separator=', ', prefix='Yours:    ')}\n"
        f"Expected: {np.array2string(expected, precision=4, separator=', ', prefix='Expected: ')}"
    )


def require_gradients(layer, n_samples):
    random = np.random.default_rng(0)
    inputs = random.standard_normal((n_samples, 4))
    grad_output = random.standard_normal(np.shape(layer.forward_pass(inputs)))
    grad_inputs = layer.backward_pass(inputs, grad_output)
    require_array(grad_inputs, "backward_pass")
    assert grad_inputs.shape == inputs.shape, (
        f"backward_pass returns an array of shape {grad_inputs.shape}, expected that of the inputs, {inputs.shape}."
    )
    verdict = check_gradients(layer, inputs, grad_output)
    assert verdict, str(verdict)
