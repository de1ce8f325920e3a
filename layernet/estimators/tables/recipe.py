"""Settings of the networks for one table, chosen by its size and the preset."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

PRESETS = ("best", "balanced", "fast")

# Tables of fewer rows are small.
SMALL = 2000
# Features that the encodings of all numbers may have together; a first layer of more takes most of the time.
MAX_ENCODED = 2048
# A number and its periodic embedding are so many features, and it has at least so many pieces.
N_EMBEDDED, MIN_PIECES = 4, 4

# Epochs at the ends of the cycles of `LogCosineSchedule`, as parts of all epochs: (2**k - 1) / 15.
CYCLE_ENDS = (1 / 15, 3 / 15, 7 / 15, 1.0)


@dataclass(frozen=True)
class Recipe:
    """Settings of the networks for one table.

    Attributes
    ----------
    representations : tuple of str
        "periodic": numbers with their periodic embeddings. "pieces": the same, with piecewise linear encodings
        beside them. "plain": numbers alone. Each is trained on every fold; if there is time for one only, the
        last one is.
    n_folds : int
        The number of folds if the user gives no `cv`.
    n_trained_folds : int
        The number of folds on which networks are trained.
    n_epochs, batch_size, width, n_hidden_layers : int
    n_pieces, n_frequencies, embedding_width, category_width : int
        Of the encodings of numbers and categories.
    activation : {"selu", "mish"}
    learning_rate : float
    """

    representations: tuple[str, ...]
    n_folds: int
    n_trained_folds: int
    n_epochs: int
    batch_size: int
    width: int = 128
    n_hidden_layers: int = 3
    n_pieces: int = 16
    n_frequencies: int = 16
    embedding_width: int = 3
    category_width: int = 8
    activation: str = "selu"
    learning_rate: float = 0.05


def choose_recipe(preset: str, n_rows: int, n_numbers: int, is_classification: bool) -> Recipe:
    """Return the settings for a table.

    Small tables get two representations of numbers, because neither is better for all of them, and narrow
    networks, which are no worse there. Larger tables get wider networks and fewer epochs, each of which has
    more steps.

    Parameters
    ----------
    preset : {"best", "balanced", "fast"}
    n_rows : int
        Rows of the table.
    n_numbers : int
        Columns of numbers, for which there are representations.
    is_classification : bool

    Returns
    -------
    Recipe
    """
    is_small = n_rows < SMALL
    n_folds = 8 if is_small and preset == "best" else 5
    n_training_rows = n_rows - n_rows // n_folds
    batch_size = batch_size_for(n_training_rows)
    recipe = Recipe(
        representations=representations_for(n_numbers, is_small),
        n_folds=n_folds,
        n_trained_folds=n_folds,
        n_epochs=64 if is_small else epochs_for(n_training_rows),
        batch_size=batch_size,
        width=64 if is_small else 128,
        n_pieces=min(16, max(MIN_PIECES, MAX_ENCODED // max(n_numbers, 1) - N_EMBEDDED)),
        activation="selu" if is_classification else "mish",
        learning_rate=0.05 * math.sqrt(batch_size / 256),
    )
    if preset == "best":
        return recipe
    one = replace(recipe, representations=recipe.representations[-1:])
    if preset == "balanced":
        return one if is_small else replace(one, n_trained_folds=3, n_epochs=round(0.8 * one.n_epochs))
    if is_small:
        return replace(one, n_trained_folds=2)
    return replace(one, n_trained_folds=1, n_epochs=round(0.5 * one.n_epochs))


def representations_for(n_numbers: int, is_small: bool) -> tuple[str, ...]:
    """Return the representations of numbers, the most useful one last.

    Where hundreds of columns make wide networks of a few numbers each, encodings cost more than they bring.
    """
    if n_numbers == 0 or (N_EMBEDDED + MIN_PIECES) * n_numbers > MAX_ENCODED:
        return ("plain",)
    return ("pieces", "periodic") if is_small else ("pieces",)


def batch_size_for(n_rows: int) -> int:
    """Return the rows of a batch for a number of training rows."""
    if n_rows < 400:
        return 32
    if n_rows < 1500:
        return 64
    return 128 if n_rows < 8000 else 256


def epochs_for(n_rows: int) -> int:
    """Return the number of epochs for the training rows of a table that is not small: fewer for more rows."""
    if n_rows < 40_000:
        return int(min(128, max(48, 128 * math.sqrt(2000 / n_rows))))
    return int(max(16, 48 * math.sqrt(40_000 / n_rows)))
