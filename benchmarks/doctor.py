"""How often is the doctor right? Sound trainings and faulty ones, drawn by a seed, and what it says of each.

    python benchmarks/doctor.py
    python benchmarks/doctor.py --seed 1 --show

Data sets, networks, losses, optimizers, schedules and batch sizes are drawn for each training; every fault is
planted as often as the others. What counts as sound or faulty is not the doctor's own measure: after each
training the network predicts rows that it has not seen, and its score (R**2, or the accuracy less that of the
most frequent class, as a part of what is left to 1) is compared with the best score of a random forest, nearest
neighbors and a linear model that were fitted to the same rows.

- A training is sound if the network has at least 0.9 of that score, its score on its own rows is at most 0.25
  higher, and its loss on new rows has not turned; others are drawn again. Every fifth is a sibling of a faulty
  one: outputs above a softplus and targets too, few rows of which much is learned for others, validation rows.
- A training is faulty if the fault was planted and, where a network could live with it, the score is below 0.9
  of that score; others are drawn again. Rows were learned by heart if the score on them is 0.25 higher.
- Two layers without an activation between them are no fault, and a note is asked for.

At most 2 % of the sound trainings may be called faulty, and at most 5 % of the faulty ones healthy; otherwise
the script fails. It takes ten minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_circles,
    make_classification,
    make_friedman1,
    make_moons,
)
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from layernet import (
    ELU,
    GELU,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BatchNorm,
    Callback,
    CrossEntropy,
    Dense,
    DivergenceError,
    Dropout,
    GaussianNoise,
    HardSigmoid,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Lion,
    Loss,
    Monitor,
    NAdam,
    ReLU,
    Residual,
    RMSProp,
    Sequential,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
    diagnose,
)
from layernet.initializers import Constant
from layernet.losses import (
    BinaryCrossEntropy,
    HingeLoss,
    HuberLoss,
    MeanAbsoluteError,
    MeanSquaredError,
    PoissonLoss,
)
from layernet.schedules import CosineSchedule, ExponentialSchedule

SCORE = 0.9
MEMORIZED_PART = 0.25
LIMITS = {"sound": 0.02, "faulty": 0.05}
STEPS = 900
NEW_ROWS = 300

# --- data ---


@dataclass
class Data:
    """Rows to train on and new ones, and what the targets are: "classes", "numbers", "counts" or "labels"."""

    name: str
    kind: str
    X: np.ndarray
    y: np.ndarray
    X_new: np.ndarray
    y_new: np.ndarray
    best: float = 0.0

    @property
    def n_outputs(self) -> int:
        if self.kind == "classes":
            return int(max(self.y.max(), self.y_new.max())) + 1
        return 1 if self.y.ndim == 1 else self.y.shape[1]


def split(name: str, kind: str, X: np.ndarray, y: np.ndarray, random: np.random.Generator, scale: bool = True):
    """Training rows and new rows; features are brought to deviation 1 with the figures of the training rows."""
    order = random.permutation(len(X))
    X, y = X[order], y[order]
    n = len(X) - min(NEW_ROWS, len(X) // 3)
    if scale:
        deviation = X[:n].std(axis=0)
        X = (X - X[:n].mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    if kind == "numbers":
        y = (y - y[:n].mean(axis=0)) / y[:n].std(axis=0)
    return Data(name, kind, X[:n], y[:n], X[n:], y[n:])


def table(name: str, load: Callable, kind: str = "classes"):
    return lambda random: split(name, kind, *load(return_X_y=True), random)


def digits(random):
    X, y = load_digits(return_X_y=True)
    rows = random.permutation(len(X))[:1200]
    return split("digits", "classes", X[rows] / 16, y[rows], random, scale=False)


def spirals(random):
    n_arms, n = int(random.integers(2, 4)), 900
    turn, y = np.sqrt(random.uniform(0.02, 1, n)), random.integers(0, n_arms, n)
    angle = random.uniform(3, 6) * turn + 2 * np.pi * y / n_arms + random.normal(0, 0.1, n)
    return split(
        "spirals", "classes", turn[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]), y, random
    )


def heaps(random):
    n_classes, n_features = int(random.integers(2, 7)), int(random.integers(2, 12))
    centers = random.normal(0, 2, (n_classes, n_features))
    y = random.integers(0, n_classes, 800)
    return split("heaps", "classes", centers[y] + random.normal(size=(800, n_features)), y, random)


def board(random):
    X = random.uniform(-1, 1, (1000, int(random.integers(2, 4))))
    return split("board", "classes", X, (X[:, 0] * X[:, 1] > 0).astype(int), random)


def ellipsoid(random):
    X = random.normal(size=(1000, int(random.integers(3, 7))))
    distance = (X**2 * random.uniform(0.5, 2, X.shape[1])).sum(axis=1)
    return split("ellipsoid", "classes", X, np.digitize(distance, np.quantile(distance, [0.4, 0.7])), random)


def made_classes(random):
    n_features = int(random.integers(8, 25))
    X, y = make_classification(
        1000, n_features, n_informative=6, n_redundant=1, n_classes=int(random.integers(2, 5)),
        class_sep=random.uniform(1.2, 2), n_clusters_per_class=1, flip_y=0.02,
        random_state=int(random.integers(2**31)),
    )  # fmt: skip
    return split("made classes", "classes", X, y, random)


def half_moons(random):
    make = make_moons if random.random() < 0.5 else make_circles
    X, y = make(700, noise=random.uniform(0.05, 0.15), random_state=int(random.integers(2**31)))
    return split(make.__name__[5:], "classes", X, y, random)


def bent(random):
    X = random.uniform(-1, 1, (900, int(random.integers(2, 7))))
    ahead = X @ random.normal(size=(X.shape[1], 2))
    y = np.sin(2 * ahead[:, 0]) + 0.5 * ahead[:, 1] + 0.1 * random.normal(size=900)
    return split("bent surface", "numbers", X, y, random)


def friedman(random):
    X, y = make_friedman1(900, 7, noise=0.5, random_state=int(random.integers(2**31)))
    return split("Friedman", "numbers", X, y, random)


def plane(random):
    X = random.normal(size=(700, int(random.integers(2, 15))))
    y = X @ random.normal(size=X.shape[1])
    return split("plane", "numbers", X, y + 0.3 * y.std() * random.normal(size=700), random)


def wave(random):
    x = random.uniform(-2, 2, (800, 1))
    y = np.sin(random.uniform(1.5, 3) * x[:, 0]) + 0.1 * random.normal(size=800)
    return split("wave", "numbers", x, y, random)


def pairs(random):
    X = random.normal(size=(900, 4))
    y = np.column_stack([np.tanh(X[:, 0] + X[:, 1]), np.abs(X[:, 2])]) + 0.1 * random.normal(size=(900, 2))
    return split("two outputs", "numbers", X, y, random)


def counts(random):
    X = random.uniform(-1, 1, (1000, 3))
    rate = np.exp(random.uniform(0.5, 1.5) + 1.2 * X[:, 0] + np.abs(X[:, 1]))
    return split("counts", "counts", X, random.poisson(rate).astype(float), random)


def labels(random):
    X = random.normal(size=(900, 6))
    ahead = X @ random.normal(size=(6, 3)) + 0.3 * random.normal(size=(900, 3))
    return split("three labels", "labels", X, (ahead > 0).astype(float), random)


CLASSES = [
    digits, spirals, heaps, board, ellipsoid, made_classes, half_moons,
    table("iris", load_iris), table("wine", load_wine), table("breast cancer", load_breast_cancer),
]  # fmt: skip
NUMBERS = [bent, friedman, plane, wave, pairs, table("diabetes", load_diabetes, "numbers")]
ALL = [*CLASSES, *NUMBERS, counts, labels]


# --- scores ---


def scores_of(data: Data, predicted: np.ndarray) -> float:
    """1 for perfect predictions of the new rows, 0 for constants."""
    return score_beside(data, data.y_new, predicted)


def score_beside(data: Data, y: np.ndarray, predicted: np.ndarray) -> float:
    """The same for rows with these targets."""
    if data.kind == "classes":
        most = (y == np.bincount(data.y).argmax()).mean()
        return float(((predicted == y).mean() - most) / (1 - most))
    if data.kind == "labels":
        most = np.maximum(y.mean(axis=0), 1 - y.mean(axis=0)).mean()
        return float(((predicted == y).mean() - most) / (1 - most))
    return float(1 - np.square(predicted - y).sum() / np.square(y - data.y.mean(axis=0)).sum())


def best_of_others(data: Data) -> float:
    """The best score of three models that were fitted to the same rows."""
    if data.kind in ("classes", "labels"):
        models = [RandomForestClassifier(40, random_state=0), KNeighborsClassifier(5)]
        models += [LogisticRegression()] if data.kind == "classes" else []
    else:
        models = [RandomForestRegressor(40, random_state=0), KNeighborsRegressor(5), Ridge()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a linear model that has not converged may still be the best
        return max(scores_of(data, model.fit(data.X, data.y).predict(data.X_new)) for model in models)


def predictions(data: Data, network: Layer, loss: Loss, rows: np.ndarray | None = None) -> np.ndarray:
    """What the network's outputs say of the new rows, or of others."""
    outputs = network.forward_pass(data.X_new if rows is None else rows)
    if data.kind == "classes":
        return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0).astype(int)
    if data.kind == "labels":
        return (outputs > 0).astype(float)
    outputs = np.exp(np.minimum(outputs, 50)) if isinstance(loss, PoissonLoss) else outputs
    return outputs.reshape(len(outputs), *data.y_new.shape[1:])


# --- networks and optimizers ---


class OwnSigmoid(Layer):
    """A sigmoid of somebody's, whose backward pass is right, or spoiled by a function of its outputs."""

    def __init__(self, slope: Callable | None = None):
        self.slope = slope or (lambda s: s * (1 - s))

    def forward_pass(self, inputs):
        return 1 / (1 + np.exp(-np.clip(inputs, -500, 500)))

    def backward_pass(self, inputs, grad_output):
        return grad_output * self.slope(self.forward_pass(inputs))


class OwnTanh(Layer):
    """The same for tanh."""

    def __init__(self, slope: Callable | None = None):
        self.slope = slope or (lambda t: 1 - t * t)

    def forward_pass(self, inputs):
        return np.tanh(inputs)

    def backward_pass(self, inputs, grad_output):
        return grad_output * self.slope(np.tanh(inputs))


class OwnDense(Layer):
    """A weighted sum of somebody's, one of whose gradients can be multiplied by a factor."""

    def __init__(self, units: int, spoiled: str = "", factor: float = 1.0):
        self.units, self.spoiled, self.factor = units, spoiled, factor

    def create_parameters(self, input_shape):
        self.add_parameter("weights", (*input_shape, self.units))
        self.add_parameter("bias", self.units, "zeros")

    def forward_pass(self, inputs):
        return inputs @ self.weights + self.bias

    def backward_pass(self, inputs, grad_output):
        factors = {name: self.factor if name == self.spoiled else 1.0 for name in ("weights", "bias", "inputs")}
        self.grad_weights = factors["weights"] * inputs.T @ grad_output
        self.grad_bias = factors["bias"] * grad_output.sum(axis=0)
        return factors["inputs"] * grad_output @ self.weights.T


