"""Checks of the exercises in notebook 2."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, mean_pinball_loss
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from layernet import MLPClassifier, MLPRegressor, QuantileLoss
from layernet.exercises.grading import Grader, NotAnsweredError
from layernet.exercises.registry import exercise

WANTED = [(units, rate) for units in (4, 16) for rate in (0.003, 0.03)]


@contextmanager
def without_convergence_warnings() -> Iterator[None]:
    """Ignore the warning that a network has not converged: a check trains for a short time only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@exercise("2.1", "a pipeline that does not leak", takes_objects=True)
def pipeline(answer: Any, grader: Grader) -> None:
    """Check a pipeline that does not leak."""
    ends_well = isinstance(answer, Pipeline) and isinstance(answer[-1], MLPClassifier)
    last = type(answer[-1] if isinstance(answer, Pipeline) else answer)
    how = f"it is, or ends in, {last.__module__}.{last.__name__}"
    if not grader.require("it is a pipeline that ends in layernet's MLPClassifier", ends_well, how):
        return
    seed = answer[-1].random_state
    if not grader.require("its random_state is fixed", isinstance(seed, Integral), f"it is {seed}"):
        return
    tumours, kinds = load_breast_cancer(return_X_y=True)
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(tumours, kinds))
    # Other units for each column, from a thousandth to a thousand times as large.
    units = 10.0 ** np.random.default_rng(21).uniform(-3, 3, tumours.shape[1])
    with without_convergence_warnings():
        models = [clone(answer).fit(tumours[train], kinds[train]) for train, _ in folds]
        elsewhere = [clone(answer).fit(tumours[train] * units, kinds[train]) for train, _ in folds]
    share = mean_accuracy(models, tumours, kinds, folds)
    grader.require("at least 95 % of unseen tumours are right", share >= 0.95, f"{share:.1%} are")
    there = mean_accuracy(elsewhere, tumours * units, kinds, folds)
    # Not the same numbers: what is fitted to the columns need not be a multiple in each.
    how = f"{there:.1%} are right there; what scales the columns has to be fitted with the rest"
    grader.require("fitted in other units it does as well", there >= min(0.95, share - 0.01), how)
    unseen = folds[0][1]
    few, others = tumours[unseen[:20]], 1000 * tumours[unseen]
    here = models[0].predict_proba(few)
    most = np.abs(here - models[0].predict_proba(np.concatenate([few, others]))[:20]).max()
    most = max(most, np.abs(here[:1] - models[0].predict_proba(few[:1])).max())
    how = f"a probability differs by {most:.2g}; what was learned in fit has to scale new rows too"
    grader.require("beside other tumours, or alone, a tumour gets the same answer", most < 1e-6, how)


def mean_accuracy(
    models: list[Any], tumours: np.ndarray, kinds: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]
) -> float:
    """Return the mean accuracy of models on the rows that each has not seen."""
    pairs = zip(models, folds, strict=True)
    return float(np.mean([model.score(tumours[rows], kinds[rows]) for model, (_, rows) in pairs]))


@exercise("2.2", "a search by the quantile loss", takes_objects=True)
def search(answer: Any, grader: Grader) -> None:
    """Check a search by the quantile loss."""
    if not grader.require(
        "it is a GridSearchCV", isinstance(answer, GridSearchCV), f"it is {type(answer).__name__}"
    ):
        return
    upper = answer.estimator
    how = f"it searches {type(upper).__name__}"
    if not grader.require("it searches upper", isinstance(upper, TransformedTargetRegressor), how):
        return
    tried, losses = [], []
    for setting in ParameterGrid(answer.param_grid):
        regressor = clone(upper).set_params(**setting).regressor[-1]
        # The optimizer is a name as long as no setting reaches into it.
        tried.append(
            (regressor.network.layers[0].units, getattr(regressor.optimizer, "learning_rate", "the default"))
        )
        losses.append(regressor.loss)
    how = f"it tries {tried}"
    if not grader.require(
        "it tries the four pairs of units and learning rate",
        sorted(tried, key=str) == sorted(WANTED, key=str),
        how,
    ):
        return
    other = next(
        (loss for loss in losses if not (isinstance(loss, QuantileLoss) and loss.quantile == 0.9)), None
    )
    if not grader.require(
        "all of them learn by QuantileLoss(0.9)", other is None, f"one has the loss {other!r}"
    ):
        return
    if not judges_by_the_quantile_loss(answer, grader):
        return
    patients, progression = load_diabetes(return_X_y=True)
    with without_convergence_warnings():
        fitted = clone(answer).set_params(cv=2, n_jobs=None, verbose=0).fit(patients[:100], progression[:100])
    best = getattr(fitted, "best_score_", None)
    grader.require("fitted, it has a best score", best is not None and np.isfinite(best), f"that is {best}")


