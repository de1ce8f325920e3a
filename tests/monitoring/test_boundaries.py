"""Films of decision boundaries and neurons: what is kept, what is drawn, what is left alone."""

import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from layernet import (
    SGD,
    BatchNorm,
    Concat,
    Dense,
    Dropout,
    EarlyStopping,
    Identity,
    Layer,
    LogSoftmax,
    NotBuiltError,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from layernet.estimators import MLPClassifier, MLPRegressor
from layernet.monitoring.boundaries import BoundaryRecorder, draw_boundary
from layernet.monitoring.mosaics import blue_to_orange, mosaic, write_signs
from layernet.monitoring.planes import class_colors, classes_of, grid_axes, neurons_and_outputs

pytestmark = pytest.mark.slow

matplotlib.use("Agg")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 2))
Y = (X.sum(axis=1) > 0).astype(int)
QUARTERS = (X[:, 0] > 0) + 2 * (X[:, 1] > 0)


@pytest.fixture
def plt():
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def network(units=1, hidden=5):
    return Sequential([Dense(hidden), Tanh(), Dense(units)])


def filmed(net=None, X=X, y=Y, loss="binary_cross_entropy", epochs=6, callbacks=(), **options):
    film = BoundaryRecorder(X, y, **{"resolution": 12, **options})
    net = network() if net is None else net
    net.fit(X, y, loss, SGD(0.1), epochs=epochs, callbacks=[film, *callbacks], random_state=0)
    return net, film


def points_of(film):
    return np.array([[x, y] for y in film.vertical for x in film.horizontal])


# --- what is kept ---


def test_pictures_of_the_epochs_that_were_asked_for_only():
    film = filmed_at((4, 0, 2, 2))
    assert [frame.epoch for frame in film.frames] == [0, 2, 4]
    assert film.frames[0].loss is None
    assert repr(film) == "BoundaryRecorder of 60 points, after epochs 0, 2 and 4"
    assert [frame.epoch for frame in filmed_at([3]).frames] == [3]
    assert [frame.epoch for frame in filmed_at(range(5, 50)).frames] == [5, 6]


def filmed_at(epochs, planned=6):
    film = BoundaryRecorder(X, Y, epochs=epochs, resolution=4)
    history = network().fit(X, Y, "binary_cross_entropy", epochs=planned, callbacks=[film], random_state=0)
    for frame in film.frames:
        assert frame.loss == (history["loss"][frame.epoch - 1] if frame.epoch else None)
    return film


@pytest.mark.parametrize(("planned", "kept"), [(1, [0, 1]), (16, [0, 1, 2, 4, 8, 16]), (3, [0, 1, 2, 3])])
def test_by_default_pictures_ever_farther_apart(planned, kept):
    assert [frame.epoch for frame in filmed_at(None, planned).frames] == kept


def test_maps_are_the_forward_pass_on_the_grid():
    net, film = filmed(epochs=6)
    last = film.frames[-1]
    assert last.epoch == 6
    points = points_of(film)
    assert np.array_equal(last.outputs.reshape(-1, 1), net.forward_pass(points))
    (hidden,) = last.hidden
    assert np.array_equal(hidden.reshape(-1, 5), net[:2].forward_pass(points))
    built = network().build(2, random_state=0)
    assert np.array_equal(film.frames[0].outputs.reshape(-1, 1), built.forward_pass(points))


class TwiceTheChain(Sequential):
    def record(self, inputs):
        outputs, record = super().record(inputs)
        return 2 * outputs, record

    def forward_pass(self, inputs):
        return 2 * super().forward_pass(inputs)

    def backward_from(self, record, grad_output):
        return super().backward_from(record, 2 * grad_output)


def test_chains_with_passes_of_their_own_are_asked_as_a_whole():
    film = BoundaryRecorder(X, Y, epochs=[2], resolution=9)
    net = Sequential([TwiceTheChain([Dense(3), Tanh()]), Dense(1)])
    net.fit(X, Y, "binary_cross_entropy", SGD(0.1), epochs=2, callbacks=[film], random_state=0)
    (frame,) = film.frames
    assert np.allclose(frame.outputs.reshape(-1, 1), net.forward_pass(points_of(film)))
    assert np.allclose(frame.hidden[0].reshape(-1, 3), net[:1].forward_pass(points_of(film)))