class OwnSquaredError(Loss):
    """A squared error of somebody's, whose gradient has a factor to spoil it."""

    def __init__(self, factor: float = 1.0):
        self.factor = factor

    def losses(self, outputs, targets):
        return np.square(outputs - targets).mean(axis=1)

    def gradient(self, outputs, targets):
        return self.factor * 2 * (outputs - targets) / outputs.shape[1]


ACTIVATIONS = [ReLU, ReLU, ReLU, Tanh, Tanh, LeakyReLU, ELU, GELU, SiLU, Sigmoid, OwnSigmoid, OwnTanh]


@dataclass
class Plan:
    """A training as it is drawn, for a fault to be planted in."""

    data: Data
    widths: list[int]
    activation: type
    norm: type | None
    dropout: float
    residual: bool
    loss: Loss
    optimizer: object
    batch_size: int
    epochs: int
    validated: bool
    monitor: Monitor
    before: list[Layer] = field(default_factory=list)
    after: list[Layer] = field(default_factory=list)
    last: object = "glorot_uniform"
    dense: dict = field(default_factory=dict)
    shuffle: bool = True
    callbacks: list = field(default_factory=list)
    make_hidden: Callable | None = None
    X_val: np.ndarray | None = None
    y_val: np.ndarray | None = None

    def network(self) -> Sequential:
        """The layers, unbuilt."""
        activation = self.make_hidden or self.activation
        initial = {"weights_initializer": "he_normal"} if self.activation in (ReLU, LeakyReLU) else {}
        options = {**initial, **self.dense}
        layers: list[Layer] = list(self.before)
        for index, width in enumerate(self.widths):
            part = [Dense(width, **options), *([self.norm()] if self.norm else []), activation()]
            if self.dropout:
                part.append(Dropout(self.dropout))
            inside = self.residual and index and width == self.widths[index - 1]
            layers += [Residual(Sequential(part))] if inside else part
        n_outputs = 1 if self.loss_has_one_output() else self.data.n_outputs
        return Sequential([*layers, Dense(n_outputs, weights_initializer=self.last), *self.after])

    def loss_has_one_output(self) -> bool:
        return self.data.kind == "classes" and isinstance(self.loss, BinaryCrossEntropy)


def pick(random: np.random.Generator, *options):
    """One of some options, each as often as it is listed."""
    return options[int(random.integers(len(options)))]


def draw_loss(data: Data, random: np.random.Generator) -> Loss:
    if data.kind == "counts":
        return PoissonLoss()
    if data.kind == "labels":
        return BinaryCrossEntropy()
    if data.kind == "numbers":
        return pick(
            random, MeanSquaredError(), MeanSquaredError(), HuberLoss(), MeanAbsoluteError(), OwnSquaredError()
        )
    options = [CrossEntropy()] * 4 + [CrossEntropy(label_smoothing=random.uniform(0.05, 0.2)), HingeLoss()]
    return pick(random, *options, *([BinaryCrossEntropy()] * 2 if data.n_outputs == 2 else []))


