"""Networks as scikit-learn estimators; the only place that imports scikit-learn."""

from layernet.estimators.mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