def test_rows_go_up_and_columns_to_the_right_a_little_beyond_the_points():
    first = Dense(2, use_bias=False)
    first.weights = np.eye(2)
    net = Sequential([first, Identity(), Dense(1)])
    film = BoundaryRecorder(X, Y, epochs=[0], resolution=9)
    net.fit(X, Y, "binary_cross_entropy", SGD(0.0), epochs=1, callbacks=[film])
    right, up = np.moveaxis(film.frames[0].hidden[0], -1, 0)
    assert np.allclose(right, np.broadcast_to(film.horizontal, (9, 9)))
    assert np.allclose(up, np.broadcast_to(film.vertical[:, None], (9, 9)))
    for axis, coordinates in enumerate((film.horizontal, film.vertical)):
        assert np.allclose(np.diff(coordinates, 2), 0)
        low, high = X[:, axis].min(), X[:, axis].max()
        margin = 0.2 * (high - low)
        assert low - margin < coordinates[0] < low < high < coordinates[-1] < high + margin


@pytest.mark.parametrize("engine", ["formulas", "auto"])
def test_training_is_the_same_with_it_to_the_last_bit(engine):
    def trained(callbacks):
        net = Sequential([Dense(8), BatchNorm(), ReLU(), Dropout(0.2), Dense(1)])
        net.fit(X, Y, "binary_cross_entropy", epochs=5, callbacks=callbacks, random_state=0, engine=engine)
        return net

    plain, seen = trained([]), trained([BoundaryRecorder(X, Y, epochs=range(6), resolution=5)])
    assert np.array_equal(plain.parameter_vector, seen.parameter_vector)
    for name, value in plain.state().items():
        assert np.array_equal(value, seen.state()[name])


def test_a_film_begins_anew_with_every_training():
    net, film = filmed(epochs=2)
    net.fit(X, Y, "binary_cross_entropy", epochs=3, callbacks=[film])
    assert [frame.epoch for frame in film.frames] == [0, 1, 2, 3]


def test_a_training_that_ends_early_leaves_the_pictures_before():
    _, film = filmed(epochs=50, callbacks=[EarlyStopping("loss", patience=1, min_delta=10)])
    assert [frame.epoch for frame in film.frames] == [0, 1]


class MySigmoid(Sigmoid):
    """A sigmoid by another name."""


class Doubled(Layer):
    """A layer of one's own, with a matrix and an activation in one."""

    def create_parameters(self, input_shape):
        self.add_parameter("matrix", (*input_shape, 3))

    def forward_pass(self, inputs):
        return np.abs(inputs @ self.matrix)

    def backward_pass(self, inputs, grad_output):
        slope = np.sign(inputs @ self.matrix) * grad_output
        self.grad_matrix = inputs.T @ slope
        return slope @ self.matrix.T


@pytest.mark.parametrize(
    ("layers", "widths", "bounds"),
    [
        ([Dense(1)], [], []),
        ([Dense(4), Sigmoid(), Dense(1)], [4], [(0, 1)]),
        ([Dense(4), Dense(1)], [4], [None]),
        ([Dense(4), BatchNorm(), Tanh(), Dropout(0.5), Dense(3), ReLU(), Dense(1)], [4, 3], [(-1, 1), None]),
        ([Sequential([Dense(4), Sigmoid()]), Sequential([Dense(2), Dense(1)])], [4, 2], [(0, 1), None]),
        ([BatchNorm(), Dense(4), ReLU(), Residual(Dense(4)), Tanh(), Dense(1)], [4, 4], [None, (-1, 1)]),
        ([Concat([Dense(2), Dense(3)]), Tanh(), Dense(1)], [5], [(-1, 1)]),
        ([Doubled(), Dense(1), Sigmoid()], [3], [None]),
        ([Dense(4), MySigmoid(), Dense(1)], [4], [(0, 1)]),
    ],
)
def test_hidden_neurons_are_what_the_next_weighted_sum_sees(layers, widths, bounds):
    net = Sequential(layers).build(2, random_state=0)
    hidden, outputs = neurons_and_outputs(net, X)
    assert [values.shape for values, _ in hidden] == [(60, width) for width in widths]
    assert [found for _, found in hidden] == bounds
    assert np.array_equal(outputs, net.forward_pass(X))


