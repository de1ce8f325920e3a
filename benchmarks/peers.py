"""Peers: other ways to train the same network, each written as its experts would.

A peer is a function of a `Work`. It prepares what is not timed, and returns `start`: a function that puts
everything back to where a training starts, and returns the training, a function without arguments, which
alone is timed. Called again, it goes on from where it ended (but scikit-learn's, which starts anew).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

DROPOUT_RATE = 0.2
LEARNING_RATES = {"adam": 0.001, "momentum": 0.01}
MOMENTUM = 0.9


@dataclass(frozen=True)
class Work:
    """A multi-layer perceptron, and its training by cross-entropy from logits on batches of shuffled rows."""

    sizes: tuple[int, ...]  # of the inputs, of each hidden layer, of the outputs
    batch_size: int
    steps_per_epoch: int = 10
    epochs: int = 1
    activation: str = "relu"  # or "tanh"
    optimizer: str = "adam"  # or "momentum", which is SGD with it
    dtype: str = "float32"  # or "float64"
    regularised: bool = False  # whether each hidden layer is Dense, BatchNorm, activation, Dropout

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    @property
    def multiplications(self) -> int:
        """Multiplications of a step: forward pass, gradients of weights, gradients of inputs but the first."""
        products = [a * b for a, b in pairwise(self.sizes)]
        return self.batch_size * (3 * sum(products) - products[0])

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Random inputs and classes, in whole batches."""
        n_rows = self.steps_per_epoch * self.batch_size
        X = np.random.default_rng(0).standard_normal((n_rows, self.sizes[0])).astype(self.dtype)
        return X, np.arange(n_rows) % self.sizes[-1]


class NotOffered(Exception):
    """Raised if a peer cannot do this work."""


def layernet_fit(work: Work, engine: str) -> Callable:
    from layernet import SGD, Adam, BatchNorm, Dense, Dropout, ReLU, Sequential, Tanh

    X, y = work.data()
    activation = {"relu": ReLU, "tanh": Tanh}[work.activation]
    rate = LEARNING_RATES[work.optimizer]

    def start():
        layers = []
        for units in work.sizes[1:-1]:
            layers += [Dense(units), BatchNorm(), activation(), Dropout(DROPOUT_RATE)]
        if not work.regularised:
            layers = [layer for layer in layers if not isinstance(layer, (BatchNorm, Dropout))]
        net = Sequential([*layers, Dense(work.sizes[-1])])
        net.build(work.sizes[0], random_state=0, dtype=np.dtype(work.dtype))
        optimizer = Adam(rate) if work.optimizer == "adam" else SGD(rate, momentum=MOMENTUM)

        def train():
            history = net.fit(
                X,
                y,
                loss="cross_entropy",
                optimizer=optimizer,
                epochs=work.epochs,
                batch_size=work.batch_size,
                random_state=0,
                engine=engine,
            )
            assert len(history["loss"]) == work.epochs
            assert net.dtype == work.dtype

        return train

    return start


def scikit_learn_fit(work: Work) -> Callable:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    if work.regularised:
        raise NotOffered("it has neither batch normalisation nor dropout")
    X, y = work.data()

    def start():
        model = MLPClassifier(
            work.sizes[1:-1],
            activation=work.activation,
            solver="adam" if work.optimizer == "adam" else "sgd",
            learning_rate_init=LEARNING_RATES[work.optimizer],
            momentum=MOMENTUM,
            nesterovs_momentum=False,
            alpha=0.0,
            batch_size=work.batch_size,
            max_iter=work.epochs,
            tol=0.0,
            n_iter_no_change=work.epochs + 1,
            random_state=0,
        )

        def train():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(X, y)
            assert model.n_iter_ == work.epochs
            assert model.coefs_[0].dtype == work.dtype

        return train

    return start


