"""Equations for derivatives, with symbols and numbers, as text, LaTeX and HTML."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from layernet.graph.marks import TINTS, style_of
from layernet.graph.symbols import Derivative, latex_number, number

__all__ = ["TINTS", "Derivation", "Equation", "Factor", "ParameterDerivation"]

# Up to eight equations of a level, and products of a sum, are shown; of more, the three largest.
MAX_SHOWN_TERMS, N_LARGEST_TERMS = 8, 3

EQUATION_STYLE = """<style>
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
    """Derivative as a factor of a product, with its value.

    Attributes
    ----------
    derivative : Derivative
    value : float
    mark : int or None
        Mark of a derivative that is used more than once, equal at every occurrence.
    is_known : bool
        Whether the level above computed it.
    is_sum : bool
        Whether it was computed as a sum; such a factor is written in parentheses, as on the slides.
    """

    derivative: Derivative
    value: float
    mark: int | None = None
    is_known: bool = False
    is_sum: bool = False

    def text(self, with_marks: bool = False) -> str:
        """Write the factor as text; marks are parentheses for known and brackets for repeated factors."""
        text = str(self.derivative)
        if self.is_sum or (with_marks and self.is_known):
            return f"({text})"
        return f"[{text}]" if with_marks and self.mark is not None else text

    @property
    def latex(self) -> str:
        """The factor in LaTeX; underlined if known."""
        latex = self.derivative.latex
        latex = rf"\left({latex}\right)" if self.is_sum else latex
        return rf"\underline{{{latex}}}" if self.is_known else latex

    @property
    def html(self) -> str:
        """The factor in HTML; with a background and a line if it is used more than once."""
        html = f"({self.derivative.html})" if self.is_sum else self.derivative.html
        return html if self.mark is None else marked(html, self.mark)


@dataclass(frozen=True)
class Equation:
    """Derivative as a sum of products.

    Attributes
    ----------
    derivative : Derivative
    value : float
    products : list of list of Factor
        Terms of the sum. A local derivative is a single product of itself; a derivative without a path to the
        target is 0 and has no products.
    mark : int or None
        The mark of the left side.
    """

    derivative: Derivative
    value: float
    products: list[list[Factor]]
    mark: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the equation is only a value: a derivative on one edge, or 0."""
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
        """Return the formula and its numbers as two lines; of a long sum only the largest products."""
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
        """Write the formula with its numbers, as lines of an `align*` environment.

        Parameters
        ----------
        folded : bool, default=False
            Whether to show only the largest products of a long sum.
        """
        left = self.derivative.latex
        if self.is_plain:
            return rf"{left} &= {latex_number(self.value)}"
        products, rest = self._to_show() if folded else (self.products, "")
        # At most two products on a line, because LaTeX does not break lines in a formula.
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
        """The formula with its numbers in HTML; factors that are used more than once are marked."""
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
        shown = indices_to_show(sizes)
        left = len(sizes) - len(shown)
        return [self.products[i] for i in shown], f" + ... ({left} smaller)" if left else ""


class Derivation:
    """Equations in groups, as the levels of back-propagation.

    Attributes
    ----------
    groups : list of (str, list of Equation)
        Number of the level, or an empty string, and its equations.
    notes : list of (str, str)
        Notes below the equations: for text, and for colored output.
    """

    def __init__(self, groups: list[tuple[str, list[Equation]]], notes: Sequence[tuple[str, str]] = ()):
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
        """Return the equation of a derivative, by its name: "dp/dz1"."""
        for equation in self.equations:
            if str(equation.derivative) == name:
                return equation
        known = [str(equation.derivative) for equation in self.equations]
        listed = ", ".join(known[:MAX_SHOWN_TERMS]) + (", ..." if len(known) > MAX_SHOWN_TERMS else "")
        raise KeyError(f"There is no equation for {name!r}. There are {listed}.")

    def latex(self) -> str:
        """Write all equations with their numbers, as an `align*` environment.

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
        return self._latex(folded=True)  # the notebook stores it in addition to the HTML

    def _repr_html_(self) -> str:
        rows = []
        for label, equations in self.groups:
            shown, rest = shown_equations(equations)
            content = "".join(equation.html for equation in shown)
            content += f'<div class="note">{rest}</div>' if rest else ""
            # Not a table, because Jupyter styles tables.
            first = f'<div class="level">level&nbsp;{label}</div> ' if label else ""
            rows.append(f'<div class="group">{first}<div>{content}</div></div>')
        notes = "".join(f'<div class="note">{note}</div>' for _, note in self.notes)
        return f'{EQUATION_STYLE}<div class="layernet-derivation">{"".join(rows)}{notes}</div>'

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
    """Derivative with respect to a parameter, and with a loss the step of gradient descent.

    Attributes
    ----------
    name : str
        "h2.w1".
    gradient : float
        From the layers' backward passes.
    before, after : float
        Value of the parameter before and after the step.
    learning_rate : float
    target_before, target_after : float
        Value of the target before and after this one parameter was changed.

    Without a loss there is no step: the learning rate is 0, and both values are equal.
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
    """Return the equations of a level that are shown, and a remark on the others."""
    shown = indices_to_show([abs(equation.value) for equation in equations])
    left = len(equations) - len(shown)
    return [equations[i] for i in shown], f"... and {left} smaller ones" if left else ""


def indices_to_show(sizes: list[float]) -> list[int]:
    """Return the indices of the terms that are shown, in order: of many terms the largest."""
    if len(sizes) <= MAX_SHOWN_TERMS:
        return list(range(len(sizes)))
    return sorted(sorted(range(len(sizes)), key=lambda i: -sizes[i])[:N_LARGEST_TERMS])


def shown_factor(factor: Factor, in_html: bool = False) -> str:
    """Write the value of a factor in a product; in HTML with its mark."""
    shown = as_factor(factor.value)
    return marked(shown, factor.mark) if in_html and factor.mark is not None else shown


def as_factor(value: float) -> str:
    """Write a number as a factor: in parentheses if it is negative."""
    return in_parentheses_if_negative(number(value))


def in_parentheses_if_negative(text: str) -> str:
    """Put a number into parentheses if it begins with a minus sign."""
    return f"({text})" if text.startswith(("-", "\u2212")) else text


def marked(html: str, mark: int) -> str:
    """Return HTML with a mark: a background color and lines."""
    return f'<span class="used" style="{style_of(mark)}">{html}</span>'
