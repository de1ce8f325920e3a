"""Checks of the exercises in notebook 2."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from checks import NotAnswered, Test, exercise
from layernet import MLPClassifier, MLPRegressor, Quantile

WANTED = [(units, rate) for units in (4, 16) for rate in (0.003, 0.03)]


@contextmanager
def any_length_of_training():
    """Let networks stop before they converge: a check has no time to wait for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@exercise("2.1", "a pipeline that does not leak")
def pipeline(answer: Any, test: Test) -> None:
    ends_well = isinstance(answer, Pipeline) and isinstance(answer[-1], MLPClassifier)
    last = type(answer[-1] if isinstance(answer, Pipeline) else answer)
    how = f"it is, or ends in, {last.__module__}.{last.__name__}"
    if not test.that("it is a pipeline that ends in layernet's MLPClassifier", ends_well, how):
        return
    seed = answer[-1].random_state
    if not test.that("its random_state is fixed", isinstance(seed, Integral), f"it is {seed}"):
        return
    tumours, kinds = load_breast_cancer(return_X_y=True)
    units = 2.0 ** (np.arange(30) % 9 - 4)  # powers of two, so that no rounding comes in
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(tumours, kinds))
    with any_length_of_training():
        models = [clone(answer).fit(tumours[train], kinds[train]) for train, _ in folds]
        train, unseen = folds[0]
        elsewhere = clone(answer).fit(tumours[train] * units, kinds[train])
    right = [m.score(tumours[rows], kinds[rows]) for m, (_, rows) in zip(models, folds, strict=True)]
    few, others = tumours[unseen[:20]], 1000 * tumours[unseen]
    here = models[0].predict_proba(few)
    share = np.mean(right)
    test.that("at least 95 % of unseen tumours are right", share >= 0.95, f"{share:.1%} are")
    most = np.abs(here - elsewhere.predict_proba(few * units)).max()
    how = f"a probability differs by {most:.2g}; what scales the columns has to be fitted with the rest"
    test.that("fitted in other units it says the same", most < 1e-6, how)
    most = np.abs(here - models[0].predict_proba(np.concatenate([few, others]))[:20]).max()
    how = f"a probability differs by {most:.2g}; what was learned in fit has to scale new rows too"
    test.that("beside other tumours it says the same", most < 1e-6, how)


@exercise("2.2", "a search by the quantile loss")
def search(answer: Any, test: Test) -> None:
    if not test.that(
        "it is a GridSearchCV", isinstance(answer, GridSearchCV), f"it is {type(answer).__name__}"
    ):
        return
    upper = answer.estimator
    how = f"it searches {type(upper).__name__}"
    if not test.that("it searches upper", isinstance(upper, TransformedTargetRegressor), how):
        return
    tried = []
    for setting in ParameterGrid(answer.param_grid):
        regressor = clone(upper).set_params(**setting).regressor[-1]
        # The optimizer is a name as long as no setting reaches into it.
        tried.append(
            (regressor.network.layers[0].units, getattr(regressor.optimizer, "learning_rate", "the default"))
        )
    how = f"it tries {tried}"
    if not test.that(
        "it tries the four pairs of units and learning rate",
        sorted(tried, key=str) == sorted(WANTED, key=str),
        how,
    ):
        return
    metric = answer.scoring[answer.refit] if isinstance(answer.scoring, dict) else answer.scoring
    scorer = check_scoring(upper, scoring=metric)
    X, y = np.zeros((2, 1)), np.array([0.0, 10.0])
    scores = {
        value: scorer(DummyRegressor(strategy="constant", constant=value).fit(X, y), X, y)
        for value in (1.0, 4.0, 9.0)
    }
    how = f"for targets 0 and 10 the prediction 9 scores {scores[9.0]:.3g}, and 1 scores {scores[1.0]:.3g}"
    test.that("the better prediction has the higher score", scores[9.0] > scores[1.0], how)
    # 0.9 (10 - 4) for the target above and 0.1 (4 - 0) for the one below.
    if not test.close("the score of the prediction 4 for targets 0 and 10", scores[4.0], -(5.4 + 0.4) / 2):
        return
    patients, progression = load_diabetes(return_X_y=True)
    with any_length_of_training():
        fitted = clone(answer).set_params(cv=2, n_jobs=None, verbose=0).fit(patients[:100], progression[:100])
    best = getattr(fitted, "best_score_", None)
    test.that("fitted, it has a best score", best is not None and np.isfinite(best), f"that is {best}")


@exercise("2.3", "a band as an estimator")
def band(answer: Any, test: Test) -> None:
    is_class = isinstance(answer, type) and issubclass(answer, BaseEstimator)
    if not test.that("it is a class of estimators", is_class, "hand over the class, without parentheses"):
        return
    random = np.random.default_rng(3)
    X = random.standard_normal((120, 3))
    y = X[:, 0] + (0.7 + (X[:, 1] > 0)) * random.standard_normal(120)
    model = small_network()
    if not vars(answer(model)):
        raise NotAnswered
    made = answer(model, share=0.5)
    kept = made.get_params(deep=False)
    same = kept["model"] is model and kept["share"] == 0.5 and len(kept) == 2
    if not test.that("the constructor stores model and share as they are", same, f"it stores {kept}"):
        return
    test.that(
        "the share is 0.8 unless one says otherwise", answer(model).share == 0.8, f"it is {answer(model).share}"
    )
    with any_length_of_training():
        before = model.get_params(), sorted(vars(model))
        fitted = made.fit(X, y)
        if fitted is None and not [name for name in vars(made) if name.endswith("_")]:
            raise NotAnswered
        test.that("fit returns the estimator itself", fitted is made, f"it returns {type(fitted).__name__}")
        unchanged = (model.get_params(), sorted(vars(model))) == before
        test.that("fit leaves model as it was", unchanged, "it was fitted, or its parameters were changed")
        # A new one, whatever fit did to the first.
        model = small_network()
        test.close("a band for the share 0.5", made.predict(X[:30]), ends(model, 0.25, 0.75, X, y)[:30], 1e-6)
        moved = clone(answer(model, share=0.5)).set_params(share=0.9)
        moved.fit(X, y)
        expected = ends(model, 0.05, 0.95, X, y)[:30]
        test.close("a band for the share 0.9, set by set_params", moved.predict(X[:30]), expected, 1e-6)
        wide = make_pipeline(StandardScaler(), answer(model, share=0.9))
        shape = np.shape(cross_val_predict(wide, X, y, cv=2))
        test.that(
            "cross-validated in a pipeline, it has two numbers a row",
            shape == (120, 2),
            f"the shape is {shape}",
        )


def small_network() -> MLPRegressor:
    """A regressor that is trained in a moment."""
    return MLPRegressor(
        hidden_layer_sizes=(6,), learning_rate_init=0.02, batch_size=40, max_iter=30, random_state=0
    )


def ends(model: MLPRegressor, low: float, high: float, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The two quantiles of each row, by networks fitted one by one."""
    fits = [clone(model).set_params(loss=Quantile(q)).fit(X, y) for q in (low, high)]
    return np.column_stack([fit.predict(X) for fit in fits])
