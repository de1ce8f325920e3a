"""Derivatives as equations: formulas with their numbers, in text, in LaTeX and in HTML."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from layernet.graph.marks import TINTS, style_of
from layernet.graph.symbols import Derivative, latex_number, number

__all__ = ["TINTS", "Derivation", "Equation", "Factor", "ParameterDerivation"]

# Of the equations of a level, and of the products of a sum: up to eight are shown, of more the three largest.
MOST_SHOWN, LARGEST = 8, 3

STYLE = """<style>
.layernet-derivation { font-family: Georgia, "Times New Roman", serif; font-size: 1.02em; overflow-x: auto; }
.layernet-derivation .group { display: flex; gap: 1.2em; margin: 0.3em 0; }
.layernet-derivation .level { font-family: system-ui, sans-serif; font-weight: 600; padding-top: 0.5em; }
.layernet-derivation .equation { margin: 0 0 0.4em; line-height: 2.6; }
.layernet-derivation .term { white-space: nowrap; }
.layernet-derivation .frac { display: inline-flex; flex-direction: column; vertical-align: middle;
  text-align: center; line-height: 1.25; font-style: italic; margin: 0 0.1em; }
.layernet-derivation .frac > span:last-child { border-top: 1px solid currentColor; padding: 0 0.15em; }
.layernet-derivation .frac .slash { position: absolute; opacity: 0; }
.layernet-derivation .frac + sup { vertical-align: 1.1em; line-height: 0; font-size: 0.7em; }
.layernet-derivation .used { display: inline-block; line-height: 1.25; border-radius: 0.4em;
  padding: 0.15em 0.2em; vertical-align: middle; }