def test_of_many_neurons_the_first_are_kept_and_the_plot_says_so(plt):
    net, film = filmed(network(hidden=30), max_neurons=7, epochs=1)
    assert film.frames[1].hidden[0].shape == (12, 12, 7)
    assert np.array_equal(film.frames[1].hidden[0].reshape(-1, 7), net[:2].forward_pass(points_of(film))[:, :7])
    assert film.plot().axes[2].get_ylabel().split() == ["hidden", "neurons,", "the", "first", "7", "of", "30"]
    assert "of 5" not in filmed()[1].plot().axes[6].get_ylabel()


# --- where the boundary is ---


def line(weights, bias, *after):
    """A network whose output is known: weights x + bias."""
    dense = Dense(1)
    dense.weights, dense.bias = np.array(weights, float)[:, None], np.array([bias], float)
    return Sequential([dense, *after]).build(2)


def drawn_lines(axes):
    return [path for collection in axes.collections for path in collection.get_paths() if len(path.vertices)]


@pytest.mark.parametrize(("net", "threshold", "offset"), [
    (line([1, 2], -0.5), None, 0.5),
    (line([1, 2], -0.5), 0.75, 1.25),
    (line([1, 2], -0.5, Sigmoid()), None, 0.5),
])  # fmt: skip
def test_the_boundary_of_a_linear_network_is_its_line(plt, net, threshold, offset):
    axes = plt.figure().subplots()
    draw_boundary(axes, net, X, Y, threshold=threshold)
    (path,) = drawn_lines(axes)
    # x + 2 y = offset; a contour between points of the grid is exact where the output is linear.
    tolerance = 1e-9 if not isinstance(net[-1], Sigmoid) else 1e-2
    assert np.abs(path.vertices @ [1, 2] - offset).max() < tolerance
    assert np.ptp(path.vertices[:, 0]) > 0.8 * np.ptp(axes.get_xlim())


@pytest.mark.parametrize("end", [[], [Softmax()], [LogSoftmax()]], ids=["logits", "softmax", "log softmax"])
def test_boundaries_of_several_classes_are_where_two_are_even(plt, end):
    dense = Dense(3, use_bias=False)
    dense.weights = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    net = Sequential([dense, *end]).build(2)
    axes = plt.figure().subplots()
    draw_boundary(axes, net, X, np.zeros(60, int))
    for path in drawn_lines(axes):
        scores = np.sort(np.c_[np.zeros(len(path.vertices)), path.vertices])
        assert np.abs(scores[:, 2] - scores[:, 1]).max() < 0.05  # the two largest of 0, x and y
    assert len(drawn_lines(axes)) >= 3


def color_at(axes, x, y):
    picture = axes.images[0].get_array()
    (left, right, bottom, top), (height, width) = axes.images[0].get_extent(), picture.shape[:2]
    row, column = (y - bottom) / (top - bottom) * height, (x - left) / (right - left) * width
    return picture[int(row), int(column)]


@pytest.mark.parametrize("units", [2, 3])
def test_class_numbers_may_be_a_column_for_several_outputs_too(plt, units):
    axes = plt.figure().subplots()
    draw_boundary(axes, network(units).build(2, random_state=0), X, Y[:, None], resolution=10)
    assert np.array_equal(axes.lines[1].get_xydata(), X[Y == 1])


@pytest.mark.parametrize("y", [Y, 2 * Y - 1, Y[:, None], Y.astype(bool), Y.astype(float)])
def test_colors_and_markers_are_those_of_the_classes(plt, y):
    axes = plt.figure().subplots()
    draw_boundary(axes, line([5, 5], 0), X, y)
    low, high = color_at(axes, -1, -1), color_at(axes, 1, 1)
    assert low[2] > low[0]  # class 0: blue
    assert high[0] > high[2]  # class 1: orange
    first, second = axes.lines
    assert (first.get_color(), second.get_color()) == ("#0072B2", "#D55E00")
    assert first.get_marker() != second.get_marker()
    assert np.array_equal(first.get_xydata(), X[Y == 0])
    assert np.array_equal(second.get_xydata(), X[Y == 1])
    assert np.abs(color_at(axes, 0, 0) - 1).max() < 0.2  # not sure: nearly white


