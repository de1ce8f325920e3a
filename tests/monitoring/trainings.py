"""Data sets and trainings that the doctor is tried on."""

import contextlib

import numpy as np
from sklearn.datasets import load_diabetes, load_digits, make_moons

from layernet import BatchNorm, Dense, DivergenceError, Monitor, Sequential


def standardized(X):
    deviation = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


def digits():
    X, y = load_digits(return_X_y=True)
    return X[:900] / 16, y[:900]


def table(load):
    X, y = load(return_X_y=True)
    return standardized(X), y


def diabetes():
    X, y = table(load_diabetes)
    return X, (y - y.mean()) / y.std()


def moons():
    return make_moons(300, noise=0.15, random_state=0)


def spiral():
    random = np.random.default_rng(0)
    turn = np.tile(np.linspace(0.05, 1, 100), 3)
    y = np.repeat(np.arange(3), 100)
    angle = 5 * turn + 2 * np.pi * y / 3 + random.normal(0, 0.08, 300)
    return 2 * turn[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]), y


def noise():
    """Classes of which the inputs tell little: the best loss is nine tenths of that of the class shares."""
    random = np.random.default_rng(0)
    X = random.normal(size=(800, 5))
    return X, (random.uniform(size=800) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)


def mlp(widths, activation, outputs, last="glorot_uniform", normalize=False, **options):
    layers = []
    for width in widths:
        layers += [Dense(width, **options), *([BatchNorm()] if normalize else []), activation()]
    return Sequential([*layers, Dense(outputs, weights_initializer=last)])


def train(data, net, optimizer, loss="cross_entropy", *, monitor=None, epochs=10, batch_size=32, **options):
    X, y = data
    monitor = Monitor(X, y) if monitor is None else monitor
    callbacks = [monitor, *options.pop("callbacks", [])]
    options |= {"epochs": epochs, "batch_size": batch_size, "callbacks": callbacks, "random_state": 0}
    with contextlib.suppress(DivergenceError):
        net.fit(X, y, loss=loss, optimizer=optimizer, **options)
    return monitor


def with_variance(variance):
    """An initialiser whose weights have a variance times 1 / fan_in."""
    return lambda shape, random: random.normal(0, np.sqrt(variance / shape[0]), shape)


def train_a_part(data, n_train, *arguments, **options):
    """Train on the first rows, and validate on the others."""
    (X, y), n = data, n_train
    return train((X[:n], y[:n]), *arguments, validation_data=(X[n:], y[n:]), **options)


def squares():
    """Two classes that alternate like the fields of a board of four."""
    X = np.random.default_rng(0).uniform(-1, 1, (400, 2))
    return X, (X[:, 0] * X[:, 1] > 0).astype(int)


def shuffled(data):
    X, y = data
    return X, np.random.default_rng(1).permutation(y)
