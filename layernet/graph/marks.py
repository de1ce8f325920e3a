"""Marks of derivatives that are used again: a color and a line, the same wherever the derivative stands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

# Translucent, so that the page's own text color reads on them on a light page and on a dark one. Neither
# orange nor blue, which mean something in the graph; the first four for one level, the others for the next.
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
SIDES = ("top", "left", "right")  # where a second, third and fourth line may stand, or none
N_LEVELS = 1 + len(LINES)  # pairs of levels that the line above tells apart


def mark_of(depth: int, index: int) -> int:
    """A mark for a neuron's derivative, the same wherever it occurs, and another on other levels.

    The first four neurons of a level have a color each; from the fifth on the color comes again with another
    line below it. Levels take their colors from two palettes in turn, and from the third on have a line above.
    """
    return index % 4 + 4 * (depth % 2) + 8 * (depth // 2 % N_LEVELS) + 8 * N_LEVELS * (index // 4)


def ordinary_marks() -> Iterator[int]:
    """All marks without a line above, the plainest first."""
    return (number % 8 + 8 * N_LEVELS * (number // 8) for number in count())


def style_of(mark: int) -> str:
    """A mark as an inline style: a background, and lines around it."""
    rest, tint = divmod(mark, 8)
    rest, above = divmod(rest, N_LEVELS)
    rest, below = divmod(rest, len(LINES))
    rest, left = divmod(rest, 1 + len(LINES))
    others = zip(SIDES, (above, left, rest % (1 + len(LINES))), strict=True)
    borders = [("bottom", LINES[below]), *((side, LINES[line - 1]) for side, line in others if line)]
    lines = "".join(f"border-{side}:{3 if line == 'double' else 2}px {line};" for side, line in borders)
    return f"background:{TINTS[tint]};{lines}"