def draw_optimizer(random: np.random.Generator, n_steps: int):
    """An optimizer at its usual rate, half of it or twice, sometimes with decay, clipping or a schedule."""
    kind, rate, options = pick(
        random,
        (SGD, 0.1, {}),
        (SGD, 0.02, {"momentum": 0.9}),
        (SGD, 0.02, {"momentum": 0.9, "nesterov": True}),
        (Adam, 0.005, {}),
        (Adam, 0.005, {}),
        (AdamW, 0.005, {"weight_decay": random.uniform(0.01, 0.1)}),
        (NAdam, 0.004, {}),
        (RMSProp, 0.002, {}),
        (Adagrad, 0.05, {}),
        (Lion, 0.001, {}),
    )
    rate *= 2 ** random.uniform(-1, 1)
    if random.random() < 0.15:
        options = {**options, "weight_decay": options.get("weight_decay", 10 ** random.uniform(-5, -3.5))}
    if random.random() < 0.1:
        options = {**options, "clip_norm": 1.0}
    schedule = random.random()
    if schedule < 0.1:
        rate = CosineSchedule(rate, n_steps)
    elif schedule < 0.2:
        rate = ExponentialSchedule(rate, 0.05 ** (1 / n_steps))
    return kind(rate, **options)


def draw_plan(random: np.random.Generator, sources: list[Callable] = ALL, **changes) -> Plan:
    """A training that ought to go well."""
    data = pick(random, *sources)(random)
    activation = pick(random, *ACTIVATIONS)
    deep = int(random.integers(1, 3 if activation in (Sigmoid, OwnSigmoid) else 4))
    width = int(pick(random, 16, 24, 32, 48, 64))
    widths = (
        [width] * deep if random.random() < 0.5 else [int(pick(random, 16, 32, 48, 64)) for _ in range(deep)]
    )
    batch_size = pick(random, 16, 32, 32, 64)
    epochs = math.ceil(STEPS / math.ceil(len(data.X) / batch_size))
    n_steps = epochs * math.ceil(len(data.X) / batch_size)
    loss, draw = draw_loss(data, random), random.random()
    plan = Plan(
        data=data,
        widths=widths,
        activation=activation,
        norm=BatchNorm if draw < 0.2 else LayerNorm if draw < 0.3 else None,
        dropout=float(random.uniform(0.05, 0.25)) if random.random() < 0.15 else 0.0,
        residual=random.random() < 0.3,
        loss=loss,
        optimizer=draw_optimizer(random, n_steps),
        batch_size=batch_size,
        epochs=epochs,
        validated=random.random() < 0.4,
        monitor=Monitor(data.X, data.y) if random.random() < 0.5 else Monitor(),
    )
    return replace(plan, **changes)


class LossOnNewRows(Callback):
    """The loss on rows that are not trained on, after every epoch; the training does not see it."""

    def __init__(self, data: Data, loss: Loss):
        self.data, self.loss, self.values = data, loss, []

    def on_epoch_end(self, run):
        outputs = run.network.forward_pass(self.data.X_new)
        with np.errstate(all="ignore"):
            self.values.append(float(self.loss.bind(self.data.y_new).forward_pass(outputs)))


@dataclass
class Trained:
    """A training that is done.

    Attributes
    ----------
    monitor : Monitor
    score, score_of_own : float
        On new rows, and on those that were trained on.
    turned : bool
        Whether the loss on new rows has turned round.
    """

    monitor: Monitor
    score: float = -math.inf
    score_of_own: float = -math.inf
    turned: bool = True


def train(plan: Plan) -> Trained:
    """Train the network of a plan on its data."""
    data, network = plan.data, plan.network()
    watcher = LossOnNewRows(data, plan.loss)
    shown = data if plan.X_val is None else replace(data, X_new=plan.X_val, y_new=plan.y_val)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # some faults are warned of as well
        try:
            history = network.fit(
                data.X, data.y, loss=plan.loss, optimizer=plan.optimizer, epochs=plan.epochs,
                batch_size=plan.batch_size, shuffle=plan.shuffle,
                validation_data=(shown.X_new, shown.y_new) if plan.validated else None,
                callbacks=[*plan.callbacks, watcher, plan.monitor], random_state=0, engine="formulas",
            )  # fmt: skip
        except DivergenceError:
            return Trained(plan.monitor)
        if history.stop_reason == "interrupted":  # fit takes Ctrl-C for its own end
            raise KeyboardInterrupt
        score = scores_of(shown, np.nan_to_num(predictions(shown, network, plan.loss)))
        own = predictions(data, network, plan.loss, data.X)
        score_of_own = score_beside(data, data.y, np.nan_to_num(own))
        untrained = plan.loss.bind(data.y_new).forward_pass(np.zeros((len(data.y_new), *network.output_shape)))
    turned = watcher.values[-1] - min(watcher.values) > 0.1 * float(untrained)
    return Trained(plan.monitor, score, score_of_own, turned)


# --- faults ---


def wrong_gradient(random):
    case = int(random.integers(6))
    if case == 5:
        return draw_plan(random, NUMBERS, loss=OwnSquaredError(pick(random, -1.0, 0.0, 3.0)))
    plan = draw_plan(random)
    if case == 4:
        own = OwnDense(plan.widths[0], pick(random, "weights", "bias", "inputs"), pick(random, -1.0, 0.0, 3.0))
        return replace(plan, before=[Dense(plan.widths[0]), Tanh(), own])
    slopes = {
        OwnSigmoid: [lambda s: s, lambda s: 0 * s, lambda s: -s * (1 - s), lambda s: 1 - s],
        OwnTanh: [lambda t: 1 - t, lambda t: 0 * t, lambda t: t * t - 1, lambda t: np.ones_like(t)],
    }
    kind = pick(random, OwnSigmoid, OwnTanh)
    return replace(plan, activation=kind, make_hidden=lambda slope=slopes[kind][case]: kind(slope))


