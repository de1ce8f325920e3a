"""Outputs and hidden activations of a fitted estimator on new data."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from layernet.containers import Sequential, chain_of
from layernet.display.training import training_html, training_svg
from layernet.engine.inference import InferencePlans
from layernet.estimators.numeric_data import require_numbers
from layernet.estimators.value_range import all_finite_in, require_in_range
from layernet.layer import Layer
from layernet.layers import Dense
from layernet.training.outputs import outputs_in_blocks

# Types that X keeps. scikit-learn converts X of any other type to the first one.
INPUT_TYPES = (np.float64, np.float32)
INPUT_DTYPES = tuple(map(np.dtype, INPUT_TYPES))  # a comparison with these takes a tenth of the time


class _NotFinite(ArithmeticError):
    """Raised when a block of inputs has an entry that is not finite in the network's type."""


class FittedNetwork(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Estimator with a trained network, `network_`."""

    # The engine's plans for `network_`, made once for all calls.
    _plans: InferencePlans | None = None

    def _fitted_targets(self) -> Any:
        """Return the conversion of outputs to predictions; raise NotFittedError before `fit`."""
        if "network_" not in vars(self):
            check_is_fitted(self)
        return self._targets

    def _outputs(self, X: Any, decode: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
        """Return the network's outputs, or what `decode` makes of each block of outputs."""
        if "network_" not in vars(self):
            check_is_fitted(self)
        # scikit-learn's validation takes longer than a small prediction, and finds nothing in such an array
        # but entries that are not finite.
        needs_no_conversion = (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in INPUT_DTYPES
            and X.shape == (len(X), self.n_features_in_)
            and len(X) > 0
            and "feature_names_in_" not in vars(self)  # scikit-learn warns of an array without names
        )
        if needs_no_conversion:
            try:
                return self._outputs_in_blocks(self.network_, X, decode, check=self._require_finite)
            except _NotFinite:
                pass  # scikit-learn's validation raises the error
        return self._outputs_in_blocks(self.network_, self._checked_inputs(X), decode)

    def _outputs_in_blocks(
        self,
        network: Layer,
        X: Any,
        decode: Callable[[np.ndarray], np.ndarray] | None = None,
        check: Callable[[np.ndarray], None] | None = None,
    ) -> np.ndarray:
        return outputs_in_blocks(network, X, decode, engine=self.engine, plans=self._plans, check=check)

    def _require_finite(self, block: np.ndarray) -> None:
        """Check a block in the thread that computes with it, while the block is in the cache."""
        if not all_finite_in(block.ravel(order="K"), self.network_.dtype):
            raise _NotFinite

    def _checked_inputs(self, X: Any) -> Any:
        """Return inputs that have passed scikit-learn's checks and are finite in the network's type."""
        X = require_numbers(X, "X")
        with np.errstate(over="ignore", invalid="ignore"):  # numbers that overflow are reported by the error
            X = validate_data(self, X, accept_sparse=["csr"], dtype=INPUT_TYPES, reset=False)
        require_in_range(X, self.network_.dtype, "X")
        return X

    def hidden_activations(self, X: Any) -> list[np.ndarray]:
        """Return the activations of each hidden layer: the inputs of each layer of weights after the first.

        The layers of a `Sequential` inside a `Sequential` count one by one. A `Residual` or a `Concat` with
        `Dense` layers inside counts as one layer of weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        list of ndarray of shape (n_samples, n_units)
        """
        check_is_fitted(self)
        activations = self._checked_inputs(X)
        hidden = []
        for part in self._hidden_parts():
            activations = self._outputs_in_blocks(part, activations)
            hidden.append(activations)
        return hidden

    def transform(self, X: Any) -> np.ndarray:
        """Return the activations of the last hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            The network's outputs, if there is no hidden layer.
        """
        hidden = self.hidden_activations(X)
        return hidden[-1] if hidden else self._outputs(X)

    def _hidden_parts(self) -> list[Sequential]:
        """Return the parts of the network that compute each hidden layer from the hidden layer before."""
        layers = list(chain_of(self.network_))
        starts = [index for index, layer in enumerate(layers) if has_dense(layer)]
        parts = []
        for start, stop in pairwise([0, *starts[1:]]):
            part = Sequential(layers[start:stop])
            part.build(part.layers[0].input_shape, dtype=self.network_.dtype)
            parts.append(part)
        return parts

    @property
    def _n_features_out(self) -> int:
        parts = self._hidden_parts()
        return parts[-1].output_shape[0] if parts else self.n_outputs_

    def _html_repr(self) -> str:
        parameters = super()._html_repr()
        if not self.__sklearn_is_fitted__():
            return parameters
        return parameters + training_html(self.network_, self.history_)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle and self.__sklearn_is_fitted__():
            svg = training_svg(self.history_)
            bundle |= {"image/svg+xml": svg} if svg else {}
        return bundle

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def has_dense(layer: Layer) -> bool:
    """Return whether a layer is a `Dense` layer or has one inside."""
    return any(isinstance(inner, Dense) for inner in layer.walk())
