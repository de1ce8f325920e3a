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

# The cycles of `LogCosineSchedule` end at 1, 3, 7 and 15 parts of all epochs, where the learning rate is 0. The
# number of epochs is a multiple of 15, so a cycle ends with an epoch, and that epoch can be kept.
CYCLE_ENDS = (1, 3, 7, 15)
EPOCHS_OF_FIRST_CYCLE = 3
EPOCHS_OF_FIRST_CYCLE_LARGE, EPOCHS_OF_FIRST_CYCLE_NUMBERS = 4, 5
# Tables of so many rows are large.
LARGE = 10_000
# Above so many rows, the first cycle has fewer epochs.
MANY_ROWS = 40_000
# Regressions that are neither small nor large are trained on more folds. Squared errors gain from the mean of
# more networks, the more so the fewer the rows, and most networks stop after few epochs.
N_FOLDS, N_FOLDS_SMALL, N_FOLDS_OF_NUMBERS, N_FOLDS_OF_FEW_NUMBERS = 5, 6, 8, 10
FEW_NUMBERS = 5000


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
    n_epochs : int
        A multiple of 15; see `CYCLE_ENDS`.
    batch_size, width, n_hidden_layers : int
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

    Small tables get two representations of numbers, because neither is better for all of them. Larger tables
    get a lower learning rate and more epochs, each of which has more steps.

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
    n_folds = N_FOLDS
    if preset == "best" and is_small:
        n_folds = N_FOLDS_SMALL
    elif preset == "best" and n_rows < LARGE and not is_classification:
        n_folds = N_FOLDS_OF_FEW_NUMBERS if n_rows < FEW_NUMBERS else N_FOLDS_OF_NUMBERS
    batch_size = batch_size_for(n_rows - n_rows // n_folds)
    first_cycle = first_cycle_for(n_rows, is_classification)
    recipe = Recipe(
        representations=representations_for(n_numbers, is_small),
        n_folds=n_folds,
        n_trained_folds=n_folds,
        n_epochs=CYCLE_ENDS[-1] * first_cycle,
        batch_size=batch_size,
        n_pieces=min(16, max(MIN_PIECES, MAX_ENCODED // max(n_numbers, 1) - N_EMBEDDED)),
        activation="selu" if is_classification else "mish",
        learning_rate=(0.05 if is_small else 0.03) * math.sqrt(batch_size / 256),
    )
    if preset == "best":
        return recipe
    one = replace(recipe, representations=recipe.representations[-1:])
    if is_small:
        return one if preset == "balanced" else replace(one, n_trained_folds=2)
    n_trained_folds, share = 1, 0.5
    if preset == "balanced":
        n_trained_folds, share = (4, 1.0) if n_rows < LARGE else (3, 0.75)
    n_epochs = CYCLE_ENDS[-1] * max(1, round(share * first_cycle))
    return replace(one, n_trained_folds=n_trained_folds, n_epochs=n_epochs)


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


def first_cycle_for(n_rows: int, is_classification: bool) -> int:
    """Return the epochs of the first cycle: more for large tables, fewer for very large ones."""
    if n_rows < (LARGE if is_classification else SMALL):
        return EPOCHS_OF_FIRST_CYCLE
    most = EPOCHS_OF_FIRST_CYCLE_LARGE if is_classification else EPOCHS_OF_FIRST_CYCLE_NUMBERS
    return max(1, round(most * min(1.0, math.sqrt(MANY_ROWS / n_rows))))
