"""Mistakes of definition and habits from other packages: each gets an error that names the cause, or works."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from layernet import (
    SGD,
    Callback,
    Concat,
    CrossEntropy,
    Dense,
    Dropout,
    EarlyStopping,
    HingeLoss,
    Layer,
    LearningRateScheduler,
    Loss,
    MeanSquaredError,
    MLPClassifier,
    Optimizer,
    ReduceOnPlateau,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    lecture_graph,
)
from layernet.initializers import Initializer
from layernet.registry import find_by_name
from layernet.schedules import Schedule
from layernet.training import DivergenceError

X = np.random.default_rng(0).standard_normal((12, 5))
Y = X[:, :3]
CLASSES = np.arange(12) % 3


def fit(y=Y, units=3, **options):
    return Sequential([Dense(units)]).fit(X, y, **{"loss": "mean_squared_error", "epochs": 2, **options})


# --- classes that lack a method, or hide one ---


def test_a_loss_needs_both_of_its_formulas():
    with pytest.raises(TypeError, match="NoGradient has no gradient: define gradient, or gradient_from"):

        class NoGradient(Loss):
            def losses(self, outputs, targets):
                return ((outputs - targets) ** 2).mean(axis=1)

    with pytest.raises(TypeError, match="NoFormula has no formula: define losses, or record"):

        class NoFormula(Loss):
            def gradient(self, outputs, targets):
                return outputs

    with pytest.raises(TypeError, match="defines record but not gradient_from, so nothing reads the record"):

        class NoReader(Loss):
            def record(self, outputs, targets):
                return outputs[:, 0], outputs

            def gradient(self, outputs, targets):
                return outputs

    with pytest.raises(TypeError, match=r"defines losses but inherits record from CrossEntropy"):

        class Ignored(CrossEntropy):
            def losses(self, outputs, targets):
                return outputs[:, 0]

    class Shared(Loss, abstract=True):
        def prepare(self, targets, output_shape, dtype):
            return super().prepare(targets, output_shape, dtype)

    class Full(Shared):
        def losses(self, outputs, targets):
            return ((outputs - targets) ** 2).mean(axis=1)

        def gradient(self, outputs, targets):
            return 2 * (outputs - targets) / outputs.shape[1]

    assert fit(loss=Full(), random_state=0)["loss"] == pytest.approx(fit(random_state=0)["loss"])


@pytest.mark.parametrize(
    ("kind", "method"), [(Optimizer, "move"), (Schedule, "__call__"), (Initializer, "__call__")]
)
def test_optimizers_schedules_and_initializers_need_their_formula(kind, method):
    with pytest.raises(TypeError, match=f"Nothing defines no {method}, the method that"):
        type("Nothing", (kind,), {})
    abstract = type("Shared", (kind,), {}, abstract=True)
    assert issubclass(type("Whole", (abstract,), {method: lambda self, *arguments: None}), kind)


@pytest.mark.parametrize(
    ("base", "name"),
    [(Layer, "state"), (Layer, "record"), (Layer, "fit"), (Layer, "parameters"), (Optimizer, "state"),
     (Optimizer, "step"), (MeanSquaredError, "losses"), (MeanSquaredError, "gradient"), (Schedule, "observe"),
     (Callback, "on_epoch_end")],
)  # fmt: skip
def test_attributes_cannot_hide_methods(base, name):
    body = {
        "forward_pass": lambda self, inputs: inputs.copy(),
        "backward_pass": lambda self, inputs, grad_output: grad_output.copy(),
        "move": lambda self, *arguments: None,
        "__call__": lambda self, time: 0.1,
        "observe": lambda self, value: None,
    }
    body = {n: f for n, f in body.items() if hasattr(base, n) or (base is Schedule and n == "observe")}

    def __init__(self):
        setattr(self, name, [])

    message = rf"Own\.{name} is a (method|property) that layernet calls, and \[\] would hide it.*{name}_"
    with pytest.raises(AttributeError, match=message):
        type("Own", (base,), {**body, "__init__": __init__})()
    if base is not Schedule:
        with pytest.raises(AttributeError, match=message):
            type("Own", (base,), {**body, name: []})


def test_methods_may_be_replaced_by_functions():
    layer = Dense(2).build(3)
    layer.forward_pass = lambda inputs: np.zeros((len(inputs), 2))
    assert layer.forward_pass(np.ones((1, 3))).tolist() == [[0, 0]]


# --- arguments of fit ---


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"units": 1},
            ValueError,
            r"targets of shape \(n_samples, 1\), like the network's outputs, got \(12, 3\)",
        ),
        ({"y": None}, ValueError, "y is None, and training needs a target for each sample"),
        ({"y": 3.0}, ValueError, "y must have one target for each of 12 samples, got 3.0 alone"),
        ({"validation_data": (X, None)}, ValueError, "y of validation_data is None"),
        (
            {"y": CLASSES[:, None], "loss": CrossEntropy()},
            ValueError,
            r"got \(12, 1\), a column. Use y.ravel\(\)",
        ),
        ({"y": CLASSES[:, None], "loss": HingeLoss()}, ValueError, r"got \(12, 1\), a column. Use y.ravel\(\)"),
        ({"callbacks": [lambda run: None]}, TypeError, r"got the function <lambda>\. Define a subclass"),
        ({"callbacks": print}, TypeError, r"got the function print\. Define a subclass"),
        ({"callbacks": EarlyStopping}, TypeError, r"got the class EarlyStopping\. Write EarlyStopping\(...\)"),
        ({"callbacks": [3]}, TypeError, r"got int\. Give objects of subclasses"),
        ({"callbacks": 3}, TypeError, r"got int\. Give objects of subclasses"),
        (
            {"callbacks": [ReduceOnPlateau(0.1)]},
            TypeError,
            r"Write LearningRateScheduler\(ReduceOnPlateau\(0.1\)\)",
        ),
        ({"validation_split": 0.2}, TypeError, r"fit has no argument 'validation_split'. .*validation_data="),
        ({"n_epochs": 2}, TypeError, "The argument is called `epochs`"),
        ({"lr": 2}, TypeError, r"optimizer=Adam\(learning_rate=0.01\)"),
        ({"batchsize": 2}, TypeError, "Did you mean `batch_size`"),
        ({"loss": "mse"}, ValueError, "Did you mean 'MeanSquaredError'"),
        ({"loss": "mae"}, ValueError, "Did you mean 'MeanAbsoluteError'"),
        ({"loss": "sparse_categorical_crossentropy"}, ValueError, "Did you mean 'CrossEntropy'"),
        ({"loss": "cross_entropi"}, ValueError, "Did you mean 'CrossEntropy'"),
        ({"loss": "wrong"}, ValueError, "loss='wrong' is not known. Known are"),
        ({"optimizer": "rmspro"}, ValueError, "Did you mean 'RMSProp'"),
        ({"y": [[1, 2], [3]] * 6}, ValueError, "y must be an array, with rows of one length"),
        ({"y": np.full(12, 7), "loss": "cross_entropy"}, ValueError, r"got 7\. Number the classes from 0"),
        ({"optimizer": 0.1}, TypeError, "optimizer must be an Optimizer or the name of one, got float"),
    ],
)
def test_errors_name_the_cause(options, kind, message):
    with pytest.raises(kind, match=message):
        fit(**options)


def test_inputs_that_are_none():
    with pytest.raises(TypeError, match="X must be numbers, got None"):
        Dense(1).fit(None, Y, loss="mean_squared_error")
    with pytest.raises(TypeError, match="inputs of Dense must be numbers, got None"):
        Dense(1).build(2).forward_pass(None)


def test_rows_of_several_lengths():
    with pytest.raises(ValueError, match=r"^X must be an array, with rows of one length"):
        Dense(1).fit([[1, 2], [3]], [1, 2], loss="mean_squared_error")
    with pytest.raises(ValueError, match=r"^inputs of Dense must be an array, with rows of one length"):
        Dense(1).build(2).forward_pass([[1, 2], [3]])
    with pytest.raises(ValueError, match=r"MultiLabelBinarizer\(\).fit_transform\(y\)"):
        MLPClassifier((2,)).fit(X, [["a"], ["a", "b"]] * 6)


def test_names_that_are_no_columns_and_no_numbers():
    history = fit()
    with pytest.raises(KeyError, match=r"'acc' is not a column. .*metrics='accuracy'"):
        history["acc"]
    with pytest.raises(KeyError, match=r"'losses' is not a column. Did you mean `loss`"):
        history["losses"]
    with pytest.raises(ValueError, match=r"lecture_graph: target must be one number, got \[1, 2\]"):
        lecture_graph(target=[1, 2])


def test_early_stopping_says_what_an_estimator_wants():
    with pytest.raises(ValueError, match=r"an estimator early_stopping=True or X_val and y_val"):
        MLPClassifier((2,), callbacks=[EarlyStopping()]).fit(X, CLASSES)


def test_other_parameters_need_another_fit():
    classifier = MLPClassifier((2,), max_iter=1)
    with pytest.warns(ConvergenceWarning):
        classifier.fit(X, CLASSES)
    classifier.set_params(hidden_layer_sizes=(3,))
    with pytest.raises(ValueError, match="Call fit with warm_start=False, its default, to train a new network"):
        classifier.partial_fit(X, CLASSES)


def test_numbers_of_numpy_are_shown_as_pythons_own():
    shown = repr([Dense(np.int64(3), np.bool_(False)), Dropout(np.float32(0.5)), Reshape((np.int64(2), -1))])
    assert shown == "[Dense(3, use_bias=False), Dropout(0.5), Reshape((2, -1))]"


@pytest.mark.parametrize("value", [0.1, None, "cosine", ReLU])
def test_a_learning_rate_schedule_needs_a_function(value):
    with pytest.raises(TypeError, match="must be a Schedule or a function of the number of epochs or steps"):
        LearningRateScheduler(value)


def test_a_single_callback_does_without_a_list():
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, run):
            seen.append(run.epoch)

    fit(callbacks=Watch())
    assert seen == [1, 2]
    with pytest.warns(ConvergenceWarning):
        MLPClassifier((2,), max_iter=3, callbacks=Watch()).fit(X, CLASSES)
    assert seen == [1, 2, 1, 2, 3]
    with pytest.raises(TypeError, match=r"got the function <lambda>"):
        MLPClassifier((2,), callbacks=[lambda run: None]).fit(X, CLASSES)


@pytest.mark.parametrize("engine", ["formulas", "auto"])
def test_a_gradient_of_another_shape_than_the_outputs_is_refused(engine):
    class OneNumber(Loss):
        def losses(self, outputs, targets):
            return ((outputs - targets) ** 2).mean(axis=1)

        def gradient(self, outputs, targets):
            return (2 * (outputs - targets)).mean(axis=1)

    message = r"The gradient of OneNumber\(\) must have the shape of the outputs, \(12, 3\), got \(12,\)"
    with pytest.raises(ValueError, match=message):
        fit(loss=OneNumber(), engine=engine)
    with pytest.raises(ValueError, match=message):
        OneNumber().bind(Y).backward_pass(np.zeros((12, 3)))


@pytest.mark.parametrize("engine", ["formulas", "auto"])
def test_an_optimizer_that_returns_what_it_should_move_is_refused(engine):
    class Returns(Optimizer):
        def __init__(self):
            super().__init__(0.1)

        def move(self, parameters, gradients, learning_rate):
            return parameters - learning_rate * gradients

    net = Sequential([Dense(3)]).build(5, 0)
    before = net.parameter_vector.copy()
    with pytest.raises(
        TypeError, match=r"Returns\.move must change parameters in place, and it returned another ndarray"
    ):
        net.fit(X, Y, loss="mean_squared_error", optimizer=Returns(), engine=engine)
    assert np.array_equal(net.parameter_vector, before)


@pytest.mark.parametrize("use_bias", [4, "no", None])
def test_a_number_of_units_is_no_use_bias(use_bias):
    remedy = r"number of inputs is inferred: Dense\(6\)" if use_bias == 4 else ""
    with pytest.raises(TypeError, match=f"use_bias must be True or False.*{remedy}"):
        Dense(6, use_bias)


@pytest.mark.parametrize("name", ["stop", "learning_rate", "batch_size", "stop_training"])
def test_what_a_run_has_not_cannot_be_set(name):
    class Sets(Callback):
        def on_epoch_end(self, run):
            setattr(run, name, True)

    with pytest.raises(AttributeError, match=name):
        fit(callbacks=Sets())


@pytest.mark.parametrize("factor", [1, 1e6])
def test_a_divergence_names_large_targets_beside_the_inputs(factor):
    with pytest.raises(DivergenceError) as caught:
        fit(factor * Y, optimizer=SGD(1e300))
    message = f"inputs scaled to about 1 (the largest is {np.abs(X).max():g})"
    if factor > 1:
        message += f", and targets (the largest is {np.abs(factor * Y).max():g})"
    assert f"{message}." in str(caught.value)


# --- habits from other packages ---


def test_layers_may_be_given_one_by_one():
    for container in (Sequential, Concat):
        by_list = container([Dense(4), ReLU()])
        step_by_step = container(Dense(4), ReLU())
        assert repr(step_by_step) == repr(by_list) == repr(container(layers=[Dense(4), ReLU()]))
        assert repr(container(Dense(4))) == f"{container.__name__}([Dense(4)])"
        assert repr(container(iter([Dense(4)]))) == f"{container.__name__}([Dense(4)])"
    assert len(Sequential()) == 0
    net = Sequential(Dense(4), Residual(Sequential(Dense(4), ReLU())), Dense(3))
    assert len(net.fit(X, Y, loss="mean_squared_error", epochs=2, random_state=0)["loss"]) == 2
    assert repr(pickle.loads(pickle.dumps(net))) == repr(copy.deepcopy(net)) == repr(net)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("forward", "forward_pass"),
        ("backward", "backward_pass"),
        ("save", "pickle"),
        ("load", "pickle"),
        ("state_dict", "net.parameters"),
        ("compile", "arguments of net.fit"),
        ("evaluate", "layernet.evaluate"),
        ("train", "training_mode"),
        ("zero_grad", "overwrites"),
        ("predict_proba", "NetworkClassifier"),
    ],
)
@pytest.mark.parametrize("layer", [Sequential([Dense(2)]), Dense(2).build(3), ReLU()])
def test_names_of_other_packages_are_explained(layer, name, hint):
    with pytest.raises(AttributeError, match=f"{type(layer).__name__} has no '{name}'.*{hint}"):
        getattr(layer, name)
    assert not hasattr(layer, name)


def test_an_item_that_is_assigned_changes_the_network():
    net = Sequential([Dense(2), ReLU(), Dense(1)]).build(3, 0, np.float32)
    net.parameters["0.weights"] = np.ones((3, 2))
    net.parameters["2.bias"] += 5
    net.parameters.update({"2.weights": [[1], [2]]})
    parameters = net.parameters
    parameters |= {"0.bias": [0, 0]}
    assert net.forward_pass(np.ones((1, 3))).tolist() == [[3 + 6 + 5]]
    assert net[0].weights.dtype == np.float32
    before = net.parameter_vector.copy()
    for change, kind, message in (
        (lambda: net.parameters.__setitem__("0.weight", 1), KeyError, r"'0.weight' is not the name.*0.weights"),
        (lambda: net.parameters.__setitem__("0.weights", np.ones(3)), ValueError, r"shape \(3, 2\), got"),
        (lambda: net.parameters.update({"0.weights": np.ones((3, 2)), "2.bias": "x"}), TypeError, "numbers"),
        (lambda: net.parameters.pop("0.bias"), TypeError, "cannot be removed"),
        (lambda: net.parameters.clear(), TypeError, "cannot be removed"),
    ):
        with pytest.raises(kind, match=message):
            change()
    assert np.array_equal(net.parameter_vector, before)
    assert type(pickle.loads(pickle.dumps(net.parameters))) is dict
    assert copy.deepcopy(net.parameters)["2.bias"] is not net.parameters["2.bias"]


def test_a_name_stands_for_the_newest_definition():
    def define(value):
        class Focal(Loss):
            def losses(self, outputs, targets):
                return np.full(len(outputs), value)

            def gradient(self, outputs, targets):
                return np.zeros_like(outputs)

        return Focal

    kept = [define(1.0), define(2.0)]
    assert type(find_by_name(Loss, "focal", "loss")) is kept[1]
    assert fit(loss="focal")["loss"] == [2.0, 2.0]
    kept.append(define(3.0))
    assert fit(loss="Focal")["loss"] == [3.0, 3.0]