def torch_loop(work: Work, compiled: bool) -> Callable:
    import torch
    from torch import nn

    torch.manual_seed(0)
    X, y = (torch.from_numpy(array) for array in work.data())
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[work.activation]
    rate = LEARNING_RATES[work.optimizer]
    layers = []
    for inputs, units in pairwise(work.sizes[:-1]):
        hidden = [nn.Linear(inputs, units), nn.BatchNorm1d(units), activation(), nn.Dropout(DROPOUT_RATE)]
        layers += hidden if work.regularised else [hidden[0], hidden[2]]
    net = nn.Sequential(*layers, nn.Linear(*work.sizes[-2:])).to(X.dtype)
    initial = {name: values.clone() for name, values in net.state_dict().items()}
    cross_entropy = nn.CrossEntropyLoss()

    def objective(inputs, targets):
        return cross_entropy(net(inputs), targets)

    if compiled:
        torch.compiler.reset()  # or networks of earlier cases count as compilations of this one
        objective = torch.compile(objective)

    def start():
        net.load_state_dict(initial)
        net.train()
        if work.optimizer == "adam":
            optimizer = torch.optim.Adam(net.parameters(), rate, fused=True)
        else:
            optimizer = torch.optim.SGD(net.parameters(), rate, momentum=MOMENTUM, fused=True)

        def train():
            for _ in range(work.epochs):
                for rows in torch.randperm(len(X)).split(work.batch_size):
                    optimizer.zero_grad(set_to_none=True)
                    loss = objective(X[rows], y[rows])
                    loss.backward()
                    optimizer.step()
            assert np.isfinite(loss.item())

        return train

    return start


