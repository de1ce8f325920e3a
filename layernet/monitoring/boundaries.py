"""Decision boundaries of classifiers with two inputs, and maps of the hidden neurons during training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layernet.layer import Layer, NotBuiltError
from layernet.monitoring.mosaics import mosaic, write_signs
from layernet.monitoring.planes import (
    OutputReading,
    as_points,
    as_targets,
    classes_of,
    grid_axes,
    grid_points,
    neurons_and_outputs,
)
from layernet.optional_dependencies import pyplot
from layernet.training.callback import Callback
from layernet.training.outputs import outputs_in_blocks
from layernet.training.run import Run
from layernet.validation import as_count, require_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

PICTURES_IN_A_ROW = 6


@dataclass
class Frame:
    """Outputs and hidden neurons of a network on a grid over the plane, at one moment of training.

    Attributes
    ----------
    epoch : int
        Number of epochs done; 0 before training.
    loss : float or None
        Training loss of that epoch, as in the history; None before training.
    outputs : ndarray of shape (resolution, resolution, n_outputs)
        Outputs of the network at the points of the grid; the row index grows with the second input.
    hidden : list of ndarray of shape (resolution, resolution, n_neurons)
        For each hidden layer the outputs of its neurons at these points, after their activation.
    """

    epoch: int
    loss: float | None
    outputs: np.ndarray
    hidden: list[np.ndarray]


class BoundaryRecorder(Callback):
    """Callback that records the outputs and hidden neurons of a network with two inputs during training.

    Training is not changed, to the last bit.

    Parameters
    ----------
    X : array-like of shape (n_samples, 2)
        Points to draw; the plane extends a little beyond them.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Classes of the points, as the loss takes them.
    epochs : iterable of int, default=None
        Epochs to record; 0 is before training. None for up to six epochs with growing distances, up to the last
        one.
    resolution : int, default=80
        Number of grid points along each axis.
    max_neurons : int, default=24
        Number of neurons of each hidden layer that are recorded; `plot` labels layers with more neurons.
    threshold : float, default=None
        A single output above this value means the second class. None for 0.5 if the network ends in a sigmoid,
        else for 0, as for a logit.

    Attributes
    ----------
    frames : list of Frame
        Frames of the last training run, in order.
    horizontal, vertical : ndarray of shape (resolution,)
        Coordinates of the grid along the first and the second input.

    Examples
    --------
    >>> from layernet import SGD, Dense, Sequential, Tanh
    >>> X, y = [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], [0, 0, 1, 1]
    >>> recorder = BoundaryRecorder(X, y, epochs=(0, 5), resolution=10)
    >>> history = Sequential([Dense(3), Tanh(), Dense(1)]).fit(
    ...     X, y, loss="binary_cross_entropy", epochs=5, callbacks=[recorder], random_state=0)
    >>> recorder
    BoundaryRecorder of 4 points, after epochs 0 and 5
    >>> recorder.frames[1].outputs.shape, recorder.frames[1].hidden[0].shape
    ((10, 10, 1), (10, 10, 3))
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        epochs: Iterable[int] | None = None,
        resolution: int = 80,
        max_neurons: int = 24,
        threshold: float | None = None,
    ):
        self.X = as_points(X)
        self.y = as_targets(y, len(self.X), "BoundaryRecorder")
        self.epochs: tuple[int, ...] | None = None if epochs is None else as_epochs(epochs)
        self.resolution = as_count(resolution, "resolution")
        self.max_neurons = as_count(max_neurons, "max_neurons")
        self.threshold = require_number(self, "threshold", threshold, or_none=True)
        self.horizontal, self.vertical = grid_axes(self.X, self.resolution)
        self.frames: list[Frame] = []
        self._planned: tuple[int, ...] = ()
        self._kinds: list[tuple[int, tuple[float, float] | None]] = []  # neurons and bounds of hidden layers
        self._reading: OutputReading | None = None

    def __repr__(self) -> str:
        kept = [str(frame.epoch) for frame in self.frames]
        when = " and ".join([", ".join(kept[:-1]), kept[-1]] if len(kept) > 1 else kept)
        plural = "s" if len(kept) > 1 else ""
        return f"BoundaryRecorder of {len(self.X)} points, " + (
            f"after epoch{plural} {when}" if kept else "empty"
        )

    def on_train_begin(self, run: Run) -> None:
        if run.network.input_shape != (2,):
            raise ValueError(
                f"BoundaryRecorder draws a plane and needs a network with 2 inputs, got one with inputs of "
                f"shape {run.network.input_shape}. Choose two columns of X, or two principal components."
            )
        classes_of(self.y, run.network.output_shape or ())  # raises before the first step
        self.frames = []
        self._planned = growing_epochs(run.epochs) if self.epochs is None else self.epochs
        if 0 in self._planned:
            self._record_frame(run.network, 0, None)

    def on_epoch_end(self, run: Run) -> None:
        if run.epoch in self._planned:
            self._record_frame(run.network, run.epoch, run.history["loss"][-1])

    def _record_frame(self, network: Layer, epoch: int, loss: float | None) -> None:
        points = grid_points(self.horizontal, self.vertical)
        shape = (self.resolution, self.resolution, -1)
        with np.errstate(over="ignore", invalid="ignore"):  # shortly before divergence
            hidden, outputs = neurons_and_outputs(network, points.astype(network.dtype or np.float64))
        first = [values[:, : self.max_neurons].reshape(shape) for values, _ in hidden]
        self.frames.append(Frame(epoch, loss, outputs.reshape(shape), first))
        self._kinds = [(values.shape[1], bounds) for values, bounds in hidden]
        self._reading = OutputReading.of(network, self.threshold)

    def plot(self, neurons: bool = True, figure: Any = None) -> Figure | SubFigure:
        """Draw a column for each frame: the decision boundary above, the maps of the hidden neurons below.

        Rows hold six frames.

        In a map blue is low, orange is high, and white is halfway. A sigmoid is shown from 0 to 1, a tanh from
        -1 to 1, and any other neuron from minus to plus its largest absolute value. A plus marks the highest
        point of a map, and a minus the lowest.

        Parameters
        ----------
        neurons : bool, default=True
            Whether to draw the maps of the hidden neurons.
        figure : matplotlib.figure.Figure or SubFigure, default=None
            Figure to draw on; None makes a new one.

        Returns
        -------
        matplotlib.figure.Figure or SubFigure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If no frame was recorded.
        """
        plt = pyplot("BoundaryRecorder.plot")
        if not self.frames or self._reading is None:
            raise ValueError(
                "This BoundaryRecorder has recorded no frame. Pass it to a training run that reaches its "
                "epochs: fit(..., callbacks=[recorder])."
            )
        columns = [self._mosaics(frame) if neurons else [] for frame in self.frames]
        heights = [1.0, *(picture.shape[0] / picture.shape[1] for picture in columns[0])]
        n_bands = -(-len(columns) // PICTURES_IN_A_ROW)
        n_columns = -(-len(columns) // n_bands)
        if figure is None:
            size = (1.6 * n_columns + 0.8, (1.6 * sum(heights) + 0.6) * n_bands)
            figure = plt.figure(figsize=size, layout="constrained")
        panels = figure.subplots(
            len(heights) * n_bands, n_columns, squeeze=False, height_ratios=heights * n_bands
        )
        for panel in panels.flat:
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        bands = [band[:, k] for band in np.split(panels, n_bands) for k in range(n_columns)]
        for frame, pictures, places in zip(self.frames, columns, bands, strict=False):
            self._reading.draw(places[0], self.horizontal, self.vertical, frame.outputs, self.X, self.y, 2.5)
            places[0].set_box_aspect(1)
            loss = "" if frame.loss is None else f"\nloss {frame.loss:.3g}"
            places[0].set_title(f"epoch {frame.epoch}{loss}", fontsize="small")
            layers = zip(frame.hidden, self._kinds, strict=True) if neurons else ()
            for picture, panel, (maps, (_, bounds)) in zip(pictures, places[1:], layers, strict=True):
                panel.imshow(picture)
                write_signs(panel, maps, bounds)
        for first in bands[::n_columns]:
            for label, panel in zip(self._labels(), first, strict=False):
                panel.set_ylabel(label, fontsize="small", rotation=0, ha="right", va="center")
        for places in bands[len(columns) :]:
            for panel in places:
                panel.remove()
        return figure

    def _mosaics(self, frame: Frame) -> list[np.ndarray]:
        return [mosaic(maps, bounds) for maps, (_, bounds) in zip(frame.hidden, self._kinds, strict=True)]

    def _labels(self) -> list[str]:
        several = len(self._kinds) > 1
        labels = ["output"]
        for number, (n_neurons, _) in enumerate(self._kinds, start=1):
            name = f"layer {number}" if several else "hidden\nneurons"
            left_out = n_neurons > self.max_neurons
            labels.append(f"{name},\nthe first\n{self.max_neurons} of {n_neurons}" if left_out else name)
        return labels


def draw_boundary(
    axes: Any,
    model: Any,
    X: Any,
    y: Any,
    resolution: int = 150,
    threshold: float | None = None,
    marker_size: float = 4.0,
) -> None:
    """Draw the predictions of a classifier with two inputs over the plane, and points with their classes.

    Shades grow with the probability of the predicted class; they are uniform for a model without probabilities.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    model : Layer or object with `predict` and `classes_`
        A built network with 2 inputs, or a fitted classifier with scikit-learn's interface; its `predict_proba`
        is used if it has one.
    X : array-like of shape (n_samples, 2)
    y : array-like of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
        Classes as the loss takes them for a network, labels out of `classes_` for a classifier.
    resolution : int, default=150
        Number of grid points along each axis.
    threshold : float, default=None
        As of `BoundaryRecorder`; for networks only.
    marker_size : float, default=4.0
        Size of the points, in typographic points.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the points do not have two coordinates, the model does not accept them, or their classes are not its
        own; or if a threshold is given for a model that is no network.
    NotBuiltError
        If the network is not built yet.
    TypeError
        If the model is neither a network nor a fitted classifier.
    """
    pyplot("draw_boundary")
    given, X = X, as_points(X)
    y = as_targets(y, len(X), "draw_boundary")
    horizontal, vertical = grid_axes(X, resolution)
    points = grid_points(horizontal, vertical)
    if isinstance(model, Layer):
        if model.input_shape is None:
            raise NotBuiltError(f"draw_boundary: {model!r} is not built. Train it, or call build.")
        reading = OutputReading.of(model, threshold)
        outputs = outputs_in_blocks(model, model.validate_inputs(points))
    elif threshold is not None:
        raise ValueError(
            f"draw_boundary: threshold is for networks; {type(model).__name__} decides by itself. Leave it out."
        )
    else:
        reading = OutputReading("probabilities", 0.5)
        y, outputs = classes_and_probabilities(model, with_columns_of(given, points), y)
    planes = outputs.reshape(len(vertical), len(horizontal), -1)
    reading.draw(axes, horizontal, vertical, planes, X, y, marker_size)


def with_columns_of(table: Any, points: np.ndarray) -> Any:
    """Return points as a pandas or polars data frame with the columns of another; unchanged if it is none.

    A classifier that was fitted on named columns requires these names.
    """
    if hasattr(table, "iloc"):
        return type(table)(points, columns=table.columns)
    return type(table)(points, schema=table.columns) if hasattr(table, "schema") else points


def classes_and_probabilities(model: Any, points: Any, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class numbers of labels, and a fitted classifier's probabilities at points.

    Parameters
    ----------
    model : object with `predict` and `classes_`
    points : ndarray or data frame of shape (n_points, 2)
    y : ndarray of shape (n_samples,) or (n_samples, 1)

    Returns
    -------
    classes : ndarray of shape (n_samples,), int
    probabilities : ndarray of shape (n_points, n_classes)
        One-hot predictions for a model without probabilities.
    """
    name, labels = type(model).__name__, getattr(model, "classes_", None)
    if not hasattr(model, "predict") or labels is None or any(np.ndim(label) for label in labels):
        raise TypeError(
            "draw_boundary needs a network or a fitted classifier, which has predict and classes_, got "
            f"{name}. A model that is not fitted has no classes yet, and a regressor never has."
        )
    if y.size != len(y):
        raise ValueError(f"draw_boundary: y must be one label for each point for {name}, got shape {y.shape}.")
    known, given = {label: k for k, label in enumerate(np.asarray(labels).tolist())}, y.ravel().tolist()
    unknown = [label for label in dict.fromkeys(given) if label not in known]
    if unknown:
        raise ValueError(
            f"draw_boundary: y must be classes of the {name}, which are {list(known)}; there is also "
            f"{', '.join(map(repr, unknown[:5]))}{', ...' if len(unknown) > 5 else ''}."
        )
    if hasattr(model, "predict_proba"):
        probabilities = np.asarray(model.predict_proba(points))
    else:
        predicted = np.ravel(model.predict(points)).tolist()
        probabilities = np.eye(len(known))[[known[label] for label in predicted]]
    if len(known) == 1:  # a single column would be read as the second class
        probabilities = np.column_stack([probabilities, np.zeros(len(points))])
    return np.array([known[label] for label in given]), probabilities


def as_epochs(epochs: Iterable[int]) -> tuple[int, ...]:
    """Return sorted whole numbers of at least 0, or raise an error."""
    given = list(epochs) if isinstance(epochs, Iterable) else []
    if not given or any(not isinstance(e, (int, np.integer)) or isinstance(e, bool) or e < 0 for e in given):
        raise ValueError(
            "BoundaryRecorder: epochs must be whole numbers of at least 0, as in (0, 1, 10, 100), "
            f"got {epochs!r}."
        )
    return tuple(sorted({int(epoch) for epoch in given}))


def growing_epochs(last: int) -> tuple[int, ...]:
    """Return 0 and up to five epochs with growing distances, from 1 to the last."""
    return tuple(sorted({0, *(int(epoch) for epoch in np.geomspace(1, last, 5).round())}))
