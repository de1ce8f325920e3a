"""Methods of whole networks: training, prediction and summaries.

`fit`, `predict` and `compile_for_inference` import modules that depend on layers, when they are called: users
expect these methods on a network. No other imports of the package point upward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from layernet.display.summary import summary_html, summary_text
from layernet.hints import FIT_HINTS, with_argument_hints
from layernet.parameters import ParameterContainer
from layernet.sampling import sample_passes

if TYPE_CHECKING:
    from layernet.engine.inference import InferencePlan
    from layernet.layer import Layer
    from layernet.losses.loss import Loss
    from layernet.optimizers.optimizer import Optimizer
    from layernet.training.history import History


class NetworkMethods(ParameterContainer):
    """Methods that every layer has, because every layer is a network: `fit`, `predict`, `summary`."""

    @with_argument_hints(FIT_HINTS)
    def fit(
        self,
        X: Any,
        y: Any = None,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer = "adam",
        epochs: int = 10,
        batch_size: int = 32,
        shuffle: Any = True,
        validation_data: Any = None,
        sample_weight: Any = None,
        callbacks: Any = (),
        metrics: Any = (),
        random_state: Any = None,
        verbose: int = 0,
        engine: str = "auto",
    ) -> History:
        """Train on data; `layernet.training.fit` documents the arguments.

        Returns
        -------
        History
            Losses and metrics of every epoch.
        """
        from layernet.training.fitting import fit

        return fit(
            self._as_layer(),
            X,
            y,
            loss=loss,
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            validation_data=validation_data,
            sample_weight=sample_weight,
            callbacks=callbacks,
            metrics=metrics,
            random_state=random_state,
            verbose=verbose,
            engine=engine,
        )

    def predict(self, inputs: Any, engine: str = "auto") -> np.ndarray:
        """Compute the outputs in inference mode, in blocks of rows.

        For many calls with few rows, keep the function that `compile_for_inference` returns.

        Parameters
        ----------
        inputs : array-like or sparse matrix of shape (n_samples, ...)
        engine : {"auto", "compiled", "formulas"}, default="auto"
            As in `layernet.engine.choice.inference_engine`: "auto" loads kernels only if the rows are worth it.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            Outputs of the last layer: logits, if the network was trained with a loss of logits.

        Raises
        ------
        NotBuiltError
            If the network is not built.
        ValueError
            If the network ends in a loss, or the inputs have another shape than the network was built for.

        Examples
        --------
        >>> from layernet import Dense, Dropout, Sequential
        >>> net = Sequential([Dense(2, weights_initializer="ones"), Dropout(0.5)]).build(3)
        >>> net.predict([[1.0, 2.0, 3.0]])
        array([[6., 6.]])
        """
        from layernet.engine.inference import InferencePlans

        self._require_built("outputs")
        network = self._as_layer()
        inputs = network.validate_inputs(inputs)
        return InferencePlans(network).select_plan(inputs.shape[0], engine)(inputs)

    def compile_for_inference(self, engine: str = "auto") -> InferencePlan:
        """Return a function that computes the outputs in inference mode, fast also for single rows.

        Parameters
        ----------
        engine : {"auto", "compiled", "formulas"}, default="auto"
            As in `layernet.engine.inference.InferencePlan`.

        Returns
        -------
        InferencePlan
            Call it with inputs. It follows later changes of this network.

        Examples
        --------
        >>> from layernet import Dense
        >>> predict = Dense(2, weights_initializer="ones").build(3).compile_for_inference()
        >>> predict([[1.0, 2.0, 3.0]])
        array([[6., 6.]])
        """
        from layernet.engine.inference import InferencePlan

        return InferencePlan(self._as_layer(), engine)

    def summary(self) -> str:
        """Return a table of the layers inside, with their output shapes and numbers of parameters.

        Returns
        -------
        str
        """
        return summary_text(self._as_layer())

    def _repr_html_(self) -> str:
        return summary_html(self._as_layer())

    def sample_passes(self, inputs: Any, n: int, random_state: Any = None) -> np.ndarray:
        """Compute the outputs n times with new noise (Monte Carlo dropout); see `layernet.sampling`.

        Returns
        -------
        ndarray of shape (n, n_samples, ...)
        """
        return sample_passes(self._as_layer(), inputs, n, random_state)

    def _as_layer(self) -> Layer:
        """Return this object, typed as the one subclass of this class: `Layer`."""
        return cast("Layer", self)
