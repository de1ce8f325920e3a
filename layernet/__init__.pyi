# What type checkers see of the lazy imports of __init__.py; tests/test_package.py compares the names.
from layernet import checking as checking
from layernet import containers as containers
from layernet import display as display
from layernet import engine as engine
from layernet import estimators as estimators
from layernet import exercises as exercises
from layernet import graph as graph
from layernet import initializers as initializers
from layernet import layer as layer
from layernet import layers as layers
from layernet import losses as losses
from layernet import monitoring as monitoring
from layernet import optimizers as optimizers
from layernet import schedules as schedules
from layernet import training as training
from layernet.checking import check_gradients as check_gradients
from layernet.checking import check_kernel as check_kernel
from layernet.checking import check_layer as check_layer
from layernet.containers import *
from layernet.estimators import FoldEnsembleClassifier as FoldEnsembleClassifier
from layernet.estimators import FoldEnsembleRegressor as FoldEnsembleRegressor
from layernet.estimators import MLPClassifier as MLPClassifier
from layernet.estimators import MLPRegressor as MLPRegressor
from layernet.estimators import NetworkClassifier as NetworkClassifier
from layernet.estimators import NetworkRegressor as NetworkRegressor
from layernet.estimators import RobustScale as RobustScale
from layernet.estimators import TableEncoder as TableEncoder
from layernet.estimators import TabularClassifier as TabularClassifier
from layernet.estimators import TabularRegressor as TabularRegressor
from layernet.estimators import fit_temperature as fit_temperature
from layernet.graph import computation_graph as computation_graph
from layernet.graph import lecture_graph as lecture_graph
from layernet.layer import *
from layernet.layers import *
from layernet.losses import *
from layernet.monitoring import BoundaryRecorder as BoundaryRecorder
from layernet.monitoring import Monitor as Monitor
from layernet.monitoring import diagnose as diagnose
from layernet.monitoring import draw_boundary as draw_boundary
from layernet.optimizers import *
from layernet.schedules import *
from layernet.training import Callback as Callback
from layernet.training import DivergenceError as DivergenceError
from layernet.training import EarlyStopping as EarlyStopping
from layernet.training import History as History
from layernet.training import LearningRateScheduler as LearningRateScheduler
from layernet.training import ProgressBar as ProgressBar
from layernet.training import evaluate as evaluate
from layernet.training import find_learning_rate as find_learning_rate

__all__: list[str]
__version__: str
