"""Rollback of an estimator whose fit fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.base import BaseEstimator

from layernet.estimators.training_state import TrainingState
from layernet.training.snapshot import Snapshot


@contextmanager
def restored_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Restore an estimator's attributes, network and random state if the block raises an exception.

    Attributes are copied shallowly: a fit replaces them and changes none of them in place, except the
    parameters of the network and the random state. These two are copied.
    """
    attributes = dict(vars(estimator))
    network = attributes.get("network_")
    snapshot = None if network is None else Snapshot(network)
    earlier: TrainingState = attributes.get("_training_state") or TrainingState()
    random = earlier.random
    random_state = None if random is None else random.get_state()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(attributes)
        if snapshot is not None:
            snapshot.restore()
        if random is not None and random_state is not None:
            random.set_state(random_state)
        raise
