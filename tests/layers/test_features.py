"""Layers for features of tables: known values, laws, and errors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import OneHotEncoder

from layernet import (
    Adam,
    CategoryEmbedding,
    Concat,
    Dense,
    FeatureScale,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    SelectFeatures,
    Sequential,
    SmoothClip,
)
from layernet.engine.choice import has_numba
from layernet.layers.number_embeddings import quantile_edges

ENGINES = ["formulas", *(["compiled"] if has_numba() else [])]


def test_an_embedding_of_categories_is_a_dense_layer_of_their_one_hot_columns(random):
    levels = np.column_stack([random.integers(0, n, 50) for n in (3, 5)])
    columns = OneHotEncoder(categories=[range(3), range(5)], sparse_output=False).fit_transform(levels)
    embedding, grad_output = CategoryEmbedding([3, 5], width=4).build(2), random.standard_normal((50, 8))
    outputs = embedding.forward_pass(levels)
    assert_allclose(outputs[:, :4], columns[:, :3] @ embedding.weights[:3])
    assert_allclose(outputs[:, 4:], columns[:, 3:] @ embedding.weights[3:])
    embedding.backward_pass(levels, grad_output)
    assert_allclose(embedding.grad_weights[:3], columns[:, :3].T @ grad_output[:, :4])
    assert_allclose(embedding.grad_weights[3:], columns[:, 3:].T @ grad_output[:, 4:])


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_level_is_embedded_as_zeros(engine):
    embedding = CategoryEmbedding([3], width=2).build(1)
    plan = embedding.compile_for_inference(engine)
    strange = [[-1.0], [-0.5], [3.0], [1e30], [np.inf], [-np.inf]]
    assert_array_equal(plan(strange), np.zeros((6, 2)))
    assert_array_equal(embedding.compile_for_inference(engine)([[0], [2]]), embedding.weights[[0, 2]])


def test_pieces_sum_to_the_share_of_the_range_that_is_below(random):
    edges = [-2.0, -0.5, 0.0, 1.0, 4.0]
    layer = PiecewiseLinearEncoding([edges]).build(1)
    x = random.uniform(-3, 5, (200, 1))
    lengths = np.diff(edges)
    parts = layer.forward_pass(x)
    assert_allclose((parts * lengths).sum(axis=1), np.clip(x[:, 0], -2, 4) + 2)
    for lowest in (-1, 0.5):
        shifted = PiecewiseLinearEncoding([edges], lowest).build(1)
        assert_allclose(shifted.forward_pass(x), lowest + (1 - lowest) * parts)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40), st.integers(1, 16))
def test_quantile_edges_increase_and_span_the_values(values, n_pieces):
    edges = quantile_edges(np.array([*values, np.nan]), n_pieces)
    assert (np.diff(edges) > 0).all()
    assert edges[0] == min(values)
    assert edges[-1] == max(values)
    assert len(edges) <= n_pieces + 1


def test_an_encoding_from_rows_has_the_quantiles_as_edges(random):
    rows = random.uniform(-1, 3, (1000, 2))
    layer = PiecewiseLinearEncoding.from_rows(rows, n_pieces=4)
    assert_allclose(layer.edges, np.quantile(rows, [0, 0.25, 0.5, 0.75, 1], axis=0).T)
    assert layer.build(2).forward_pass(rows).mean(axis=0) == pytest.approx(
        [0.875, 0.625, 0.375, 0.125] * 2, abs=0.02
    )


def test_an_encoding_keeps_which_feature_is_whose_in_other_types():
    layer = PiecewiseLinearEncoding([[0, 1, 2], [0, 4]]).build(2)
    assert layer.astype("float32").features.dtype == layer.features.dtype
    assert_allclose(layer.astype("float32").forward_pass([[1.5, 1]]), [[1, 0.5, 0.25]])


def test_periodic_embedding_by_hand(random):
    embedding = PeriodicEmbedding(n_frequencies=3, width=2, standard_deviation=1.0).build(2, random_state=0)
    x = random.standard_normal((5, 2))
    outputs = embedding.forward_pass(x)
    assert_array_equal(outputs[:, [0, 3]], x)
    for row, feature, mix in ((0, 0, 0), (4, 1, 1)):
        weights = embedding.weights[feature * 2 + mix]
        angles = 2 * math.pi * embedding.frequencies[feature] * x[row, feature] + embedding.phases[feature]
        expected = embedding.bias[feature * 2 + mix] + sum(
            w * math.cos(a) for w, a in zip(weights, angles, strict=True)
        )
        assert outputs[row, feature * 3 + 1 + mix] == pytest.approx(expected)


def test_initial_values_of_the_periodic_embedding():
    embedding = PeriodicEmbedding(64, width=8, standard_deviation=0.1).build(20, random_state=0)
    assert embedding.frequencies.std() == pytest.approx(0.1, rel=0.05)
    assert abs(embedding.frequencies.mean()) < 0.01
    for values, bound in ((embedding.phases, math.pi), (embedding.weights, 1 / 8), (embedding.bias, 1 / 8)):
        assert np.abs(values).max() <= bound
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_an_embedding_learns_a_wave_that_a_linear_layer_cannot(random):
    x = random.uniform(-2, 2, (400, 1))
    y = np.cos(2 * math.pi * x)
    losses = {}
    for name, front in (("number", SelectFeatures(0)), ("cosines", PeriodicEmbedding(standard_deviation=1.0))):
        network = Sequential([front, Dense(1)])
        history = network.fit(x, y, "mean_squared_error", Adam(0.02), epochs=60, batch_size=20, random_state=0)
        losses[name] = history["loss"][-1]
    assert losses["cosines"] < 0.02
    assert losses["number"] > 0.4


@pytest.mark.parametrize("engine", ENGINES)
def test_smooth_clip_keeps_small_numbers_and_bounds_large_ones(engine):
    plan = SmoothClip(2).build(1).compile_for_inference(engine)
    x = np.array([0, 1e-8, -1e-8, 0.5, 1e20, -1e200, np.inf, -np.inf])
    expected = [0, 1e-8, -1e-8, 0.5 / math.sqrt(1 + 0.0625), 2, -2, 2, -2]
    if engine == "formulas":
        x, expected = x[:-2], expected[:-2]  # inputs are finite: the quotient of two infinities is no number
    assert_allclose(plan(x[:, None])[:, 0], expected, rtol=1e-14)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_table_of_numbers_and_categories_trains(engine, random):
    numbers, levels = random.standard_normal((300, 2)), random.integers(0, 4, (300, 1))
    effects = np.array([-1.0, 2.0, 0.0, 1.0])
    y = np.sin(3 * numbers[:, :1]) + effects[levels]
    front = Concat([
        Sequential([SelectFeatures(0, 2), PeriodicEmbedding(8, 2), FeatureScale(rate=6)]),
        Sequential([SelectFeatures(2), CategoryEmbedding([4], 3)]),
    ])  # fmt: skip
    network = Sequential([front, Dense(16), SmoothClip(), Dense(1)])
    history = network.fit(
        np.hstack([numbers, levels]),
        y,
        "mean_squared_error",
        Adam(0.01),
        epochs=60,
        random_state=0,
        engine=engine,
    )
    assert history["loss"][-1] < 0.1 * y.var()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SelectFeatures(-1), ValueError, "start must be at least 0"),
        (lambda: SelectFeatures(2, 2), ValueError, "stop must be .*at least 3, got 2"),
        (lambda: SelectFeatures(1.5), TypeError, "start must be an integer"),
        (lambda: SelectFeatures(0, 5).build(4), ValueError, "at least 5 features, got 4"),
        (lambda: SelectFeatures(4).build(4), ValueError, "at least 5 features, got 4"),
        (lambda: FeatureScale().build((2, 3)), ValueError, "Flatten"),
        (lambda: CategoryEmbedding(3), ValueError, "n_levels"),
        (lambda: CategoryEmbedding([]), ValueError, "n_levels"),
        (lambda: CategoryEmbedding([3, 0]), ValueError, "n_levels must be at least 1, got 0"),
        (lambda: CategoryEmbedding([3], width=True), TypeError, "width must be an integer"),
        (lambda: CategoryEmbedding([3, 2]).build(3), ValueError, "2 categories, got 3 columns"),
        (lambda: PeriodicEmbedding(0), ValueError, "n_frequencies must be at least 1"),
        (lambda: PiecewiseLinearEncoding([]), ValueError, "edges"),
        (lambda: PiecewiseLinearEncoding([[0, 1], [2]]), ValueError, r"edges\[1\] .* got \(2.0,\)"),
        (lambda: PiecewiseLinearEncoding([[0, 1, 1]]), ValueError, "increasing"),
        (lambda: PiecewiseLinearEncoding([[0, np.nan]]), ValueError, "finite"),
        (lambda: PiecewiseLinearEncoding([[0, 1]], lowest=1), ValueError, "lowest must be .*, got 1"),
        (lambda: PiecewiseLinearEncoding([[0, 1]]).build(2), ValueError, "edges of 1 features, got 2"),
    ],
)
def test_errors_name_the_layer_and_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()
