"""Networks as scikit-learn estimators; the only place that imports scikit-learn."""

from layernet.estimators.fold_ensemble import FoldEnsembleClassifier, FoldEnsembleRegressor
from layernet.estimators.mlp import MLPClassifier, MLPRegressor
from layernet.estimators.network import NetworkClassifier, NetworkRegressor
from layernet.estimators.robust_scale import RobustScale
from layernet.estimators.tables.classifier import TabularClassifier
from layernet.estimators.tables.encoder import TableEncoder
from layernet.estimators.tables.regressor import TabularRegressor
from layernet.estimators.tables.temperature import fit_temperature

__all__ = [
    "FoldEnsembleClassifier",
    "FoldEnsembleRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "NetworkClassifier",
    "NetworkRegressor",
    "RobustScale",
    "TableEncoder",
    "TabularClassifier",
    "TabularRegressor",
    "fit_temperature",
]