.layernet-derivation .note { font-family: system-ui, sans-serif; font-size: 0.85em; line-height: 1.5; }
</style>"""


@dataclass(frozen=True)
class Factor:
    """A derivative in a product, with its number.

    Attributes
    ----------
    derivative : Derivative
    value : float
    mark : int or None
        How it is marked, where it is one that is used again; the same for the same derivative.
    is_known : bool
        Whether the level above worked it out.
    is_sum : bool
        Whether it did so by a sum; the slides write such a factor in parentheses.
    """

    derivative: Derivative
    value: float
    mark: int | None = None
    is_known: bool = False
    is_sum: bool = False

    def text(self, with_marks: bool = False) -> str:
        """In plain letters; with marks, all that is known is in parentheses, what is repeated in brackets."""
        text = str(self.derivative)
        if self.is_sum or (with_marks and self.is_known):
            return f"({text})"
        return f"[{text}]" if with_marks and self.mark is not None else text

    @property
    def latex(self) -> str:
        """In LaTeX; what is known is underlined."""
        latex = self.derivative.latex
        latex = rf"\left({latex}\right)" if self.is_sum else latex
        return rf"\underline{{{latex}}}" if self.is_known else latex

    @property
    def html(self) -> str:
        """In HTML; what is used again has a color and a line."""
        html = f"({self.derivative.html})" if self.is_sum else self.derivative.html
        return html if self.mark is None else marked(html, self.mark)


@dataclass(frozen=True)
class Equation:
    """A derivative as a sum of products.

    Attributes
    ----------
    derivative : Derivative
    value : float
    products : list of list of Factor
        The sum; a single product of the derivative itself where it is a local one, none where it is zero
        because nothing leads to the target.
    mark : int or None
        The mark of the left side.
    """

    derivative: Derivative
    value: float
    products: list[list[Factor]]
    mark: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to be said but the value: a derivative on one edge, or zero."""
        return [[f.derivative for f in product] for product in self.products] in ([], [[self.derivative]])

    @property
    def symbolic(self) -> str:
        """The formula alone: "dp/dz1 = dp/dh1 dh1/dz1 + dp/dh2 dh2/dz1"."""
        if self.is_plain:
            return str(self.derivative)
        return f"{self.derivative} = {' + '.join(' '.join(f.text() for f in p) for p in self.products)}"

    @property
    def numeric(self) -> str:
        """The right side with numbers, and the value."""
        if self.is_plain:
            return f"= {number(self.value)}"
        return f"= {' + '.join(' · '.join(map(shown_factor, p)) for p in self.products)} = {number(self.value)}"

    def lines(self) -> list[str]:
        """The formula and the numbers for the screen; of a long sum the largest products."""
        if self.is_plain:
            return [f"{self.derivative} = {number(self.value)}"]
        products, rest = self._to_show()
        symbols = " + ".join(
            " ".join(factor.text(with_marks=True) for factor in product) for product in products
        )
        numbers = " + ".join(" · ".join(map(shown_factor, product)) for product in products)
        left = str(self.derivative)
        return [f"{left} = {symbols}{rest}", f"{'':{len(left)}} = {numbers}{rest} = {number(self.value)}"]

    def latex(self, folded: bool = False) -> str:
        """The formula with its numbers, lines of an `align*` environment.

        Parameters
        ----------
        folded : bool, default=False
            Whether to leave out all but the largest products of a long sum.
        """
        left = self.derivative.latex
        if self.is_plain:
            return rf"{left} &= {latex_number(self.value)}"
        products, rest = self._to_show() if folded else (self.products, "")
        # Two products on a line, for LaTeX does not break lines in a formula.
        between = " + " if len(products) <= 2 else " \\\\\n&\\quad + "
        symbols = between.join(r" \, ".join(factor.latex for factor in product) for product in products)
        numbers = between.join(
            r" \cdot ".join(in_parentheses_if_negative(latex_number(factor.value)) for factor in product)
            for product in products
        )
        rest = rest.replace("...", r"\dots") if rest else ""
        rest = rf"\ \text{{{rest}}}" if rest else ""
        return rf"{left} &= {symbols}{rest} \\ &= {numbers}{rest} = {latex_number(self.value)}"

    @property
    def html(self) -> str:
        """The formula with its numbers; what is used again has a color and a line of its own."""
        left = self.derivative.html if self.mark is None else marked(self.derivative.html, self.mark)
        if self.is_plain:
            return f'<div class="equation">{left} = {number(self.value)}</div>'
        products, rest = self._to_show()
        symbols = [f'<span class="term">{" ".join(f.html for f in product)}</span>' for product in products]
        numbers = [
            f'<span class="term">{" · ".join(shown_factor(f, in_html=True) for f in product)}</span>'
            for product in products
        ]
        return (
            f'<div class="equation">{left} = {" + ".join(symbols)}{rest}<br>'
            f"= {' + '.join(numbers)}{rest} = <strong>{number(self.value)}</strong></div>"
        )

    def _to_show(self) -> tuple[list[list[Factor]], str]:
        sizes = [abs(math.prod(factor.value for factor in product)) for product in self.products]
        shown = worth_showing(sizes)
        left = len(sizes) - len(shown)
        return [self.products[i] for i in shown], f" + ... ({left} smaller)" if left else ""