@pytest.mark.parametrize("model", [LogisticRegression(), LinearSVC()], ids=["with probabilities", "without"])
@pytest.mark.parametrize("labels", [np.array(["left", "right"]), np.array([3, 7])], ids=["words", "numbers"])
@pytest.mark.parametrize("as_column", [False, True])
def test_any_classifier_with_predict(plt, model, labels, as_column):
    axes = plt.figure().subplots()
    y = labels[Y][:, None] if as_column else labels[Y]
    draw_boundary(axes, model.fit(X, labels[Y]), X, y, resolution=40)
    assert np.array_equal(axes.lines[1].get_xydata(), X[Y == 1])
    assert color_at(axes, -2, -2)[2] > color_at(axes, -2, -2)[0]
    assert color_at(axes, 2, 2)[0] > color_at(axes, 2, 2)[2]
    assert len(axes.lines) == 2
    lines = drawn_lines(axes)
    assert lines
    cell = np.ptp(axes.get_xlim()) / 39
    for path in lines:
        weights, bias = model.coef_[0], model.intercept_[0]
        assert np.abs(path.vertices @ weights + bias).max() / np.linalg.norm(weights) < 1.5 * cell


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_classifier_of_named_columns_is_asked_by_these_names(plt, kind):
    table = kind(dict(zip(["height", "width"], X.T, strict=True)))
    reads_columns = make_pipeline(ColumnTransformer([("one", "passthrough", ["width"])]), LogisticRegression())
    for model in (MLPClassifier((3,), max_iter=300, tol=1, random_state=0), reads_columns):
        named, bare = plt.figure().subplots(1, 2)
        draw_boundary(named, model.fit(table, Y), table, Y, resolution=10)
        if model is not reads_columns:
            draw_boundary(bare, model.fit(X, Y), X, Y, resolution=10)
            assert np.array_equal(named.images[0].get_array(), bare.images[0].get_array())


def test_a_classifier_of_a_single_class_fills_the_plane_with_its_colour(plt):
    axes = plt.figure().subplots()
    draw_boundary(axes, DecisionTreeClassifier().fit(X, np.full(60, 5)), X, np.full(60, 5), resolution=10)
    assert color_at(axes, 0, 0)[2] > color_at(axes, 0, 0)[0]
    assert [line.get_color() for line in axes.lines] == ["#0072B2"]


def test_points_of_classes_that_are_missing_keep_their_colour(plt):
    axes = plt.figure().subplots()
    model = LogisticRegression().fit(X, np.array(["a", "b", "c", "d"])[QUARTERS])
    draw_boundary(axes, model, X[QUARTERS == 2], np.full((QUARTERS == 2).sum(), "c"), resolution=10)
    assert [line.get_color() for line in axes.lines] == ["#009E73"]


def test_no_two_of_eight_classes_look_alike(plt):
    dense = Dense(8)
    axes = plt.figure().subplots()
    draw_boundary(axes, Sequential([dense]).build(2, random_state=0), X, np.arange(60) % 8, resolution=10)
    assert len(axes.lines) == 8
    assert len({(line.get_color(), line.get_marker()) for line in axes.lines}) == 8


