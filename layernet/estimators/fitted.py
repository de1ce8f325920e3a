"""A fitted estimator applied to new data: outputs, and the activations on the way to them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from layernet.containers import Sequential
from layernet.display.training import training_html, training_svg
from layernet.engine.inference import InferencePlans
from layernet.estimators.checks import all_finite_in, require_in_range
from layernet.estimators.numeric import only_numbers
from layernet.layer import Layer
from layernet.layers import Dense
from layernet.training.outputs import outputs_in_blocks

FLOAT_TYPES = (np.float64, np.float32)
FLOAT_DTYPES = tuple(map(np.dtype, FLOAT_TYPES))  # compared in a tenth of the time


class _NotFinite(ArithmeticError):
    """A block of inputs has an entry that is not finite in the network's type."""


class FittedNetwork(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An estimator with a trained `network_`."""

    # The engine's plans for `network_`, made once for all calls.
    _plans: InferencePlans | None = None

    def _outputs(self, X: Any, made_into: str | None = None) -> np.ndarray:
        """The network's outputs, or what a method of the targets, given by name, makes of them."""
        if "network_" not in vars(self):
            check_is_fitted(self)
        decode = made_into and getattr(self._targets, made_into)
        as_it_is = (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in FLOAT_DTYPES
            and X.shape == (len(X), self.n_features_in_)
            and len(X) > 0
            and "feature_names_in_" not in vars(self)
        )
        if as_it_is:
            try:
                return self._outputs_in_blocks(self.network_, X, decode, check=self._require_finite)
            except _NotFinite:
                pass  # scikit-learn's own check has the words for it
        return self._outputs_in_blocks(self.network_, self._checked_inputs(X), decode)

    def _outputs_in_blocks(self, network: Layer, X: Any, decode: Any = None, check: Any = None) -> np.ndarray:
        return outputs_in_blocks(network, X, decode, engine=self.engine, plans=self._plans, check=check)

    def _require_finite(self, block: np.ndarray) -> None:
        """Check a block while it is in the cache, by the thread that computes with it."""
        if not all_finite_in(block.ravel(order="K"), self.network_.dtype):
            raise _NotFinite

    def _checked_inputs(self, X: Any) -> Any:
        """Inputs as scikit-learn checks them, which are finite in the network's type too."""
        X = only_numbers(X, "X")
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is in the error
            X = validate_data(self, X, accept_sparse=["csr"], dtype=FLOAT_TYPES, reset=False)
        require_in_range(X, self.network_.dtype, "X")
        return X

    def hidden_activations(self, X) -> list[np.ndarray]:
        """What goes into each layer with parameters after the first: the activations of each hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        list of ndarray of shape (n_samples, n_units)
        """
        check_is_fitted(self)
        inputs = self._checked_inputs(X)
        activations = []
        layers = self.network_.layers if isinstance(self.network_, Sequential) else [self.network_]
        dense = [index for index, layer in enumerate(layers) if isinstance(layer, Dense)]
        for start, stop in pairwise(dense):
            part = Sequential(layers[:stop] if start == dense[0] else layers[start:stop])
            part.build(part.layers[0].input_shape, dtype=self.network_.dtype)
            inputs = self._outputs_in_blocks(part, inputs)
            activations.append(inputs)
        return activations

    def transform(self, X) -> np.ndarray:
        """The activations of the last hidden layer: the data as the network has learned to see them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            The outputs, if there is no hidden layer.
        """
        activations = self.hidden_activations(X)
        return activations[-1] if activations else self._outputs(X)

    @property
    def _n_features_out(self) -> int:
        layers = self.network_.layers if isinstance(self.network_, Sequential) else []
        dense = [layer for layer in layers if isinstance(layer, Dense)]
        return dense[-1].input_shape[0] if len(dense) > 1 else self.n_outputs_

    def _html_repr(self) -> str:
        parameters = super()._html_repr()
        if not self.__sklearn_is_fitted__():
            return parameters
        return parameters + training_html(self.network_, self.history_)

    def _repr_mimebundle_(self, **kwargs) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle and self.__sklearn_is_fitted__():
            svg = training_svg(self.history_)
            bundle |= {"image/svg+xml": svg} if svg else {}
        return bundle

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
