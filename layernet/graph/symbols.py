"""Names and derivatives as text, as LaTeX and as HTML: `dp/dh1` in the three ways in which it is written."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Symbol:
    """The name of a node or of a parameter: a letter, perhaps a layer's number, perhaps an index.

    Attributes
    ----------
    letter : str
    index : int or None
        Counted from 1, as on the slides.
    layer : int or None
        For networks that are too deep for a letter each.

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
        """The name of the column that the neuron stands in."""
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
    r"""The symbol of a derivative, d of / d to.

    Attributes
    ----------
    of, to : Symbol
        What is derived, and with respect to what.
    is_skip : bool
        Whether it is that of the edge around the body of a `Residual` alone, which is 1. For p = u + z, where u
        is a function of z, the whole derivative is dp/dz = dp/du du/dz + dp/dz^skip.

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
        # The slash is read where styles are stripped; the style sheet hides it and draws a line.
        return (
            f'<span class="frac"><span>∂{self.of.html}</span><span class="slash">/</span>'
            f"<span>∂{self.to.html}</span></span>{'<sup>skip</sup>' if self.is_skip else ''}"
        )


def number(value: float) -> str:
    """A number as it is shown everywhere: four digits, with a minus sign that is as wide as a plus.

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
    r"""The same in LaTeX.

    Examples
    --------
    >>> print(latex_number(1.5e-07))
    1.5 \cdot 10^{-7}
    """
    if not math.isfinite(value):
        return {math.inf: r"\infty", -math.inf: r"-\infty"}.get(value, r"\text{NaN}")
    digits, _, exponent = number(value).replace("\u2212", "-").partition("e")
    return rf"{digits} \cdot 10^{{{exponent}}}" if exponent else digits