def test_shades_are_white_where_all_classes_are_alike():
    probabilities = np.array([[[1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [0.4, 0.5, 0.1]]])
    white, blue, orange = class_colors(probabilities)[0]
    assert np.allclose(white, 1)
    assert blue.argmax() == 2
    assert orange.argmax() == 0
    assert (1 - orange).max() < (1 - blue).max()


# --- the film ---


@pytest.mark.parametrize(("layers", "rows"), [
    ([Dense(1)], 1),
    ([Dense(3), Tanh(), Dense(1)], 2),
    ([Dense(3), Tanh(), Dense(9), ReLU(), Dense(1)], 3),
])  # fmt: skip
def test_a_column_for_each_picture_and_a_row_for_the_output_and_each_hidden_layer(plt, layers, rows):
    film = BoundaryRecorder(X, Y, epochs=[0, 2, 3, 5], resolution=10)
    Sequential(layers).fit(X, Y, "binary_cross_entropy", epochs=5, callbacks=[film])
    figure = film.plot()
    assert len(figure.axes) == 4 * rows
    titles = [axes.get_title().splitlines()[0] for axes in figure.axes[:4]]
    assert titles == ["epoch 0", "epoch 2", "epoch 3", "epoch 5"]
    assert f"loss {film.frames[3].loss:.3g}" in figure.axes[3].get_title()
    assert len(film.plot(neurons=False).axes) == 4
    figure.draw_without_rendering()


@pytest.mark.parametrize(("n_pictures", "n_columns"), [(6, 6), (7, 4), (12, 6), (13, 5)])
def test_of_many_pictures_the_later_ones_go_on_below(plt, n_pictures, n_columns):
    film = BoundaryRecorder(X, Y, epochs=range(n_pictures), resolution=5)
    network().fit(X, Y, "binary_cross_entropy", epochs=n_pictures - 1, callbacks=[film])
    figure = film.plot()
    assert figure.get_size_inches()[0] < 12
    assert len(figure.axes) == 2 * n_pictures
    titles = {axes.get_title().splitlines()[0]: axes for axes in figure.axes if axes.get_title()}
    assert len(titles) == n_pictures
    figure.draw_without_rendering()
    for epoch in range(n_pictures):
        place, first = titles[f"epoch {epoch}"].get_position(), titles["epoch 0"].get_position()
        assert (place.y0 < first.y0 - 0.1) == (epoch >= n_columns)
        assert np.isclose(place.x0, titles[f"epoch {epoch % n_columns}"].get_position().x0)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels.count("output") == -(-n_pictures // n_columns)


def test_labels_of_many_layers_do_not_overlap(plt):
    layers = [layer for _ in range(5) for layer in (Dense(4), Tanh())]
    _, film = filmed(Sequential([*layers, Dense(1)]), epochs=2)
    figure = film.plot()
    figure.draw_without_rendering()
    extents = [axes.yaxis.label.get_window_extent() for axes in figure.axes if axes.get_ylabel()]
    assert len(extents) == 6
    for above, below in pairwise(extents):
        assert above.y0 >= below.y1
    assert min(extent.x0 for extent in extents) >= 0
    assert extents[-1].y0 >= 0


@pytest.mark.parametrize(("end", "loss"), [([], "cross_entropy"), ([Softmax()], "mean_squared_error")])
def test_films_of_several_classes(plt, end, loss):
    net = Sequential([Dense(6), Sigmoid(), Dense(4), *end])
    targets = QUARTERS if loss == "cross_entropy" else np.eye(4)[QUARTERS]
    net, film = filmed(net, y=targets, loss=loss, epochs=2)
    assert np.array_equal(film.frames[-1].outputs.reshape(-1, 4), net.forward_pass(points_of(film)))
    figure = film.plot()
    assert len(figure.axes) == 2 * len(film.frames)
    for k, drawn in enumerate(figure.axes[0].lines):
        assert np.array_equal(drawn.get_xydata(), X[k == QUARTERS])


def test_it_draws_into_a_part_of_a_figure(plt):
    _, film = filmed(epochs=2)
    upper, lower = plt.figure().subfigures(2, 1)
    assert film.plot(figure=upper) is upper
    assert len(upper.axes) == 6
    assert len(lower.axes) == 0


def test_a_mosaic_shows_each_map_upright_in_its_own_frame():
    maps = np.zeros((24, 24, 5))
    maps[-1, :, 0] = 2.0  # the upper edge of the first
    maps[:, :, 4] = -3.0
    picture = mosaic(maps, None)
    assert picture.shape == (2 * 26 + 2, 4 * 26 + 3 * 2, 3)
    assert np.allclose(picture[0, :26], 0.7)
    assert np.allclose(picture[0, 26:28], 1)
    orange, blue = blue_to_orange(np.array([1.0, -1.0]), (-1, 1))
    assert np.allclose(picture[1, 1:25], orange)
    assert np.allclose(picture[2:25, 1:25], 1)
    assert np.allclose(picture[29:53, 1:25], blue)
    assert np.allclose(picture[26:28], 1)
    assert np.allclose(picture[28:, 28:], 1)  # no sixth


def test_signs_say_what_the_colors_do(plt):
    maps = np.zeros((24, 24, 3))
    maps[-1, -1, 0], maps[0, 0, 0] = 2.0, -1.0  # high in the upper right corner, low in the lower left one
    maps[12, 6, 1] = -3.0
    _, axes = plt.subplots()
    axes.imshow(mosaic(maps, None))
    write_signs(axes, maps, None)
    signs = [(text.get_text(), *map(float, text.get_position())) for text in axes.texts]
    assert [sign for sign, _, _ in signs] == ["+", "\u2212", "\u2212"]
    (_, x, y), (_, x_low, y_low), (_, x_second, y_second) = signs
    assert 13 < x < 25 > 1 < y < 12
    assert x_low < 12 < y_low < 25
    assert (x_second, y_second) == (1 + 24 + 2 + 2 + 6, 1 + 11)
    pale = np.full((24, 24, 1), 0.55)
    write_signs(axes, pale, (0.0, 1.0))
    assert len(axes.texts) == 3


def test_bounded_neurons_are_shown_between_their_bounds():
    low, half, high = blue_to_orange(np.array([0.0, 0.5, 1.0]), (0.0, 1.0))
    assert np.allclose(half, 1)
    assert low.argmax() == 2
    assert high.argmax() == 0
    own = blue_to_orange(np.array([-1.0, 0.0, 4.0]), None)
    assert np.allclose(own[1], 1)
    assert np.allclose(own[2], high)
    assert not np.allclose(own[0], low)
    assert np.allclose(blue_to_orange(np.zeros(3), None), 1)


def test_what_is_about_to_diverge_can_still_be_drawn(plt):
    film = BoundaryRecorder(X, Y, epochs=[0], resolution=8)
    net = Sequential([Dense(2), Dense(1)]).build(2, random_state=0)
    net.parameter_vector[:] = 1e308
    film.on_train_begin(type("Run", (), {"network": net, "epochs": 1}))
    film.plot().draw_without_rendering()


# --- what is refused ---


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"X": X[:, :1]}, "points of a plane"),
        ({"X": np.full((60, 2), np.nan)}, "X must be finite"),
        ({"X": np.empty((0, 2)), "y": []}, "points of a plane"),
        ({"y": Y[:-1]}, "one class for each of 60 points, got 59"),
        ({"epochs": 5}, "epochs must be whole numbers"),
        ({"epochs": [1, -1]}, "epochs must be whole numbers"),
        ({"epochs": [0.5]}, "epochs must be whole numbers"),
        ({"epochs": []}, "epochs must be whole numbers"),
        ({"resolution": 1}, "resolution must be at least 2"),
        ({"resolution": 2.5}, "resolution must be a whole number"),
        ({"max_neurons": 0}, "max_neurons must be a whole number"),
        ({"threshold": np.inf}, "threshold must be None or finite"),
    ],
)
def test_bad_arguments(options, said):
    with pytest.raises(ValueError, match=said):
        BoundaryRecorder(**{"X": X, "y": Y, **options})