class Derivation:
    """Equations in groups, the lecture's levels for instance.

    Attributes
    ----------
    groups : list of (str, list of Equation)
        The number of the level, or nothing, and its equations.
    notes : list of (str, str)
        What is said below them: in plain text, and where there are colors.
    """

    def __init__(self, groups: list[tuple[str, list[Equation]]], notes: list[tuple[str, str]] = ()):
        self.groups = groups
        self.notes = list(notes)

    @property
    def equations(self) -> list[Equation]:
        """All equations, in order."""
        return [equation for _, equations in self.groups for equation in equations]

    @property
    def symbolic(self) -> str:
        """The formulas alone, a line for each."""
        return "\n".join(equation.symbolic for equation in self.equations)

    def __iter__(self) -> Iterator[Equation]:
        return iter(self.equations)

    def __getitem__(self, name: str) -> Equation:
        """The equation of a derivative, by its name: "dp/dz1"."""
        for equation in self.equations:
            if str(equation.derivative) == name:
                return equation
        known = ", ".join(str(equation.derivative) for equation in self.equations[:MOST_SHOWN])
        raise KeyError(f"There is no {name!r} here, but {known}{', ...' * (len(self.equations) > MOST_SHOWN)}.")

    def latex(self) -> str:
        """All equations with their numbers, as an `align*` environment.

        Returns
        -------
        str
        """
        return self._latex(folded=False)

    def _latex(self, folded: bool) -> str:
        lines = []
        for label, equations in self.groups:
            shown = shown_equations(equations)[0] if folded else equations
            head = rf"\text{{{label}}} \quad & \\" if label else ""
            lines.append(head + " \\\\\n".join(equation.latex(folded) for equation in shown))
        return "\\begin{align*}\n" + " \\\\[6pt]\n".join(lines) + "\n\\end{align*}"

    def _repr_latex_(self) -> str:
        return self._latex(folded=True)  # it is stored in the notebook, beside the HTML

    def _repr_html_(self) -> str:
        rows = []
        for label, equations in self.groups:
            shown, rest = shown_equations(equations)
            content = "".join(equation.html for equation in shown)
            content += f'<div class="note">{rest}</div>' if rest else ""
            # Not a table: Jupyter has its own mind about how tables look.
            first = f'<div class="level">level&nbsp;{label}</div> ' if label else ""
            rows.append(f'<div class="group">{first}<div>{content}</div></div>')
        notes = "".join(f'<div class="note">{note}</div>' for _, note in self.notes)
        return f'{STYLE}<div class="layernet-derivation">{"".join(rows)}{notes}</div>'

    def __str__(self) -> str:
        lines = []
        for label, equations in self.groups:
            shown, rest = shown_equations(equations)
            inside = [line for equation in shown for line in equation.lines()] + ([rest] if rest else [])
            heads = [f"{label}:" if label else "", *[""] * len(inside)]
            lines += [f"{head:4}{line}" for head, line in zip(heads, inside, strict=False)]
        return "\n".join([*lines, *(note for note, _ in self.notes)])

    __repr__ = __str__


class ParameterDerivation(Derivation):
    """The derivative with respect to a parameter, and with a loss the step of gradient descent.

    Attributes
    ----------
    name : str
        "h2.w1".
    gradient : float
        As the layers' backward passes give it.
    before, after : float
        The parameter, and the parameter after the step.
    learning_rate : float
    target_before, target_after : float
        The target's value, and its value after this one parameter was moved.

    Where an output is derived, and no loss, there is no step: the rate is 0, and all stays as it was before.
    """

    def __init__(
        self,
        groups: list[tuple[str, list[Equation]]],
        name: str,
        gradient: float,
        before: float,
        after: float,
        learning_rate: float,
        target_before: float,
        target_after: float,
    ):
        super().__init__(groups)
        self.name = name
        self.gradient = gradient
        self.before = before
        self.learning_rate = learning_rate
        self.after = after
        self.target_before = target_before
        self.target_after = target_after

    @property
    def symbolic(self) -> str:
        """The formula of the parameter's derivative: "dL/dw1 = dL/dp dp/dh2 dh2/dw1"."""
        return self.equations[0].symbolic


def shown_equations(equations: list[Equation]) -> tuple[list[Equation], str]:
    """The equations of a level that are shown, and what is said of the others."""
    shown = worth_showing([abs(equation.value) for equation in equations])
    left = len(equations) - len(shown)
    return [equations[i] for i in shown], f"... and {left} smaller ones" if left else ""


def worth_showing(sizes: list[float]) -> list[int]:
    """Which of some things are shown, in their order: all of a few, of many the largest."""
    if len(sizes) <= MOST_SHOWN:
        return list(range(len(sizes)))
    return sorted(sorted(range(len(sizes)), key=lambda i: -sizes[i])[:LARGEST])


def shown_factor(factor: Factor, in_html: bool = False) -> str:
    """The number of a factor, as it stands in a product; in HTML with its mark."""
    shown = as_factor(factor.value)
    return marked(shown, factor.mark) if in_html and factor.mark is not None else shown


def as_factor(value: float) -> str:
    """A number fit to stand behind a dot or a plus: in parentheses if it is below zero."""
    return in_parentheses_if_negative(number(value))


def in_parentheses_if_negative(text: str) -> str:
    """A number in parentheses if it begins with a minus sign."""
    return f"({text})" if text.startswith(("-", "\u2212")) else text


def marked(html: str, mark: int) -> str:
    """HTML with a mark: one of a few background colors, and lines."""
    return f'<span class="used" style="{style_of(mark)}">{html}</span>'
