"""Rows that have passed the checks of `fit`, and the checks of their targets' form."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import DataConversionWarning

from layernet.training.storage import select_rows
from layernet.user_warnings import warn_user

# Classes of missing values: None, pandas' NA and NaT. NaN is not equal to itself.
MISSING_CLASSES = {"NoneType", "NAType", "NaTType"}


class Samples(NamedTuple):
    """Rows that have passed the checks of `fit`."""

    # ndarray or CSR matrix of shape (n_samples, n_features); rows of a large array on disk stay there.
    X: Any
    # ndarray of shape (n_samples,) or (n_samples, n_outputs), labels or numbers as the user gave them.
    y: np.ndarray
    # ndarray of shape (n_samples,), the product of the weights of samples and of classes; None if all are 1.
    weights: np.ndarray | None

    def select(self, rows: np.ndarray) -> Samples:
        """Return the samples with these row numbers."""
        return Samples(
            select_rows(self.X, rows), self.y[rows], None if self.weights is None else self.weights[rows]
        )


def refuse_ragged_labels(y: Any) -> None:
    """Raise a ValueError if y has a list of labels for each sample, and these differ in length."""
    if not isinstance(y, (list, tuple)) or not all(isinstance(row, (list, tuple, set)) for row in y):
        return
    if any(isinstance(row, set) for row in y) or len({len(row) for row in y}) > 1:
        raise ValueError(
            "y has several labels for a sample, as lists of several lengths. Make a column of 0 and 1 for each "
            "label: sklearn.preprocessing.MultiLabelBinarizer().fit_transform(y)."
        )


def without_nullable_type(y: Any) -> Any:
    """Return a pandas Series of a nullable type as an array of NumPy's type, if nothing is missing; else y.

    scikit-learn makes floats of such a Series: labels True and False would become 1.0 and 0.0, and large whole
    numbers would become equal.

    Examples
    --------
    >>> import pandas as pd
    >>> without_nullable_type(pd.Series([True, False], dtype="boolean"))
    array([ True, False])
    """
    numpy_type = getattr(getattr(y, "dtype", None), "numpy_dtype", None)
    if numpy_type is None or numpy_type.kind not in "biuf" or y.isna().any():
        return y
    return y.to_numpy(dtype=numpy_type)


def as_dense_targets(y: Any, who: str, accept_sparse: bool) -> np.ndarray:
    """Return targets as a dense array; a single column becomes one-dimensional.

    Parameters
    ----------
    y : ndarray or sparse matrix of shape (n_samples,) or (n_samples, n_outputs)
    who : str
        The estimator's class, for the error.
    accept_sparse : bool
        Whether y may be a sparse matrix of two columns or more, one for each label.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_outputs)

    Raises
    ------
    TypeError
        If y is sparse and not accepted.

    Examples
    --------
    >>> import scipy.sparse
    >>> as_dense_targets(scipy.sparse.csr_array([[1, 0], [0, 1]]), "MLPClassifier", accept_sparse=True)
    array([[1, 0],
           [0, 1]])
    """
    if hasattr(y, "toarray"):
        if not accept_sparse or y.ndim == 1 or y.shape[1] == 1:
            raise TypeError(
                f"{who}: y must be a dense array, got a sparse {type(y).__name__} of shape {y.shape}. "
                f"Use y.toarray(){'.ravel()' if y.shape[1:] == (1,) else ''}."
            )
        y = y.toarray()
    if y.ndim == 2 and y.shape[1] == 1:
        warn_user(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples,), for example using ravel().",
            DataConversionWarning,
        )
        y = y.ravel()
    return y