def test_a_network_that_is_not_over_a_plane_is_refused_before_the_first_step():
    net = network().build(3, random_state=0)
    before = net.parameter_vector.copy()
    with pytest.raises(ValueError, match="needs a network with 2 inputs"):
        net.fit(np.zeros((60, 3)), Y, "binary_cross_entropy", callbacks=[BoundaryRecorder(X, Y)])
    assert np.array_equal(net.parameter_vector, before)


@pytest.mark.parametrize(
    ("y", "shape", "said"),
    [
        (np.linspace(0, 1, 5), (1,), "0 and 1, or -1 and 1"),
        (np.arange(5), (3,), "class numbers from 0 to 2"),
        (np.zeros((5, 2)), (3,), "rows of 3 probabilities"),
        (np.zeros(5), (2, 2), r"rows of \(2, 2\)"),
        (np.array(["0", "1"]), (1,), r"np.unique\(y, return_inverse=True\)"),
        (np.array(["a", "b", "c"]), (3,), r"np.unique\(y, return_inverse=True\)"),
        (np.array([3, 7]), (2,), r"np.unique\(y, return_inverse=True\)"),
    ],
)
def test_targets_that_are_no_classes(y, shape, said):
    with pytest.raises(ValueError, match=said):
        classes_of(y, shape)


