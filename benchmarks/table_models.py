"""Models for tables: baselines at their defaults, bagged boosting, and this package's estimators.

A model is made from a `Task` and gets a frame of numbers and strings. Except for encodings, numbers of
threads, seeds and what a model's name says, all settings are the defaults of the packages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

MAX_ITERATIONS, PATIENCE = 2000, 100  # of a bagged model, which stops early


@dataclass(frozen=True)
class Task:
    classify: bool
    categories: list[str] = field(default_factory=list)  # names of the columns that are no numbers
    threads: int = 1
    seed: int = 0


def scaled_and_one_hot(task: Task) -> ColumnTransformer:
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer(
        [
            ("numbers", StandardScaler(), make_column_selector(dtype_include=np.number)),
            ("categories", categories, task.categories),
        ]
    )


def ordinal(task: Task) -> ColumnTransformer:
    categories = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    transformer = ColumnTransformer(
        [("categories", categories, task.categories)],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    return transformer.set_output(transform="pandas")


def linear(task: Task) -> Pipeline:
    return make_pipeline(scaled_and_one_hot(task), LogisticRegression() if task.classify else Ridge())


def mlp(task: Task, **settings: Any) -> BaseEstimator:
    kind = MLPClassifier if task.classify else MLPRegressor
    pipeline = make_pipeline(scaled_and_one_hot(task), kind(random_state=task.seed, **settings))
    if task.classify:
        return pipeline
    return TransformedTargetRegressor(pipeline, transformer=StandardScaler())


def histogram_boosting(task: Task) -> Pipeline:
    kind = HistGradientBoostingClassifier if task.classify else HistGradientBoostingRegressor
    return make_pipeline(ordinal(task), kind(random_state=task.seed))


def random_forest(task: Task) -> Pipeline:
    kind = RandomForestClassifier if task.classify else RandomForestRegressor
    return make_pipeline(ordinal(task), kind(random_state=task.seed, n_jobs=task.threads))


def lightgbm_model(task: Task, **settings: Any) -> BaseEstimator:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMClassifier if task.classify else LGBMRegressor
    return kind(n_jobs=task.threads, random_state=task.seed, verbose=-1, **settings)


def lightgbm(task: Task) -> Pipeline:
    return make_pipeline(ordinal(task), lightgbm_model(task))


def catboost(task: Task, **settings: Any) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostClassifier if task.classify else CatBoostRegressor
    return kind(
        cat_features=task.categories or None,
        thread_count=task.threads,
        random_state=task.seed,
        verbose=False,
        allow_writing_files=False,
        **settings,
    )


def realmlp(task: Task) -> BaseEstimator:
    import pytabkit
    import torch

    torch.set_num_threads(task.threads)
    kind = pytabkit.RealMLP_TD_S_Classifier if task.classify else pytabkit.RealMLP_TD_S_Regressor
    return kind(device="cpu", n_threads=task.threads, random_state=task.seed)


def layernet(task: Task, preset: str) -> BaseEstimator:
    from layernet import TabularClassifier, TabularRegressor

    kind = TabularClassifier if task.classify else TabularRegressor
    return kind(preset=preset, random_state=task.seed, n_jobs=task.threads)


class Bagged(BaseEstimator):
    """Average of one model for each fold. Each stops early on its fold, which the others are trained on.

    There are 8 folds below 2,000 rows and 5 above. Those of classes are stratified.
    """

    def __init__(self, make: Callable[[], Any], fit_with: Callable[..., Any], classify: bool, seed: int):
        self.make, self.fit_with, self.classify, self.seed = make, fit_with, classify, seed

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Bagged:
        kind = StratifiedKFold if self.classify else KFold
        folds = kind(8 if len(X) < 2000 else 5, shuffle=True, random_state=self.seed)
        self.models_ = []
        for inside, outside in folds.split(X, y):
            model = self.make()
            self.fit_with(model, X.iloc[inside], y[inside], X.iloc[outside], y[outside])
            self.models_.append(model)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return np.mean([model.predict_proba(X) for model in self.models_], axis=0)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        if self.classify:
            return self.models_[0].classes_[self.predict_proba(X).argmax(axis=1)]
        return np.mean([model.predict(X) for model in self.models_], axis=0)


def bagged_catboost(task: Task) -> Bagged:
    def fit_with(model: Any, X: pd.DataFrame, y: np.ndarray, X_out: pd.DataFrame, y_out: np.ndarray) -> None:
        model.fit(X, y, eval_set=(X_out, y_out), early_stopping_rounds=PATIENCE)

    return Bagged(partial(catboost, task, iterations=MAX_ITERATIONS), fit_with, task.classify, task.seed)


def bagged_lightgbm(task: Task) -> Pipeline:
    from lightgbm import early_stopping

    def fit_with(model: Any, X: pd.DataFrame, y: np.ndarray, X_out: pd.DataFrame, y_out: np.ndarray) -> None:
        model.fit(X, y, eval_set=[(X_out, y_out)], callbacks=[early_stopping(PATIENCE, verbose=False)])

    make = partial(lightgbm_model, task, n_estimators=MAX_ITERATIONS)
    return make_pipeline(ordinal(task), Bagged(make, fit_with, task.classify, task.seed))


class Model(NamedTuple):
    make: Callable[[Task], Any]
    module: str = "sklearn"  # what must be there to import
    package: str = "scikit-learn"  # and what pip calls it
    title: str = ""  # in pictures


MODELS = {
    "linear": Model(linear, title="linear model"),
    "mlp": Model(mlp, title="scikit-learn's MLP"),
    "mlp_es": Model(partial(mlp, max_iter=1000, early_stopping=True), title="MLP, early stopping"),
    "hgb": Model(histogram_boosting, title="HistGradientBoosting"),
    "rf": Model(random_forest, title="random forest"),
    "lgbm": Model(lightgbm, "lightgbm", "lightgbm", "LightGBM"),
    "catboost": Model(catboost, "catboost", "catboost", "CatBoost"),
    "realmlp_td_s": Model(realmlp, "pytabkit", "pytabkit torch", "RealMLP-TD-S"),
    "bagged_lgbm": Model(bagged_lightgbm, "lightgbm", "lightgbm", "LightGBM, bagged"),
    "bagged_catboost": Model(bagged_catboost, "catboost", "catboost", "CatBoost, bagged"),
    "best": Model(partial(layernet, preset="best"), "layernet", "layernet", "layernet, best"),
    "balanced": Model(partial(layernet, preset="balanced"), "layernet", "layernet", "layernet, balanced"),
    "fast": Model(partial(layernet, preset="fast"), "layernet", "layernet", "layernet, fast"),
}
BASELINES = ("linear", "mlp", "mlp_es", "hgb", "rf", "lgbm", "catboost", "realmlp_td_s")
PRESETS = ("best", "balanced", "fast")