def weight_decay(random):
    kind, decay, rate = pick(
        random, (AdamW, 20.0, 0.003), (SGD, 0.5, 0.1), (Adam, 5.0, 0.005), (Lion, 30.0, 1e-3)
    )
    return draw_plan(random, norm=None, optimizer=kind(rate, weight_decay=decay * 2 ** random.uniform(-0.5, 1)))


def out_of_reach(random):
    if random.random() < 0.3:
        return draw_plan(random, CLASSES, loss=CrossEntropy(), after=[Tanh()])
    end = pick(random, Sigmoid, ReLU, Softplus, HardSigmoid, OwnSigmoid, Tanh)
    plan = draw_plan(random, NUMBERS, after=[end()])
    if end is Tanh:
        plan.data.y, plan.data.y_new = 4 * plan.data.y, 4 * plan.data.y_new
    return plan


def end_of_logits(random):
    end = pick(random, ReLU, ReLU, ReLU, GELU, SiLU)
    return draw_plan(random, [digits, digits, heaps], loss=CrossEntropy(), after=[end()])


def in_order(random):
    plan = draw_plan(random, shuffle=False)
    y = plan.data.y
    order = np.argsort(y if y.ndim == 1 else y @ (2.0 ** -np.arange(y.shape[1])), kind="stable")
    plan.data.X, plan.data.y = plan.data.X[order], y[order]
    return replace(plan, monitor=Monitor())


def dropout(random):
    return draw_plan(random, dropout=float(random.uniform(0.93, 0.98)), residual=False)


def noise(random):
    return draw_plan(random, norm=None, before=[GaussianNoise(float(random.uniform(8, 20)))])


def rate_gone(random):
    plan = draw_plan(random)
    n_steps = plan.epochs * math.ceil(len(plan.data.X) / plan.batch_size)
    kind, rate = pick(random, (SGD, 0.02), (Adam, 0.001), (RMSProp, 0.0005))
    last = random.uniform(0.005, 0.02) * n_steps
    schedule = pick(random, lambda step: rate * (step < last), ExponentialSchedule(rate, 0.01 ** (1 / last)))
    return replace(plan, optimizer=kind(schedule))


def constant_inputs(random):
    plan = draw_plan(random)
    value = random.normal(0, 10 ** random.uniform(-1, 2), plan.data.X.shape[1]) * random.integers(0, 2)
    plan.data.X, plan.data.X_new = 0 * plan.data.X + value, 0 * plan.data.X_new + value
    return replace(plan, monitor=Monitor())


