"""TableEncoder: a table with columns of any type as one matrix for networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import (
    _check_feature_names,
    _check_feature_names_in,
    _check_n_features,
    _check_sample_weight,
    check_is_fitted,
)

from layernet.estimators.robust_scale import scale_and_clip
from layernet.estimators.tables.categories import Levels
from layernet.estimators.tables.columns import WHO, Data, Table, as_table, infinity_error
from layernet.estimators.tables.dates import dates_of_text
from layernet.estimators.tables.encodings import LIMIT, ColumnEncoding, NumberEncoding, fit_encoding

# Numbers that are scaled at a time: the temporary arrays stay in the cache.
SCALED_AT_ONCE = 2**14


@dataclass(frozen=True)
class Layout:
    """Columns of the matrix, in this order: numbers, flags, codes.

    Attributes
    ----------
    n_numbers : int
        Scaled numbers, within ±3.
    n_flags : int
        Flags: 0 and 1, or -1, 0 and +1.
    n_levels : tuple of int
        Number of levels of each column of codes; a code is 0, 1, ... or -1 for an unknown level.
    """

    n_numbers: int
    n_flags: int
    n_levels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Column:
    """Column of a table, and what became of it.

    Attributes
    ----------
    name : object
        Of a data frame's column; "x0", "x1", ... for arrays.
    kind : str
        "number", "category", "date", "constant" or "empty".
    reason : str
        Why it is of this kind.
    encoding : str
        What it became.
    n_levels : int
        Different levels of a category in `fit`; 0 for others.
    n_missing : int
        Missing values in `fit`.
    outputs : ndarray of int
        Numbers of its columns in the matrix.
    """

    name: Any
    kind: str
    reason: str
    encoding: str
    n_levels: int
    n_missing: int
    outputs: np.ndarray


class TableEncoder(TransformerMixin, BaseEstimator):
    """Encode a table with columns of any type as one float32 matrix for networks.

    - **Numbers** are scaled and clipped as by `RobustScale`, by a median and quartiles that are values of the
      column. A missing number becomes 0. If one was missing in `fit`, a flag says where. A column with two
      values becomes -1 and +1.
    - **Categories** (strings, booleans, categorical types) of two levels become -1 and +1, those of up to
      `max_one_hot` levels one-hot columns, and others one column of codes for `CategoryEmbedding`. Missing
      values are a level if there are any in `fit`. An unknown level becomes zeros, or the code -1.
    - **Dates** (also strings that are all ISO dates) become year, month, weekday, hour, and days since the
      earliest date; parts that do not vary are left out. The clock time of a time zone counts.
    - Constant and empty columns have no outputs.

    Durations, and times of the day, are numbers of seconds. Whole numbers are numbers; `categories` names those
    that are not. `columns_` reports the kind of each column and the reason.

    Parameters
    ----------
    categories : sequence of names or of int, default=None
        Columns that are categories although their type is another.
    max_one_hot : int, default=40
        Most levels that are encoded one-hot.
    min_count : int, default=2
        In a category with more levels than `max_one_hot`, levels of fewer rows share the level "rare", and
        unknown levels count as rare. What is learned about a level of one row holds for no other row.
    max_levels : int, default=10000
        If more levels than this are left, they are hashed to this number of codes, by CRC-32.

    Attributes
    ----------
    columns_ : tuple of Column
        Kind and encoding of each column of the table.
    layout_ : Layout
        Columns of the matrix: numbers, then flags, then codes. A table without any output has one flag, which
        is 0.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only where X has column names that are strings.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20, 30, None, 50], "city": ["Rome", "Oslo", "Bonn", "Oslo"]})
    >>> encoder = TableEncoder().fit(frame)
    >>> encoder.get_feature_names_out().tolist()
    ['age', 'age_missing', 'city=Bonn', 'city=Oslo', 'city=Rome']
    >>> encoder.transform(frame.iloc[1:3])
    array([[0., 0., 0., 1., 0.],
           [0., 1., 1., 0., 0.]], dtype=float32)
    >>> encoder.columns_[1].encoding
    'one-hot, 3 levels'
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "categories": ["array-like", None],
        "max_one_hot": [Interval(Integral, 2, None, closed="left")],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "max_levels": [Interval(Integral, 2, 2**24, closed="both")],  # codes are float32
    }

    def __init__(
        self,
        categories: Sequence[Any] | None = None,
        max_one_hot: int = 40,
        min_count: int = 2,
        max_levels: int = 10_000,
    ) -> None:
        self.categories = categories
        self.max_one_hot = max_one_hot
        self.min_count = min_count
        self.max_levels = max_levels

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the kind and the encoding of each column.

        Parameters
        ----------
        X : data frame of pandas or polars, array-like or sparse matrix of shape (n_samples, n_features)
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            In medians and quartiles, a row with weight k counts as k equal rows. Rows of weight 0 are left out.

        Returns
        -------
        TableEncoder
        """
        table = as_table(X, self)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(
                sample_weight, np.empty((table.shape[0], 0)), ensure_non_negative=True
            )
        categories = self._positions_of_categories(table)
        if table.library == "sparse":
            table = Table(table.values.tocsc(), "sparse", None, table.shape)
        encodings = [self._fit_column(table, j, j in categories, weights) for j in range(table.shape[1])]
        self._encodings = encodings
        self._names = table.names
        self._places = self._arrange(encodings)
        labels = [table.label(position) for position in range(len(encodings))]
        self.columns_ = tuple(
            Column(label, each.kind, each.reason, each.encoding, each.n_levels, each.n_missing, places)
            for label, each, places in zip(labels, encodings, self._places, strict=True)
        )
        self.n_features_in_ = table.shape[1]
        if table.names is not None and all(isinstance(name, str) for name in table.names):
            self.feature_names_in_ = np.array(table.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def _positions_of_categories(self, table: Table) -> set[int]:
        labels = [table.label(position) for position in range(table.shape[1])]
        positions, unknown = set(), []
        for name in [] if self.categories is None else list(self.categories):
            if table.names is not None and name in labels:
                positions.add(labels.index(name))
            elif (
                isinstance(name, (int, np.integer))
                and not isinstance(name, bool)
                and -len(labels) <= name < len(labels)
            ):
                positions.add(int(name) % len(labels))
            else:
                unknown.append(name)
        if unknown:
            shown = ", ".join(map(repr, labels[:20])) + (", ..." if len(labels) > 20 else "")
            raise ValueError(
                f"{WHO}: categories must be names or positions of columns of X, got {unknown!r}. X has the "
                f"columns {shown}."
            )
        return positions

    def _fit_column(
        self, table: Table, position: int, is_category: bool, weights: np.ndarray | None
    ) -> ColumnEncoding:
        data: Data = table.read(position, "category" if is_category else None)
        if weights is not None:
            used = np.flatnonzero(weights)
            data, weights = data.select(used), weights[used]
        if isinstance(data, Levels) and not is_category:
            data = dates_of_text(data) or data
        return fit_encoding(data, is_category, self.max_one_hot, self.max_levels, self.min_count, weights)

    def _arrange(self, encodings: list[ColumnEncoding]) -> list[np.ndarray]:
        """Set the layout, and return the places of each column's outputs."""
        n_numbers = sum(len(each.number_names) for each in encodings)
        n_flags = sum(len(each.flag_names) for each in encodings)
        n_levels = tuple(each.n_codes for each in encodings if each.code_names)
        if n_numbers + n_flags + len(n_levels) == 0:
            n_flags = 1  # zeros: a network needs a column
        self.layout_ = Layout(n_numbers, n_flags, n_levels)
        next_places = [0, n_numbers, n_numbers + n_flags]
        places = []
        for each in encodings:
            own = []
            for sort, names in enumerate((each.number_names, each.flag_names, each.code_names)):
                own.append(np.arange(next_places[sort], next_places[sort] + len(names)))
                next_places[sort] += len(names)
            places.append(np.concatenate(own))
        self._scaled = np.array(
            [j for j, each in enumerate(encodings) if type(each) is NumberEncoding and each.number_names],
            dtype=np.intp,
        )
        scaled: list[Any] = [encodings[j] for j in self._scaled]
        self._center = np.array([each.center[0] for each in scaled])
        self._factor = np.array([each.factor[0] for each in scaled])
        self._number_places = np.array([places[j][0] for j in self._scaled], dtype=np.intp)
        self._with_flag = np.array([bool(each.flag_names) for each in scaled], dtype=bool)
        self._flag_places = np.array(
            [places[j][1] for j in self._scaled if encodings[j].flag_names], dtype=np.intp
        )
        return places

    def transform(self, X: Any) -> np.ndarray:
        """Encode a table with the columns of `fit`.

        Columns of a data frame are found by their names; further columns are ignored.

        Parameters
        ----------
        X : data frame of pandas or polars, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of float32 of shape (n_samples, n_outputs)
            Finite.
        """
        check_is_fitted(self)
        table = as_table(X, self)
        positions = self._positions_of_columns(table)
        layout = self.layout_
        n_outputs = layout.n_numbers + layout.n_flags + len(layout.n_levels)
        outputs = np.zeros((table.shape[0], n_outputs), dtype=np.float32)
        is_numeric = table.library == "sparse" or (
            table.library == "numpy" and table.values.dtype.kind in "iuf"
        )
        remaining = {column for column, places in enumerate(self._places) if len(places)}
        if is_numeric and len(self._scaled):
            self._write_scaled(table.values, outputs)
            remaining -= set(self._scaled.tolist())
        if table.library == "sparse" and remaining:
            table = Table(table.values.tocsc(), "sparse", None, table.shape)
        for column in sorted(remaining):
            encoding = self._encodings[column]
            data = table.read(positions[column], encoding.kind, encoding.zone)
            encoding.write(data, self.columns_[column].name, outputs, self._places[column])
        return outputs

    def _positions_of_columns(self, table: Table) -> list[int]:
        """Return the positions of the columns of `fit` in a table."""
        if table.names is None or self._names is None:
            _check_feature_names(self, table.values, reset=False)
            _check_n_features(self, table.values, reset=False)
            return list(range(self.n_features_in_))
        places = {name: position for position, name in enumerate(table.names)}
        missing = [name for name in self._names if name not in places]
        if missing:
            names = "\n".join(f"- {name}" for name in missing)
            raise ValueError(
                "The feature names should match those that were passed during fit.\n"
                f"Feature names seen at fit time, yet now missing:\n{names}\n"
            )
        return [places[name] for name in self._names]

    def _write_scaled(self, X: Any, outputs: np.ndarray) -> None:
        """Write numbers of more than two values, and their flags, from an array or a sparse matrix."""
        n_rows = max(64, SCALED_AT_ONCE // X.shape[1])
        X = X.tocsr() if sparse.issparse(X) else X
        is_whole = len(self._scaled) == X.shape[1]
        first = int(self._number_places[0])
        is_one_block = bool(np.array_equal(self._number_places, first + np.arange(len(self._scaled))))
        columns: Any = slice(first, first + len(self._scaled)) if is_one_block else self._number_places
        for start in range(0, len(outputs), n_rows):
            rows = slice(start, start + n_rows)
            block = X[rows].toarray() if sparse.issparse(X) else X[rows]
            block = block if is_whole else block[:, self._scaled]
            block = np.asarray(block, dtype=np.float64)
            scaled = scale_and_clip(block, self._center, self._factor, LIMIT)
            if not np.isfinite(block).all():
                is_infinite = np.isinf(block).any(axis=0)
                if is_infinite.any():
                    raise infinity_error(self.columns_[self._scaled[is_infinite.argmax()]].name)
                is_missing = np.isnan(block)
                scaled[is_missing] = 0
                outputs[rows, self._flag_places] = is_missing[:, self._with_flag]
            outputs[rows, columns] = scaled

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the outputs, such as "age", "age_missing", "city=Paris" or "bought_weekday".

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns in place of "x0", "x1", ... of an array.

        Returns
        -------
        ndarray of object
            Different strings.
        """
        check_is_fitted(self)
        if input_features is None:
            labels = [each.name for each in self.columns_]
        else:
            labels = list(_check_feature_names_in(self, input_features))
        layout = self.layout_
        names = ["no_feature"] * (layout.n_numbers + layout.n_flags + len(layout.n_levels))
        for label, each, places in zip(labels, self._encodings, self._places, strict=True):
            for end, place in zip(each.number_names + each.flag_names + each.code_names, places, strict=True):
                names[place] = f"{label}{end}"
        taken: set[str] = set()
        for place, name in enumerate(names):
            unique, number = name, 2
            while unique in taken:
                unique, number = f"{name}_{number}", number + 1
            names[place] = unique
            taken.add(unique)
        return np.array(names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags
