"""Marks of derivatives that are used more than once: a background color and lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

# Translucent, so that text is readable on a light and on a dark page. Without orange and blue, which have a
# meaning in the graph. Levels take the first four and the last four in turn.
TINTS = [
    "rgba(0,158,115,.30)",
    "rgba(204,121,167,.36)",
    "rgba(240,228,66,.38)",
    "rgba(128,128,128,.32)",
    "rgba(136,96,208,.32)",
    "rgba(60,190,200,.30)",
    "rgba(150,180,60,.36)",
    "rgba(160,120,80,.36)",
]
LINES = ("solid", "double", "dashed", "dotted")
SIDES = ("top", "left", "right")  # sides of a second, third and fourth line
N_LEVELS = 1 + len(LINES)  # pairs of levels that the line above distinguishes


def mark_of(depth: int, index: int) -> int:
    """Return the mark of a neuron's derivative, equal at every occurrence and different on other levels.

    The first four neurons of a level have one color each; from the fifth on, colors repeat with another line
    below. Levels use two palettes in turn, and from the third level on a line above.
    """
    return index % 4 + 4 * (depth % 2) + 8 * (depth // 2 % N_LEVELS) + 8 * N_LEVELS * (index // 4)


def ordinary_marks() -> Iterator[int]:
    """Yield all marks without a line above, the simplest first."""
    return (number % 8 + 8 * N_LEVELS * (number // 8) for number in count())


def style_of(mark: int) -> str:
    """Return a mark as an inline style: a background and borders."""
    rest, tint = divmod(mark, 8)
    rest, above = divmod(rest, N_LEVELS)
    rest, below = divmod(rest, len(LINES))
    rest, left = divmod(rest, 1 + len(LINES))
    others = zip(SIDES, (above, left, rest % (1 + len(LINES))), strict=True)
    borders = [("bottom", LINES[below]), *((side, LINES[line - 1]) for side, line in others if line)]
    lines = "".join(f"border-{side}:{3 if line == 'double' else 2}px {line};" for side, line in borders)
    return f"background:{TINTS[tint]};{lines}"