def judges_by_the_quantile_loss(answer: GridSearchCV, grader: Grader) -> bool:
    """Return whether the search's score is a linear function of the mean quantile loss."""
    metric = answer.scoring[answer.refit] if isinstance(answer.scoring, dict) else answer.scoring
    scorer = check_scoring(answer.estimator, scoring=metric)

    def score(value: float, targets: np.ndarray) -> float:
        X = np.zeros((len(targets), 1))
        found = scorer(DummyRegressor(strategy="constant", constant=value).fit(X, targets), X, targets)
        return float(found[answer.refit] if isinstance(found, dict) else found)

    pair = np.array([0.0, 10.0])
    low, high = score(1.0, pair), score(9.0, pair)
    how = f"for targets 0 and 10 the prediction 9 scores {high:.3g}, and 1 scores {low:.3g}"
    if not grader.require("the better prediction has the higher score", high > low, how):
        return False
    random = np.random.default_rng(22)
    cases = [(4.0, pair), *((random.uniform(-20, 20), 10 * random.standard_normal(n)) for n in (3, 8, 21, 50))]

    # Any multiple of the loss picks the same model, with any number added; as the two scores above set it.
    def loss(value: float, targets: np.ndarray) -> float:
        return float(mean_pinball_loss(targets, np.full(len(targets), value), alpha=0.9))

    slope = (high - low) / (loss(9.0, pair) - loss(1.0, pair))
    expected = [low + slope * (loss(value, y) - loss(1.0, pair)) for value, y in cases]
    found = [score(v, y) for v, y in cases]
    return grader.require_close(
        "the score follows the mean quantile loss for q = 0.9, on five sets", found, expected
    )


@exercise("2.3", "a band as an estimator")
def band(answer: Any, grader: Grader) -> None:
    """Check a band as an estimator."""
    is_class = isinstance(answer, type) and issubclass(answer, BaseEstimator)
    if not grader.require("it is a class of estimators", is_class, "pass the class, without parentheses"):
        return
    random = np.random.default_rng(3)
    X = random.standard_normal((120, 3))
    y = X[:, 0] + (0.7 + (X[:, 1] > 0)) * random.standard_normal(120)
    model = small_network()
    if not vars(answer(model)):
        raise NotAnsweredError
    made = answer(model, share=0.5)
    kept = made.get_params(deep=False)
    same = kept == vars(made) and set(kept) == {"model", "share"} and kept["share"] == 0.5
    same = same and kept["model"] is model
    if not grader.require(
        "the constructor stores model and share as they are", same, f"it stores {vars(made)}"
    ):
        return
    grader.require(
        "the share is 0.8 unless one says otherwise", answer(model).share == 0.8, f"it is {answer(model).share}"
    )
    with without_convergence_warnings():
        before = model.get_params(), sorted(vars(model))
        fitted = made.fit(X, y)
        if fitted is None and not [name for name in vars(made) if name.endswith("_")]:
            raise NotAnsweredError
        grader.require(
            "fit returns the estimator itself", fitted is made, f"it returns {type(fitted).__name__}"
        )
        unchanged = (model.get_params(), sorted(vars(model))) == before
        grader.require("fit leaves model as it was", unchanged, "it was fitted, or its parameters were changed")
        learned = sorted(set(vars(made)) - {"model", "share"})
        how = f"it is in {learned or 'no attribute'}"
        ends_well = bool(learned) and all(name.endswith("_") for name in learned)
        grader.require("what is learned is in attributes whose names end in _", ends_well, how)
        # A new one, whatever fit did to the first.
        model = small_network()
        is_band(grader, "a band for the share 0.5", made.predict(X[:30]), ends(model, 0.25, 0.75, X, y)[:30])
        moved = clone(answer(model, share=0.5)).set_params(share=0.9)
        moved.fit(X, y)
        expected = ends(model, 0.05, 0.95, X, y)[:30]
        is_band(grader, "a band for the share 0.9, set by set_params", moved.predict(X[:30]), expected)
        moved.fit(X[:60], -y[:60])
        expected = ends(model, 0.05, 0.95, X[:60], -y[:60])[:30]
        is_band(grader, "fitted a second time, to other targets", moved.predict(X[:30]), expected)
        wide = make_pipeline(StandardScaler(), answer(model, share=0.9))
        shape = np.shape(cross_val_predict(wide, X, y, cv=2))
        grader.require(
            "cross-validated in a pipeline, it has two numbers a row",
            shape == (120, 2),
            f"the shape is {shape}",
        )


def is_band(grader: Grader, name: str, answer: Any, expected: np.ndarray) -> None:
    """Compare a band with the two quantiles; where they cross, it may have them in either order."""
    if not isinstance(answer, np.ndarray):
        grader.require(name, False, f"predict returns {type(answer).__name__}, an array is expected")
        return
    in_order = answer.shape == expected.shape and bool((answer[:, 0] <= answer[:, 1]).all())
    grader.require_close(name, answer, np.sort(expected, axis=1) if in_order else expected, 1e-6)


def small_network() -> MLPRegressor:
    """Return a regressor that is trained in a moment."""
    return MLPRegressor(
        hidden_layer_sizes=(6,), learning_rate_init=0.02, batch_size=40, max_iter=30, random_state=0
    )


def ends(model: MLPRegressor, low: float, high: float, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the two quantiles of each row, by networks fitted one by one."""
    fits = [clone(model).set_params(loss=QuantileLoss(q)).fit(X, y) for q in (low, high)]
    return np.column_stack([fit.predict(X) for fit in fits])
