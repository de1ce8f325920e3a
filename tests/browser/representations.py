"""Everything that shows itself as HTML, by name: a function that makes it."""

import functools
import warnings

import numpy as np
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from layernet import (
    GELU,
    SGD,
    BatchNorm,
    Concat,
    Dense,
    Dropout,
    Flatten,
    History,
    LayerNorm,
    MLPClassifier,
    Monitor,
    NetworkClassifier,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    TabularClassifier,
    TabularRegressor,
    Tanh,
    computation_graph,
    diagnose,
    find_learning_rate,
    lecture_graph,
)
from layernet.monitoring import Diagnosis


def network():
    """Nested deeply, with a layer whose call is long."""
    dense = Dense(64, use_bias=False, weights_initializer="he_normal", bias_initializer="zeros")
    block = Residual(Sequential([LayerNorm(), dense, GELU(), Dropout(0.2), Dense(32)]))
    both = Concat([Dense(8), Sequential([Dense(4), Tanh()])])
    return Sequential([Flatten(), Dense(32), block, both, Dense(3)]).build((2, 2), random_state=0)


@functools.cache
def history():
    """With more columns than a narrow page has room for, and more epochs than are seen at once."""
    X, y = load_iris(return_X_y=True)
    data = {"validation_data": (X, y), "metrics": "accuracy"}
    net = Sequential([Dense(8), ReLU(), Dense(3)])
    return net.fit(X, y, loss="cross_entropy", epochs=25, random_state=0, **data)


def fitted(estimator):
    """How an estimator shows itself once it is fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*load_iris(return_X_y=True))._repr_html_()


def of_tables(estimator):
    """How an estimator for tables shows itself, with columns of each kind and a long name."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    X = X.assign(
        kind=np.where(y > 1, "one", "two"),
        sold=np.datetime64("2024-01-01") + np.arange(len(y)).astype("timedelta64[D]"),
        empty=np.nan,
    ).rename(columns={"kind": "kind of the flower as the collector has noted it down in the field"})
    return estimator.fit(X, y)


@functools.cache
def large_graph():
    """With more neurons than are drawn, in more columns than a narrow page has room for."""
    net = Sequential([Dense(32), ReLU(), Dense(16), LayerNorm(), Tanh(), Dense(10)]).build(64, random_state=0)
    return computation_graph(net, np.linspace(-1, 1, 64), target=3, loss="cross_entropy")


@functools.cache
def residual_graph():
    """With skips in skips, and layers that are not as in training."""
    inner = Residual(Sequential([Dense(3), Tanh(), Residual(ReLU()), Dense(4)]))
    net = Sequential([Dense(4), BatchNorm(), Tanh(), Dropout(0.2), inner, Residual(Dense(4)), Dense(2)])
    return computation_graph(net.build(2, random_state=0), [1.0, -0.5], target=1, loss="cross_entropy")


def residual_chain():
    """The same, of layers with more axes."""
    net = Sequential(
        [Reshape((2, 3)), Residual(Sequential([Tanh(), Residual(Dropout(0.2))])), Flatten(), Dense(2)]
    )
    return computation_graph(net.build(6, random_state=0), np.arange(6.0) / 6, target=1, loss="cross_entropy")


@functools.cache
def watched():
    """A training that several things are wrong with."""
    X, y = load_iris(return_X_y=True)
    monitor, net = Monitor(), Sequential([Dense(8), ReLU(), Dense(8), ReLU(), Dense(3)])
    net.fit(X, y, loss="cross_entropy", optimizer=SGD(2.0), epochs=20, callbacks=[monitor], random_state=0)
    assert len(diagnose(monitor).findings) > 1
    return monitor


def search():
    """For a learning rate."""
    return find_learning_rate(
        Sequential([Dense(3)]), *load_iris(return_X_y=True), "cross_entropy", random_state=0
    )


REPRESENTATIONS = {
    "network": lambda: network()._repr_html_(),
    "network not built": lambda: Sequential([Dense(3)])._repr_html_(),
    "history": lambda: history()._repr_html_(),
    "history of nothing": lambda: History()._repr_html_(),
    "estimator": lambda: fitted(MLPClassifier((7,), max_iter=30, early_stopping=True, random_state=0)),
    "estimator of a network": lambda: fitted(NetworkClassifier(network()[3:], max_iter=9, random_state=0)),
    "estimator for tables": lambda: of_tables(TabularClassifier("best", cv=3, random_state=0))._repr_html_(),
    "report of a table": lambda: of_tables(
        TabularRegressor("fast", time_limit=1e-3, random_state=0)
    ).report_._repr_html_(),
    "graph": lambda: lecture_graph(target=1)._repr_html_(),
    "graph, large": lambda: large_graph()._repr_html_(),
    "graph, layer by layer": lambda: computation_graph(network(), [[0.5, 1.0], [2.0, -1.0]])._repr_html_(),
    "graph with skips": lambda: residual_graph()._repr_html_(),
    "graph with skips, layer by layer": lambda: residual_chain()._repr_html_(),
    "levels with skips": lambda: residual_graph().levels()._repr_html_(),
    "parameter of an output": lambda: lecture_graph().parameter("z1.w2")._repr_html_(),
    "steps with skips": lambda: residual_graph().steps()._repr_html_(),
    "levels": lambda: lecture_graph(target=1).levels()._repr_html_(),
    "levels, many": lambda: large_graph().levels()._repr_html_(),
    "paths": lambda: lecture_graph().paths("x1")._repr_html_(),
    "parameter": lambda: lecture_graph(target=1).parameter("z1.w2")._repr_html_(),
    "steps": lambda: lecture_graph(target=1).steps()._repr_html_(),
    "steps, many": lambda: large_graph().steps()._repr_html_(),
    "monitor": lambda: watched()._repr_html_(),
    "diagnosis": lambda: diagnose(watched())._repr_html_(),
    "diagnosis, healthy": lambda: Diagnosis([], "the loss fell.")._repr_html_(),
    "learning-rate search": lambda: search()._repr_html_(),
    "estimator not fitted": lambda: NetworkClassifier(network())._repr_html_(),
}
