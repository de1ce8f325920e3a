"""Names, derivatives and numbers as text, LaTeX and HTML."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Symbol:
    """Name of a node or a parameter: a letter, optionally with a layer's number and an index.

    Attributes
    ----------
    letter : str
    index : int or None
        Counted from 1, as on the slides.
    layer : int or None
        Number of the layer, in networks with more layers than letters.

    Examples
    --------
    >>> str(Symbol("h", 2)), Symbol("h", 2).latex, Symbol("h", 2).html
    ('h2', 'h_{2}', 'h<sub>2</sub>')
    >>> str(Symbol("h", 2, layer=7)), Symbol("h", 2, layer=7).latex
    ('h7_2', 'h^{(7)}_{2}')
    """

    letter: str
    index: int | None = None
    layer: int | None = None

    def __str__(self) -> str:
        layer = "" if self.layer is None else f"{self.layer}_"
        return f"{self.letter}{layer}{'' if self.index is None else self.index}"

    @property
    def column(self) -> str:
        """Name of the neuron's column."""
        return f"{self.letter}{'' if self.layer is None else self.layer}"

    @property
    def latex(self) -> str:
        """In LaTeX."""
        word = self.letter.replace("_", r"\_")
        letter = word if len(word) == 1 else rf"\mathrm{{{word}}}"
        layer = "" if self.layer is None else f"^{{({self.layer})}}"
        return f"{letter}{layer}{'' if self.index is None else f'_{{{self.index}}}'}"

    @property
    def html(self) -> str:
        """In HTML."""
        layer = "" if self.layer is None else f"<sup>({self.layer})</sup>"
        return f"{self.letter}{layer}{'' if self.index is None else f'<sub>{self.index}</sub>'}"


@dataclass(frozen=True)
class Derivative:
    r"""Symbol of a derivative, d of / d to.

    Attributes
    ----------
    of, to : Symbol
        The differentiated quantity, and the variable.
    is_skip : bool
        Whether it is the derivative along the skip connection of a `Residual` alone, which is 1. For p = u + z
        with u a function of z, the total derivative is dp/dz = dp/du du/dz + dp/dz^skip.

    Examples
    --------
    >>> derivative = Derivative(Symbol("p"), Symbol("h", 1))
    >>> print(derivative)
    dp/dh1
    >>> print(derivative.latex)
    \frac{\partial p}{\partial h_{1}}
    >>> print(Derivative(Symbol("p"), Symbol("z"), is_skip=True))
    dp/dz^skip
    """

    of: Symbol
    to: Symbol
    is_skip: bool = False

    def __str__(self) -> str:
        return f"d{self.of}/d{self.to}{'^skip' if self.is_skip else ''}"

    @property
    def latex(self) -> str:
        """In LaTeX."""
        skip = r"^{\text{skip}}" if self.is_skip else ""
        return rf"\frac{{\partial {self.of.latex}}}{{\partial {self.to.latex}}}{skip}"

    @property
    def html(self) -> str:
        """In HTML, as a fraction."""
        # The slash is visible where styles are stripped; the style sheet hides it and draws a line.
        return (
            f'<span class="frac"><span>∂{self.of.html}</span><span class="slash">/</span>'
            f"<span>∂{self.to.html}</span></span>{'<sup>skip</sup>' if self.is_skip else ''}"
        )


def number(value: float) -> str:
    """Write a number with four digits and a typographic minus sign.

    Examples
    --------
    >>> number(0.123456), number(-2.0), number(1.5e-07)
    ('0.1235', '\u22122', '1.5e\u22127')
    """
    text = f"{value + 0.0:.4g}"  # no minus before a zero
    if "e" in text:
        digits, exponent = text.split("e")
        text = f"{digits}e{int(exponent)}"
    return text.replace("-", "\u2212")


def latex_number(value: float) -> str:
    r"""Write a number with four digits in LaTeX.

    Examples
    --------
    >>> print(latex_number(1.5e-07))
    1.5 \cdot 10^{-7}
    """
    if not math.isfinite(value):
        return {math.inf: r"\infty", -math.inf: r"-\infty"}.get(value, r"\text{NaN}")
    digits, _, exponent = number(value).replace("\u2212", "-").partition("e")
    return rf"{digits} \cdot 10^{{{exponent}}}" if exponent else digits
