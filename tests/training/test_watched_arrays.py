"""Data that somebody overwrites while a network is trained on them are refused, whatever their type."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from layernet import Callback, Dense, MLPRegressor, Sequential
from layernet.training.watched_arrays import MAX_CHECKSUM_NUMBERS, WatchedArrays

random = np.random.default_rng(0)
X = random.integers(-3, 4, (32, 5))
Y = random.standard_normal((32, 2))
ENGINES = ["formulas", "auto"]
FORMS = {
    "float64": lambda array: array.astype(np.float64),
    "float32": lambda array: array.astype(np.float32),
    "int64": lambda array: array.astype(np.int64),
    "strided": lambda array: np.repeat(array, 2, axis=1)[:, ::2].astype(np.float64),
    "Fortran's": lambda array: np.asfortranarray(array.astype(np.float64)),
    "sparse": lambda array: csr_array(array.astype(np.float64)),
}


class Overwrite(Callback):
    """Writes to an array in the second epoch."""

    def __init__(self, array, hook):
        numbers = array.data if isinstance(array, csr_array) else array

        def write(run):
            if run.epoch == 2:
                numbers[...] = np.roll(numbers, 1, axis=0)  # the same numbers in another order

        setattr(self, hook, write)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_batch_end", "on_epoch_end"])
def test_inputs_that_are_overwritten(form, hook, engine):
    inputs = FORMS[form](X)
    with pytest.raises(ValueError, match=r"^X was overwritten.*run.data.inputs = array, or by a function"):
        Sequential([Dense(2)]).fit(
            inputs, Y, "mean_squared_error", epochs=4, callbacks=Overwrite(inputs, hook), engine=engine,
            batch_size=8,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("y", r"^y was overwritten.*run.data.targets = array"),
        ("sample_weight", r"^sample_weight was overwritten.*run.data.weights = array"),
        ("X of validation_data", r"^X of validation_data was overwritten.*as a whole: by a function"),
        ("y of validation_data", r"^y of validation_data was overwritten"),
    ],
)
def test_other_arrays_that_are_overwritten(name, message):
    arrays = {
        "X": X.copy(),
        "y": Y.copy(),
        "sample_weight": random.uniform(1, 2, 32),
        "X of validation_data": X[:9].copy(),
        "y of validation_data": Y[:9].copy(),
    }
    of_validation = arrays["X of validation_data"], arrays["y of validation_data"]
    with pytest.raises(ValueError, match=message):
        Dense(2).fit(
            arrays["X"], arrays["y"], "mean_squared_error", epochs=4, sample_weight=arrays["sample_weight"],
            validation_data=of_validation, callbacks=Overwrite(arrays[name], "on_epoch_end"),
        )  # fmt: skip


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("form", ["float64", "int64"])
def test_data_of_an_estimator_that_are_overwritten(form, solver):
    inputs = FORMS[form](X)
    callback = Overwrite(inputs, "on_epoch_end")
    regressor = MLPRegressor(hidden_layer_sizes=(3,), solver=solver, max_iter=5, callbacks=[callback])
    with pytest.raises(ValueError, match=r"^X was overwritten"):
        regressor.fit(inputs, Y)


@pytest.mark.parametrize("engine", ENGINES)
def test_data_that_are_replaced_may_be_overwritten_before(engine):
    buffer = X.astype(float)

    class Augment(Callback):
        def on_epoch_begin(self, run):
            buffer[...] = X + run.epoch
            run.data.inputs = buffer

    class Renew(Callback):
        def on_epoch_end(self, run):
            buffer[...] += 1
            run.data.inputs = buffer

    for callback in (Augment(), Renew()):
        history = Dense(2).fit(buffer, Y, "mean_squared_error", epochs=3, callbacks=callback, engine=engine)
        assert len(history["loss"]) == 3


def test_a_function_may_return_the_same_array_again():
    buffer = X.astype(float)

    def of_epoch(epoch, random):
        buffer[...] = X + epoch
        return buffer, Y

    class Look(Callback):
        def on_epoch_end(self, run):
            pass

    history = Dense(2).fit(of_epoch, loss="mean_squared_error", epochs=3, callbacks=Look())
    assert len(history["loss"]) == 3


def test_of_a_large_array_some_rows_are_looked_at():
    large = np.zeros((MAX_CHECKSUM_NUMBERS, 3))
    given = WatchedArrays(X=large, y=[1, 2], sample_weight=None)
    given.refuse_changes()
    given.refuse_changes()
    large[1] += 1  # of three numbers in each row, every third row is read
    given.refuse_changes()
    large[3] += 1
    with pytest.raises(ValueError, match="X was overwritten"):
        given.refuse_changes()