def jax_scan(work: Work) -> Callable:
    """JAX, with an epoch as one compiled function: the order of the rows, and a scan over the batches."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", work.dtype == "float64")
    X, y = (jnp.asarray(array) for array in work.data())
    activation = {"relu": jax.nn.relu, "tanh": jnp.tanh}[work.activation]
    rate = LEARNING_RATES[work.optimizer]

    def initial():
        random = np.random.default_rng(0)
        parameters, running = [], []
        for inputs, units in pairwise(work.sizes):
            weights = random.uniform(-1, 1, (inputs, units)) * np.sqrt(6 / (inputs + units))
            parameters.append({"weights": weights, "bias": np.zeros(units)})
        if work.regularised:
            for layer, units in zip(parameters, work.sizes[1:-1], strict=False):
                layer |= {"gamma": np.ones(units), "beta": np.zeros(units)}
                running.append({"mean": np.zeros(units), "variance": np.ones(units)})
        slots = {"adam": 2, "momentum": 1}[work.optimizer]
        memory = [jax.tree.map(np.zeros_like, parameters) for _ in range(slots)]
        carry = jax.tree.map(lambda array: jnp.asarray(array, work.dtype), (parameters, running, memory))
        return *carry, jnp.asarray(0, "int32"), jax.random.key(0, impl="rbg")

    def normalise(inputs, layer, running):
        batch = {"mean": inputs.mean(axis=0), "variance": inputs.var(axis=0)}
        running = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, running, batch)
        normalised = (inputs - batch["mean"]) * jax.lax.rsqrt(batch["variance"] + 1e-5)
        return layer["gamma"] * normalised + layer["beta"], running

    def objective(parameters, running, inputs, targets, key):
        *hidden, last = parameters
        moved = []
        for index, layer in enumerate(hidden):
            inputs = inputs @ layer["weights"] + layer["bias"]
            if work.regularised:
                inputs, averages = normalise(inputs, layer, running[index])
                moved.append(averages)
            inputs = activation(inputs)
            if work.regularised:
                keep = jax.random.bernoulli(jax.random.fold_in(key, index), 1 - DROPOUT_RATE, inputs.shape)
                inputs = jnp.where(keep, inputs / (1 - DROPOUT_RATE), 0)
        logarithms = jax.nn.log_softmax(inputs @ last["weights"] + last["bias"])
        return -jnp.take_along_axis(logarithms, targets[:, None], axis=1).mean(), moved

    def adam(parameters, gradients, memory, count):
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, memory[0], gradients)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, memory[1], gradients)
        mean_share, square_share = (1 - jnp.asarray(beta, work.dtype) ** count for beta in (0.9, 0.999))
        parameters = jax.tree.map(
            lambda p, m, v: p - rate * (m / mean_share) / (jnp.sqrt(v / square_share) + 1e-8),
            parameters,
            mean,
            square,
        )
        return parameters, [mean, square]

    def momentum(parameters, gradients, memory, count):
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v - rate * g, memory[0], gradients)
        return jax.tree.map(jnp.add, parameters, velocity), [velocity]

    update = {"adam": adam, "momentum": momentum}[work.optimizer]

    @partial(jax.jit, donate_argnums=0)
    def train_epoch(carry, X, y):
        *carry, key = carry
        key, order_key, noise_key = jax.random.split(key, 3)

        def step(carry, rows):
            parameters, running, memory, count = carry
            gradient = jax.value_and_grad(objective, has_aux=True)
            step_key = jax.random.fold_in(noise_key, count)
            (loss, running), gradients = gradient(parameters, running, X[rows], y[rows], step_key)
            parameters, memory = update(parameters, gradients, memory, count + 1)
            return (parameters, running, memory, count + 1), loss

        order = jax.random.permutation(order_key, len(X)).reshape(-1, work.batch_size)
        carry, losses = jax.lax.scan(step, tuple(carry), order)
        return (*carry, key), losses.mean()

    def start():
        carry = jax.block_until_ready(initial())

        def train():
            nonlocal carry
            for _ in range(work.epochs):
                carry, loss = train_epoch(carry, X, y)
            assert np.isfinite(loss)  # which waits for it

        return train

    return start


def products(work: Work) -> Callable:
    """Lower bound: only the matrix products of the steps, on one thread or all, whichever is faster."""
    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(0)
    layers = []
    for inputs, units in pairwise(work.sizes):
        shapes = (work.batch_size, inputs), (inputs, units), (work.batch_size, units)
        layers.append([random.standard_normal(shape).astype(work.dtype) for shape in shapes])
    results = [[np.empty_like(array) for array in layer] for layer in layers]

    def multiply(steps, threads):
        with threadpool_limits(threads, user_api="blas"):
            began = time.perf_counter()
            for _ in range(steps):
                for index, (x, w, g) in enumerate(layers):
                    grad_x, grad_w, outputs = results[index]
                    np.matmul(x, w, out=outputs)
                    np.matmul(x.T, g, out=grad_w)
                    if index:
                        np.matmul(g, w.T, out=grad_x)
            return time.perf_counter() - began

    steps = max(1, work.steps // 10)
    multiply(steps, None)
    fastest = min((1, None), key=lambda threads: min(multiply(steps, threads) for _ in range(5)))
    return lambda: lambda: multiply(work.steps, fastest)


class Peer(NamedTuple):
    function: Callable[[Work], Callable]
    module: str  # what must be there to import
    package: str  # and what pip calls it


PEERS = {
    "layernet": Peer(partial(layernet_fit, engine="compiled"), "numba", "numba"),
    "formulas": Peer(partial(layernet_fit, engine="formulas"), "numpy", "numpy"),
    "scikit-learn": Peer(scikit_learn_fit, "sklearn", "scikit-learn"),
    "torch": Peer(partial(torch_loop, compiled=False), "torch", "torch"),
    "torch.compile": Peer(partial(torch_loop, compiled=True), "torch", "torch"),
    "jax": Peer(jax_scan, "jax", "jax"),
    "products": Peer(products, "threadpoolctl", "threadpoolctl"),
}


def seconds_a_step(start: Callable, work: Work, seconds: float = 0.0) -> float:
    """Mean time of a step over repeated trainings of one network; the first does not count."""
    train = start()
    train()
    elapsed, trainings = 0.0, 0
    while not trainings or elapsed < seconds:
        began = time.perf_counter()
        train()
        elapsed += time.perf_counter() - began
        trainings += 1
    return elapsed / (trainings * work.steps)
