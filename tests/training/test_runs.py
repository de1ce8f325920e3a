"""What a callback may do to a training, and which of its methods are called."""

import numpy as np
import pytest

from layernet import (
    SGD,
    Adam,
    Callback,
    Dense,
    EarlyStopping,
    LeakyReLU,
    MLPRegressor,
    Optimizer,
    ReLU,
    Sequential,
)

X = np.random.default_rng(0).standard_normal((12, 5))
Y = X[:, :3]
ENGINES = ["formulas", "auto"]


def fit(**options):
    return Sequential([Dense(3)]).fit(X, Y, **{"loss": "mean_squared_error", "epochs": 3, **options})


# --- what is assigned ---


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("learning_rate", 0.0, "run.optimizer.learning_rate"),
        ("lr", 0.0, "run.optimizer.learning_rate"),
        ("batch_size", 3, r"net.fit\(..., batch_size=...\)"),
        ("epochs", 1, r"run.stop\(message\)"),
        ("stop", True, r"run.stop\(message\)"),
        ("stop_training", True, r"run.stop\(message\)"),
        ("stop_reason", "enough", r"run.stop\(message\)"),
        ("epoch", 3, r"run.stop\(message\)"),
        ("optimizer", SGD(0.1), "run.optimizer.learning_rate"),
        ("loss", "huber", "run.stop"),
        ("data", (X, Y), "run.data.inputs"),
        ("order", np.arange(12), r"shuffle=function"),
        ("anything", 1, "A callback keeps its own data"),
    ],
)
def test_nothing_is_assigned_to_a_run(name, value, remedy, engine):
    class Sets(Callback):
        def on_epoch_begin(self, run):
            setattr(run, name, value)

    with pytest.raises(AttributeError, match=rf"run\.{name} cannot be assigned\. .*{remedy}"):
        fit(callbacks=Sets(), engine=engine)


@pytest.mark.parametrize(("name", "hint"), [("model", "run.network"), ("logs", "history"), ("x", "network")])
def test_what_a_run_has_not(name, hint):
    class Reads(Callback):
        def on_epoch_end(self, run):
            getattr(run, name)

    with pytest.raises(AttributeError, match=f"A run has no '{name}'. .*{hint}"):
        fit(callbacks=Reads())


@pytest.mark.parametrize(
    ("make", "name", "hint"),
    [
        (lambda: Adam(), "lr", "`learning_rate`"),
        (lambda: Adam(), "eps", "`epsilon`"),
        (lambda: SGD(), "clipnorm", "`clip_norm`"),
        (lambda: Dense(3), "trainable", r"net\[k:\].fit\(net\[:k\].forward_pass"),
        (lambda: Dense(3).build(2), "weight", "`weights`"),
        (lambda: Sequential([Dense(3)]), "learning_rate", r"optimizer=Adam"),
        (lambda: ReLU(), "optimizer", "arguments of net.fit"),
    ],
)
def test_names_of_other_packages_cannot_be_set(make, name, hint):
    thing = make()
    for value in (0.5, np.tanh):
        with pytest.raises(AttributeError, match=f"{type(thing).__name__} has no '{name}'. .*{hint}"):
            setattr(thing, name, value)
    with pytest.raises(AttributeError, match=hint):
        getattr(thing, name)
    assert name not in vars(thing)


def test_classes_of_ones_own_may_have_attributes_of_such_names():
    class Frozen(Dense):
        trainable = True

        def __init__(self, units, weight=1.0):
            super().__init__(units)
            self.weight = weight

    class Rate(Optimizer):
        def __init__(self, lr):
            super().__init__(lr)
            self.lr = lr

        def move(self, parameters, gradients, learning_rate):
            parameters -= self.lr * gradients

    layer, optimizer = Frozen(3, weight=2.0), Rate(0.1)
    layer.trainable, optimizer.lr = False, 0.2
    assert (layer.trainable, layer.weight, optimizer.lr) == (False, 2.0, 0.2)
    assert len(layer.fit(X, Y, "mean_squared_error", optimizer, epochs=2)["loss"]) == 2


def test_the_layers_behind_a_cut_are_trained_alone():
    """As the hint for `trainable` says."""
    net = Sequential([Dense(4), ReLU(), Dense(3)]).build(5, 0)
    first, last = net[0].weights.copy(), net[2].weights.copy()
    net[2:].fit(net[:2].forward_pass(X), Y, loss="mean_squared_error", epochs=2)
    assert np.array_equal(net[0].weights, first)
    assert not np.array_equal(net[2].weights, last)


