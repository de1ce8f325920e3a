"""Progress for `verbose=True`: a bar in a terminal or a notebook, elsewhere a line for each epoch."""

from __future__ import annotations

import sys

from layernet.training.callbacks import Callback, ProgressBar


class ProgressLines(Callback):
    """Print each epoch's loss on the standard output, in scikit-learn's form, for logs and pipes.

    Examples
    --------
    >>> from layernet import MLPRegressor
    >>> regressor = MLPRegressor(hidden_layer_sizes=(), tol=1.0, n_iter_no_change=1, random_state=0)
    >>> _ = regressor.set_params(callbacks=[ProgressLines()]).fit([[0.0]], [0.0])
    Iteration 1, loss = 0.27784021
    Iteration 2, loss = 0.27709526
    Iteration 3, loss = 0.27635133
    Training loss did not improve more than tol=1.000000 for 1 epochs.
    """

    def on_epoch_end(self, run):
        shown = [f"Iteration {run.epoch}, loss = {run.history['loss'][-1]:.8f}"]
        if "val_loss" in run.history:
            shown.append(f"Validation loss: {run.history['val_loss'][-1]:.8f}")
        if "val_score" in run.history:
            shown.append(f"Validation score: {run.history['val_score'][-1]:f}")
        print("\n".join(shown), flush=True)  # at once: somebody may follow the log

    def on_train_end(self, run):
        if run.stop_message:
            print(run.stop_message, flush=True)


def progress() -> Callback:
    """The callback for `verbose=True`: `ProgressBar` where somebody sees it move, `ProgressLines` elsewhere."""
    seen = all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))
    return ProgressBar() if seen or in_a_notebook() else ProgressLines()


def in_a_notebook() -> bool:
    """Whether a kernel of Jupyter runs this code."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")
