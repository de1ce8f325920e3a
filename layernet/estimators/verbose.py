"""Output of `verbose=True`: a progress bar, or a line for each epoch."""

from __future__ import annotations

import sys

from layernet.training.callback import Callback
from layernet.training.callbacks import ProgressBar
from layernet.training.run import Run


class EpochLines(Callback):
    """Print the losses of each epoch to the standard output, in scikit-learn's form, for logs and pipes.

    Examples
    --------
    >>> from layernet import MLPRegressor
    >>> regressor = MLPRegressor(hidden_layer_sizes=(), tol=1.0, n_iter_no_change=1, random_state=0)
    >>> _ = regressor.set_params(callbacks=[EpochLines()]).fit([[0.0]], [0.0])
    Iteration 1, loss = 0.27784021
    Iteration 2, loss = 0.27709526
    Iteration 3, loss = 0.27635133
    Training loss did not improve more than tol=1.000000 for 1 epochs.
    """

    def on_epoch_end(self, run: Run) -> None:
        lines = [f"Iteration {run.epoch}, loss = {run.history['loss'][-1]:.8f}"]
        if "val_loss" in run.history:
            lines.append(f"Validation loss: {run.history['val_loss'][-1]:.8f}")
        if "val_score" in run.history:
            lines.append(f"Validation score: {run.history['val_score'][-1]:f}")
        print("\n".join(lines), flush=True)  # flushed, because a log may be followed while training goes on

    def on_train_end(self, run: Run) -> None:
        if run.stop_message:
            print(run.stop_message, flush=True)


def progress_callback() -> Callback:
    """Return a `ProgressBar` for a terminal or a notebook, and `EpochLines` for anything else."""
    in_terminal = all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))
    return ProgressBar() if in_terminal or is_in_notebook() else EpochLines()


def is_in_notebook() -> bool:
    """Return whether a Jupyter kernel runs this code."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")