def contradictory(random):
    plan = draw_plan(random)
    rows = np.repeat(np.arange(len(plan.data.X) // 2), 2)
    plan.data.X, plan.data.y = plan.data.X[rows], random.permutation(plan.data.y[: len(rows)])
    return replace(plan, monitor=Monitor())


def other_validation(random):
    plan = draw_plan(random, validated=True)
    data, case = plan.data, random.random()
    X_val, y_val = data.X_new, data.y_new
    if case < 0.4:
        y_val = random.permutation(y_val)
    elif case < 0.7:
        X_val = 20 * X_val + 5
    else:
        X_val = -X_val - 1
    return replace(plan, X_val=X_val, y_val=y_val)


def unscaled_validation(random):
    """Validation rows, or their targets, that were not scaled as the others; or the others were not."""
    plan = draw_plan(random, NUMBERS + CLASSES, validated=True)
    X_val, y_val, factor = plan.data.X_new, plan.data.y_new, random.uniform(10, 50)
    case = int(random.integers(4 if plan.data.kind == "numbers" else 3))
    if case == 0:
        X_val = factor * X_val
    elif case == 1:
        X_val = X_val / factor
    elif case == 2:
        spread = factor * random.uniform(0.5, 2, X_val.shape[1])
        X_val = spread * (X_val + random.normal(0, 2, X_val.shape[1]))
    else:
        y_val = factor * (y_val + random.normal())
    return replace(plan, X_val=X_val, y_val=y_val)


def learned_by_heart(random):
    """Few rows and many weights; the loss on other rows need not rise in the end."""
    sources = [digits, made_classes, friedman, bent, spirals, board]
    plan = draw_plan(random, sources, norm=None, dropout=0.0, validated=True, batch_size=16, epochs=150)
    data, n_rows = plan.data, int(random.integers(40, 90))
    data.X, data.y = data.X[:n_rows], data.y[:n_rows]
    loss = MeanSquaredError() if data.kind == "numbers" else CrossEntropy()
    return replace(plan, loss=loss, optimizer=Adam(0.003), widths=[64], activation=pick(random, ReLU, Tanh),
                   monitor=Monitor())  # fmt: skip


def straight(random):
    """Two layers without an activation between them, or with what is straight in prediction."""
    plan = draw_plan(random, dropout=0.0, norm=None)
    width = max(plan.widths[0], plan.data.X.shape[1])
    between = pick(random, [], [], [BatchNorm()], [Dropout(0.1)], [Identity(), Dropout(0.1)])
    return replace(plan, before=[Dense(width), *between])


# Siblings of faulty trainings that are sound.


def positive_targets(random):
    plan = draw_plan(random, NUMBERS, loss=MeanSquaredError(), after=[Softplus()])
    low = min(plan.data.y.min(), plan.data.y_new.min()) - 0.5
    plan.data.y, plan.data.y_new = plan.data.y - low, plan.data.y_new - low
    return replace(plan, monitor=Monitor())


def few_rows(random):
    plan = draw_plan(
        random, [heaps, plane, half_moons, table("iris", load_iris), table("wine", load_wine)], norm=None,
        validated=True,
    )  # fmt: skip
    n_rows = int(random.integers(60, 120))
    plan.data.X, plan.data.y = plan.data.X[:n_rows], plan.data.y[:n_rows]
    return replace(plan, epochs=math.ceil(STEPS / math.ceil(n_rows / plan.batch_size)), monitor=Monitor())


def validated(random):
    return draw_plan(random, validated=True)


SIBLINGS = [positive_targets, few_rows, validated]


def small_column(random):
    plan = draw_plan(random, norm=None)
    data, n = plan.data, int(random.integers(4, 12))

    def rows(count):
        return random.normal(size=(count, n))

    data.X, data.X_new = rows(len(data.X)), rows(len(data.X_new))
    kind = pick(random, "classes", "numbers")
    useful, useful_new = data.X[:, 1].copy(), data.X_new[:, 1].copy()
    data.kind = kind
    if kind == "classes":
        data.y, data.y_new = np.digitize(useful, [-0.4, 0.4]), np.digitize(useful_new, [-0.4, 0.4])
        loss = CrossEntropy()
    else:
        data.y, data.y_new, loss = useful, useful_new, MeanSquaredError()
    data.X[:, 1] *= 1e-4
    data.X_new[:, 1] *= 1e-4
    return replace(plan, loss=loss, monitor=Monitor())


def unscaled_inputs(random):
    plan = draw_plan(random, norm=None)
    scale = 10 ** random.uniform(1.7, 3)
    plan.data.X, plan.data.X_new = scale * (plan.data.X + 1), scale * (plan.data.X_new + 1)
    return replace(plan, monitor=Monitor())


def unscaled_targets(random):
    plan = draw_plan(random, NUMBERS, loss=MeanSquaredError())
    scale = 10 ** random.uniform(2, 4)
    plan.data.y, plan.data.y_new = scale * (plan.data.y + 1), scale * (plan.data.y_new + 1)
    return replace(plan, monitor=Monitor())


def vanishing(random):
    kind = pick(random, Sigmoid, OwnSigmoid)
    return draw_plan(
        random, widths=[32] * int(random.integers(6, 10)), activation=kind, norm=None, residual=False,
        dropout=0.0, optimizer=pick(random, SGD(0.1), SGD(0.02, momentum=0.9)),
    )  # fmt: skip


def with_variance(variance):
    return lambda shape, random: random.normal(0, np.sqrt(variance / shape[0]), shape)


def exploding(random):
    return draw_plan(
        random, widths=[32] * int(random.integers(6, 9)), activation=pick(random, ReLU, LeakyReLU), norm=None,
        residual=False, dropout=0.0, dense={"weights_initializer": with_variance(random.uniform(16, 30))},
        optimizer=pick(random, SGD(1e-5), SGD(1e-3), Adam(1e-4)),
    )  # fmt: skip


def dead(random):
    return draw_plan(
        random, activation=ReLU, norm=None, residual=False,
        dense={"bias_initializer": Constant(-random.uniform(10, 40))},
    )  # fmt: skip


def saturated(random):
    return draw_plan(
        random, activation=pick(random, Tanh, Sigmoid, OwnTanh), norm=None, residual=False, dropout=0.0,
        dense={"weights_initializer": with_variance(random.uniform(400, 2000))}, widths=[32, 32],
        optimizer=pick(random, SGD(0.01), Adam(0.001)),
    )  # fmt: skip


def symmetric(random):
    value = pick(random, 0.0, 0.1, 0.5)
    constant = Constant(value)
    return draw_plan(
        random, norm=None, dropout=0.0, residual=False, dense={"weights_initializer": constant}, last=constant
    )


def rate_too_high(random):
    optimizer = pick(random, SGD(20.0), SGD(5.0, momentum=0.9), Adam(3.0), RMSProp(3.0), NAdam(3.0))
    return draw_plan(random, norm=None, optimizer=optimizer)


def rate_too_low(random):
    return draw_plan(random, optimizer=pick(random, SGD(1e-6), Adam(1e-7), RMSProp(1e-7), AdamW(1e-7)))


def shuffled_labels(random):
    plan = draw_plan(random, validated=False)
    plan.data.y = random.permutation(plan.data.y)
    return replace(plan, monitor=Monitor())


def too_short(random):
    return draw_plan(random, epochs=1, batch_size=64, optimizer=pick(random, SGD(0.02), Adam(0.0005)))


def too_simple(random):
    return draw_plan(random, [board, ellipsoid, wave, spirals, half_moons], widths=[], norm=None, dropout=0.0)


def overfitted(random):
    plan = draw_plan(
        random, [plane, made_classes, table("diabetes", load_diabetes, "numbers")], widths=[128, 128],
        activation=ReLU, norm=None, dropout=0.0, optimizer=Adam(0.003), validated=True, batch_size=16,
        epochs=80,
    )  # fmt: skip
    rows = slice(100)
    data = plan.data
    data.X, data.y = data.X[rows], data.y[rows]
    y = data.y + (1.0 * random.normal(size=data.y.shape) if data.kind == "numbers" else 0)
    if data.kind == "classes":
        y = np.where(random.random(len(y)) < 0.25, random.permutation(y), y)
    data.y = y
    loss = MeanSquaredError() if data.kind == "numbers" else CrossEntropy()
    return replace(plan, monitor=Monitor(), loss=loss)


def equal_targets(random):
    plan = draw_plan(random, CLASSES + NUMBERS, validated=False)
    plan.data.y = 0 * plan.data.y + plan.data.y[0]
    return replace(plan, monitor=Monitor())


def too_little_signal(random):
    """Two classes of which the inputs say little."""
    plan = draw_plan(random, loss=CrossEntropy())
    data = plan.data
    data.kind = "classes"

    def draw(count):
        X = random.normal(size=(count, 5))
        return X, (random.random(count) < 1 / (1 + np.exp(-0.8 * X[:, 0]))).astype(int)

    (data.X, data.y), (data.X_new, data.y_new) = draw(800), draw(300)
    return replace(plan, widths=[16], norm=None, optimizer=Adam(0.002), epochs=12, monitor=Monitor())


HIGH = {"learning rate too high", "training diverged"}
LEARNED_BY_HEART = "few rows learned by heart"
AFFINE_TOLERANCE = "no activation between two layers"
SHORT = {"not trained long enough", "learning rate too low"}

# What is planted, the verdicts that name it, and whether a network could live with it. New kinds come last: the
# place is a part of the seed.
FAULTS: dict[str, tuple[Callable, set[str], bool]] = {
    "wrong gradient": (wrong_gradient, {"wrong gradient"}, False),
    "weight decay too strong": (weight_decay, {"weight decay too strong"}, True),
    "outputs cannot reach the targets": (out_of_reach, {"outputs cannot reach the targets"}, False),
    "rows in order, not shuffled": (
        in_order,
        {"rows sorted by class", "rows sorted by target"},
        True,
    ),
    "dropout of 0.93 to 0.98": (dropout, {"too much dropout"}, True),
    "noise of 8 to 20 times the inputs": (noise, {"too much noise"}, True),
    "learning rate fell to 0": (rate_gone, {"learning rate fell to 0", *SHORT}, True),
    "constant inputs": (constant_inputs, {"constant inputs"}, False),
    "equal rows with different targets": (contradictory, {"equal rows with different targets"}, False),
    "validation rows differ from training rows": (
        other_validation,
        {"validation rows differ from training rows", "overfitting"},
        True,
    ),
    "a useful column that is 10,000 times smaller": (small_column, {"inputs not scaled"}, True),
    "inputs not scaled": (unscaled_inputs, {"inputs not scaled"}, True),
    "targets not scaled": (unscaled_targets, {"targets not scaled"}, False),
    "vanishing gradients": (vanishing, {"vanishing gradients"}, True),
    "exploding gradients": (exploding, {"exploding gradients"}, True),
    "dead ReLUs": (dead, {"dead ReLUs"}, True),
    "saturated activations": (saturated, {"saturated activations"}, True),
    "symmetric weights": (symmetric, {"symmetric weights"}, True),
    "learning rate too high": (rate_too_high, HIGH, True),
    "learning rate too low": (rate_too_low, SHORT, True),
    "labels shuffled": (shuffled_labels, {"labels shuffled"}, False),
    "not trained long enough": (too_short, SHORT, True),
    "a network that is too simple": (too_simple, {"underfitting", "little was learned"}, True),
    "overfitting": (overfitted, {"overfitting", "validation rows differ from training rows"}, False),
    "constant targets": (equal_targets, {"constant targets"}, False),
    "little to be learned": (too_little_signal, {"little was learned", "labels shuffled"}, False),
    "an activation after the logits": (
        end_of_logits,
        {"bounded output activation", "outputs cannot reach the targets"},
        True,
    ),
    "validation rows not scaled": (unscaled_validation, {"validation rows differ from training rows"}, False),
    LEARNED_BY_HEART: (learned_by_heart, {"overfitting"}, False),
    AFFINE_TOLERANCE: (straight, {"no activation between layers"}, False),
}


@dataclass
class Row:
    """What the doctor said of some trainings."""

    name: str
    trainings: int = 0
    healthy: int = 0
    first: int = 0
    named: int = 0
    drawn_again: int = 0
    notes: int = 0


def sound_trainings(seed: int, n_trainings: int, show: bool, row: Row | None = None) -> Row:
    """Draw sound trainings until there are enough, and count them in a row."""
    row, index = Row("sound") if row is None else row, 0
    while row.trainings < n_trainings:
        random = np.random.default_rng([seed, 0, index])
        index += 1
        plan = pick(random, *SIBLINGS)(random) if index % 5 == 0 else draw_plan(random)
        best, done = best_of_others(plan.data), train(plan)
        by_heart = done.score_of_own - done.score > MEMORIZED_PART
        if best < 0.3 or done.turned or by_heart or not done.score > SCORE * best:
            row.drawn_again += 1
            continue
        diagnosis = diagnose(done.monitor)
        row.trainings += 1
        row.healthy += bool(diagnosis)
        row.notes += bool(diagnosis.notes)
        if show and (not diagnosis or diagnosis.notes):
            print(
                f"--- sound {index - 1}: {describe(plan)}; score {done.score:.2f} of {best:.2f}\n{diagnosis}",
                flush=True,
            )
    return row


def faulty_trainings(seed: int, name: str, n_trainings: int, show: bool) -> Row:
    """Draw trainings with a fault until there are enough."""
    plant, verdicts, can_be_lived_with = FAULTS[name]
    row, index, number = Row(name), 0, list(FAULTS).index(name) + 1
    while row.trainings < n_trainings:
        random = np.random.default_rng([seed, number, index])
        index += 1
        plan = plant(random)
        best = best_of_others(plan.data) if can_be_lived_with else math.inf
        done = train(plan)
        score = done.score
        if can_be_lived_with and (best < 0.3 or score > SCORE * best):
            row.drawn_again += 1
            continue
        if name == LEARNED_BY_HEART and not done.score_of_own - score > MEMORIZED_PART:
            row.drawn_again += 1
            continue
        diagnosis = diagnose(done.monitor)
        found = [finding.symptom for finding in diagnosis]
        # A note is enough for what is worth no more; a faulty training with a note is still called healthy.
        if name == AFFINE_TOLERANCE:
            found = [note.symptom for note in diagnosis.notes] + found
        row.trainings += 1
        row.healthy += not found
        row.first += bool(found) and found[0] in verdicts
        row.named += bool(verdicts & set(found))
        if show and (not found or found[0] not in verdicts):
            said = diagnosis if not found else f"{found}"
            print(
                f"--- {name} {index - 1}: {describe(plan)}; score {score:.2f} of {best:.2f}\n{said}", flush=True
            )
    return row


def describe(plan: Plan) -> str:
    return (
        f"{plan.data.name}, {plan.network()}, {plan.loss}, {plan.optimizer}, {plan.epochs} epochs of batches "
        f"of {plan.batch_size}, shuffle={plan.shuffle}, validated={plan.validated}"
    )


def in_table(row: Row) -> str:
    return (
        f"| {row.name} | {row.trainings} | {row.healthy} | {percent(row.first, row.trainings)} "
        f"| {percent(row.named, row.trainings)} | {row.drawn_again} |"
    )


def percent(part: int, of: int) -> str:
    return f"{100 * part / max(of, 1):.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sound", type=int, default=200, help="how many sound trainings")
    parser.add_argument("--faulty", type=int, default=12, help="how many trainings of each fault")
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument("--show", action="store_true", help="print each training that was judged wrongly")
    arguments = parser.parse_args()
    seed, show = arguments.seed, arguments.show
    print("| planted | trainings | called healthy | named first | named | drawn again |")
    print("|---|---|---|---|---|---|")
    rows = []
    for name in FAULTS if arguments.faulty else []:
        if arguments.only in name:
            rows.append(faulty_trainings(seed, name, arguments.faulty, show))
            print(in_table(rows[-1]), flush=True)
    faulty = Row("all faulty trainings", *(sum(getattr(r, f) for r in rows) for f in
               ("trainings", "healthy", "first", "named", "drawn_again")))  # fmt: skip
    print(in_table(faulty))
    missed, alarms = faulty.healthy / max(faulty.trainings, 1), 0.0
    print(f"\nfaulty trainings called healthy: {percent(faulty.healthy, faulty.trainings)}")
    if arguments.sound:
        sound = Row("sound")
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C shows what is known by then
            sound_trainings(seed, arguments.sound, show, sound)
        alarms = 1 - sound.healthy / max(sound.trainings, 1)
        print(
            f"sound trainings called faulty: {percent(sound.trainings - sound.healthy, sound.trainings)} of "
            f"{sound.trainings} ({sound.drawn_again} drawn again), with a note: {sound.notes}"
        )
    if missed > LIMITS["faulty"] or alarms > LIMITS["sound"]:
        sys.exit("The limits are not kept.")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