# --- hooks ---


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("on_epoch_ends", "Did you mean `on_epoch_end`"),
        ("on_batch_begin", "Nothing is called before a batch"),
        ("on_train_start", r"on_train_begin\(self, run\)"),
        ("on_epoch_finish", r"on_epoch_end\(self, run\)"),
        ("on_train_batch_end", r"on_batch_end\(self, run\)"),
        ("on_something", "There are on_train_begin, on_epoch_begin"),
    ],
)
def test_a_hook_that_nobody_calls_is_refused(name, remedy):
    with pytest.raises(TypeError, match=rf"Own\.{name} would never be called\. .*{remedy}"):
        type("Own", (Callback,), {name: lambda self, run: None})
    with pytest.raises(TypeError, match=rf"other_hooks = \('{name}',\)"):
        type("Own", (EarlyStopping,), {name: lambda self, run: None})


@pytest.mark.parametrize("name", ["on_epoch_ends", "on_epochend", "on_batch_begin", "on_train_batch_end"])
def test_a_function_under_a_misspelled_name_is_refused(name):
    callback = Callback()
    setattr(callback, name, lambda run: None)
    for callbacks in (callback, [EarlyStopping("loss"), callback]):
        with pytest.raises(TypeError, match=rf"Callback\.{name} is a function that would never be called"):
            fit(callbacks=callbacks)


def test_functions_of_other_names_are_the_callbacks_own():
    class Tells(Callback):
        def __init__(self, on_good):
            self.on_good = on_good

        def on_epoch_end(self, run):
            self.on_good(run.epoch)

    told = []
    fit(callbacks=Tells(told.append))
    assert told == [1, 2, 3]


def test_a_bridge_declares_what_others_call():
    class Bridge(Callback):
        other_hooks = ("on_fit_task_begin",)
        on_screen = True

        def on_fit_task_begin(self, estimator):
            pass

        def when_done(self):
            pass

    fit(callbacks=Bridge())


@pytest.mark.parametrize(
    "hook",
    [
        lambda self, epoch, logs=None: None,
        lambda self, epoch: None,
        lambda self, run, logs=None: None,
        lambda self: None,
        lambda self, run, other: None,
        lambda self, trainer, pl_module: None,
    ],
)
def test_a_hook_takes_the_run_alone(hook):
    with pytest.raises(
        TypeError, match=r"is called with the run alone, got on_epoch_end\(.*on_epoch_end\(self, run\)"
    ):
        type("Own", (Callback,), {"on_epoch_end": hook})


@pytest.mark.parametrize(
    "hook",
    [lambda self, run: None, lambda self, *arguments: None, lambda this, state, shown=True: None, print],
)
def test_a_hook_may_have_other_names_and_defaults(hook):
    fit(callbacks=type("Own", (Callback,), {"on_train_begin": hook})())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end"])
def test_what_a_hook_returns_ends_nothing(hook, engine):
    stops = type("Stops", (Callback,), {hook: lambda self, run: True})
    with pytest.raises(TypeError, match=rf"Stops\.{hook} returned True, which has no effect\. Call run\.stop"):
        fit(callbacks=stops(), engine=engine)
    others = type("Others", (Callback,), {hook: lambda self, run: run.history})
    assert len(fit(callbacks=others(), engine=engine)["loss"]) == 3


def test_what_a_hook_returns_ends_no_lbfgs():
    stops = type("Stops", (Callback,), {"on_epoch_end": lambda self, run: True})
    with pytest.raises(TypeError, match="returned True"):
        MLPRegressor(hidden_layer_sizes=(2,), solver="lbfgs", callbacks=stops()).fit(X, Y)


# --- constructors ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam(lr=0.1), "Adam has no argument 'lr'. The setting is called `learning_rate`"),
        (lambda: Adam(betas=(0.9, 0.99)), "`beta_1` and `beta_2`"),
        (lambda: Adam(epsilom=1e-3), "Did you mean `epsilon`"),
        (lambda: Dense(3, activation="relu"), r"Dense has no argument 'activation'.*Dense\(3\), ReLU\(\)"),
        (lambda: Dense(3, bias=False), "`use_bias`"),
        (lambda: LeakyReLU(alpha=0.1), "`negative_slope`"),
        (lambda: ReLU(0.1), "ReLU takes no arguments, got 0.1"),
        (lambda: ReLU(inplace=True), "ReLU takes no arguments, got inplace=True"),
        (lambda: EarlyStopping(restore_best_weights=True), "`restore_best`"),
    ],
)
def test_an_argument_that_there_is_not(make, message):
    with pytest.raises(TypeError, match=message):
        make()