def test_a_film_of_words_says_how_to_number_them():
    words = np.array(["left", "right"])[Y]
    classifier = MLPClassifier(hidden_layer_sizes=(3,), callbacks=[BoundaryRecorder(X, words)])
    with pytest.raises(ValueError, match=r"np.unique\(y, return_inverse=True\)"):
        classifier.fit(X, words)


COLORED = LogisticRegression().fit(X, np.array(["blue", "red"])[Y])


@pytest.mark.parametrize(
    ("model", "y", "options", "error", "said"),
    [
        (COLORED, np.where(Y, "green", "blue"), {}, ValueError, r"\['blue', 'red'\]; there is also 'green'\."),
        (COLORED, Y, {}, ValueError, r"there is also \d, \d\."),
        (COLORED, np.where(Y, np.nan, 1), {}, ValueError, "there is also"),
        (COLORED, np.arange(60), {}, ValueError, r"there is also 0, 1, 2, 3, 4, \.\.\.\."),
        (COLORED, np.eye(2)[Y], {}, ValueError, r"one label for each point .* got shape \(60, 2\)"),
        (COLORED, np.array(["blue"] * 59), {}, ValueError, "one class for each of 60 points, got 59"),
        (COLORED, "blue", {}, ValueError, "one class for each of 60 points, got 'blue'"),
        (COLORED, np.where(Y, "red", "blue"), {"threshold": 0.3}, ValueError, "threshold is for networks"),
        (LogisticRegression(), Y, {}, TypeError, "not fitted has no classes"),
        (LinearRegression().fit(X, Y), Y, {}, TypeError, "a regressor never has"),
        (
            MLPRegressor(hidden_layer_sizes=(2,), learning_rate_init=0.05, random_state=0).fit(X, Y),
            Y,
            {},
            TypeError,
            "got MLPRegressor",
        ),
        (DecisionTreeClassifier().fit(X, np.c_[Y, QUARTERS]), Y, {}, TypeError, "got DecisionTreeClassifier"),
        (line([1, 1], 0), Y[:-1], {}, ValueError, "one class for each of 60 points, got 59"),
        (line([1, 1], 0), QUARTERS, {}, ValueError, "0 and 1, or -1 and 1"),
    ],
)
def test_no_picture_that_would_be_wrong(plt, model, y, options, error, said):
    axes = plt.figure().subplots()
    with pytest.raises(error, match=said):
        draw_boundary(axes, model, X, y, resolution=10, **options)
    assert not axes.has_data()


def test_a_network_that_is_not_built_is_not_built_at_random(plt):
    net = Sequential([Dense(2)])
    with pytest.raises(NotBuiltError, match="call build"):
        draw_boundary(plt.figure().subplots(), net, X, Y)
    assert net.input_shape is None


def test_drawing_what_cannot_be_drawn(plt):
    axes = plt.figure().subplots()
    with pytest.raises(TypeError, match="network or a fitted classifier"):
        draw_boundary(axes, "a network", X, Y)
    with pytest.raises(ValueError, match="points of a plane"):
        draw_boundary(axes, network(), np.zeros((60, 3)), Y)
    with pytest.raises(ValueError, match="expects inputs of shape"):
        draw_boundary(axes, network().build(3), X, Y)
    with pytest.raises(ValueError, match="has recorded no frame"):
        BoundaryRecorder(X, Y).plot()
    assert repr(BoundaryRecorder(X, Y)) == "BoundaryRecorder of 60 points, empty"


def test_plotting_without_matplotlib_names_the_pip_command(monkeypatch):
    _, film = filmed(epochs=1)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        film.plot()
    with pytest.raises(ImportError, match="pip install matplotlib"):
        draw_boundary(None, network(), X, Y)


def test_a_grid_axes_a_single_point_has_a_width():
    horizontal, vertical = grid_axes(np.array([[1.0, 2.0]]), 3)
    assert horizontal[0] < 1 < horizontal[-1]
    assert vertical[1] == 2
