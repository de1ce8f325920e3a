"""Networks as scikit-learn estimators; the only place that imports scikit-learn."""

from layernet.estimators.mlp import MLPClassifier, MLPRegressor
from layernet.estimators.network import NetworkClassifier, NetworkRegressor
from layernet.estimators.robust_scale import RobustScale
from layernet.estimators.tables.encoder import TableEncoder

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "NetworkClassifier",
    "NetworkRegressor",
    "RobustScale",
    "TableEncoder",
]
