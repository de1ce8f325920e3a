"""Metrics: numbers that describe the outputs of a network beside the loss."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from layernet.guards.read_only import is_read_only_error, overwrite_error, read_only
from layernet.losses.loss import Loss, is_predicted_by_logits

# A function of (targets, outputs).
Metric = Callable[[np.ndarray, np.ndarray], Any]

# Columns of every history, whose names a metric must not have.
OWN_COLUMNS = frozenset({"epoch", "loss", "learning_rate", "seconds", "val_loss"})


def accuracy(targets: np.ndarray, outputs: np.ndarray, loss: Loss | None = None) -> float:
    """Fraction of samples whose class, or whose labels, were all predicted.

    `fit(..., metrics="accuracy")` and `metrics=accuracy` use the loss of the training.

    Parameters
    ----------
    targets : ndarray of shape (n_samples,) or of the outputs' shape
        Class numbers, or rows of probabilities, or labels of 0 and 1.
    outputs : ndarray of shape (n_samples, n_outputs)
    loss : Loss, default=None
        Decides which class or labels outputs predict, see `Loss.is_predicted`. None means that outputs are
        logits. The largest logit of a row predicts its class, if there are several columns and targets are
        class numbers or probabilities. Otherwise a logit above 0 predicts a label of 1.

    Returns
    -------
    float
        Between 0 and 1; NaN for no samples.

    Raises
    ------
    ValueError
        If the targets are not classes.

    Examples
    --------
    >>> accuracy(np.array([0, 1]), np.array([[2.0, 1.0], [2.0, 1.0]]))
    0.5
    >>> accuracy(np.array([[1, 1], [0, 0]]), np.array([[2.0, 1.0], [-2.0, 1.0]]))
    0.5
    """
    targets, outputs = np.asarray(targets), np.asarray(outputs)
    predicted = (
        is_predicted_by_logits(outputs, targets) if loss is None else loss.is_predicted(outputs, targets)
    )
    return float(predicted.mean()) if len(predicted) else float("nan")


# Attributes of a function, which `declared` reads.
accuracy.larger_is_better = True  # type: ignore[attr-defined]  # mypy knows no attributes of functions
accuracy.averages_rows = True  # type: ignore[attr-defined]


METRICS = {"accuracy": accuracy}


def as_metrics(metrics: Any, loss: Loss | None = None) -> dict[str, Metric]:
    """Return metrics by name, from names and functions of (targets, outputs).

    Parameters
    ----------
    metrics : str, callable, iterable of these, dict of str to callable, or None for none
        The name of a function is its `__name__`; the keys of a dict are names.
    loss : Loss, default=None
        Loss of the training, which `accuracy` uses.

    Returns
    -------
    dict of str to callable

    Raises
    ------
    ValueError
        If a name is unknown, or is that of another metric or of another column of the history.
    TypeError
        If a metric is neither a name nor a function.
    """
    found: dict[str, Metric] = {}
    for name, metric in named_metrics(metrics):
        columns = {column for each in found for column in (each, f"val_{each}")} | OWN_COLUMNS
        if columns & {name, f"val_{name}"}:
            other = "another metric" if name not in OWN_COLUMNS else "a column that every history has"
            raise ValueError(
                f"metrics: {metric!r} has the name {name!r}, which is that of {other}. Name metrics by a dict: "
                "metrics={'name': function}."
            )
        found[name] = functools.partial(accuracy, loss=loss) if metric is accuracy else metric
    return found


def named_metrics(metrics: Any) -> Iterable[tuple[str, Metric]]:
    """Return pairs (name, function) of metrics."""
    if metrics is None:
        pairs = []
    elif isinstance(metrics, Mapping):
        pairs = list(metrics.items())
    else:
        is_one = isinstance(metrics, str) or callable(metrics)
        if not is_one and not isinstance(metrics, Iterable):
            raise TypeError(f"metrics must be names or functions of (targets, outputs), got {metrics!r}.")
        pairs = [(name_of(metric), metric) for metric in ([metrics] if is_one else metrics)]
    for name, metric in pairs:
        if isinstance(metric, str):
            if metric not in METRICS:
                raise ValueError(
                    f"metrics: {metric!r} is not known. Known are {sorted(METRICS)}; others are functions of "
                    "(targets, outputs)."
                )
            metric = METRICS[metric]
        if not callable(metric):
            raise TypeError(f"metrics must be names or functions of (targets, outputs), got {metric!r}.")
        if not isinstance(name, str):
            raise TypeError(f"metrics: the name of {metric!r} must be a string, got {name!r}.")
        yield name, metric


def name_of(metric: Any) -> str:
    """Name of a metric: that of the function, also if it is wrapped by `functools.partial`."""
    if isinstance(metric, str):
        return metric
    return getattr(metric, "__name__", None) or (
        name_of(metric.func) if isinstance(metric, functools.partial) else type(metric).__name__
    )


def value_of(name: str, metric: Metric, targets: np.ndarray, outputs: np.ndarray) -> float | np.ndarray:
    """Value of a metric, as a Python number or an array.

    Parameters
    ----------
    name : str
        Name of the metric in errors.
    metric : callable
    targets, outputs : ndarray
        The metric gets read-only views, because losses and other metrics read the arrays too.

    Returns
    -------
    float or ndarray of float

    Raises
    ------
    ValueError
        If the metric writes to one of them.
    """
    try:
        value = metric(read_only(targets), read_only(outputs))
    except Exception as error:
        if is_read_only_error(error):
            raise overwrite_error(f"The metric {name!r}", ("targets", "outputs")) from error
        error.add_note(
            f"This was the metric {name!r}, called with targets of shape {targets.shape} and outputs of shape "
            f"{outputs.shape}. The outputs are those of the network, such as logits, and not labels: use "
            'metrics="accuracy", or a function that computes labels, for instance by outputs.argmax(axis=1).'
        )
        raise
    return np.asarray(value, float) if np.ndim(value) else float(value)


class EpochMetrics:
    """Metrics over the rows of an epoch, which are added batch by batch.

    A metric with `averages_rows = True` is averaged over batches, weighted by their rows. Any other is computed
    for all rows at once, because the mean of a ratio or of a rank over batches is another number, or NaN where
    a batch has one row or one class.

    Parameters
    ----------
    metrics : dict of str to callable

    Examples
    --------
    >>> def spread(targets, outputs):
    ...     return outputs.max() - outputs.min()
    >>> of_epoch = EpochMetrics({"spread": spread})
    >>> for outputs in ([[1.0], [2.0]], [[5.0]]):
    ...     of_epoch.add(np.zeros((len(outputs), 1)), np.array(outputs))
    >>> of_epoch.values()
    {'spread': 4.0}
    """

    def __init__(self, metrics: Mapping[str, Metric]):
        self.metrics = metrics
        self.averaged = [name for name, metric in metrics.items() if declared(metric, "averages_rows")]
        self.totals: dict[str, Any] = dict.fromkeys(self.averaged, 0.0)
        self.n_rows = 0
        self.batches: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, targets: np.ndarray, outputs: np.ndarray) -> None:
        """Add a batch."""
        for name in self.averaged:
            self.totals[name] += value_of(name, self.metrics[name], targets, outputs) * len(outputs)
        self.n_rows += len(outputs)
        if len(self.averaged) < len(self.metrics):
            self.batches.append((targets, outputs))

    def values(self) -> dict[str, float | np.ndarray]:
        """The values of all metrics, by name."""
        if self.batches:
            targets, outputs = (np.concatenate(parts) for parts in zip(*self.batches, strict=True))
        return {
            name: self.totals[name] / self.n_rows
            if name in self.totals
            else value_of(name, metric, targets, outputs)
            for name, metric in self.metrics.items()
        }


def directions_of(metrics: Mapping[str, Metric]) -> dict[str, bool]:
    """`larger_is_better` of each metric that declares it, by its column and its column on validation data."""
    directions = {name: declared(metric, "larger_is_better") for name, metric in metrics.items()}
    return {
        column: larger
        for name, larger in directions.items()
        if larger is not None
        for column in (name, f"val_{name}")
    }


def declared(metric: Any, name: str) -> bool | None:
    """Attribute of a metric's function as a bool, also if `functools.partial` wraps it; None without it."""
    value = getattr(metric, name, None)
    if value is None and isinstance(metric, functools.partial):
        return declared(metric.func, name)
    return None if value is None else bool(value)
