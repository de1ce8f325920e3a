"""Derivatives as equations: formulas with their numbers, in text, in LaTeX and in HTML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from layernet.inspection.graph.symbols import Derivative, latex_number, number

# Of the equations of a level, and of the products of a sum: up to eight are shown, of more the first three.
MOST_SHOWN, FIRST = 8, 3

STYLE = """<style>
.layernet-derivation { font-family: Georgia, "Times New Roman", serif; font-size: 1.02em; overflow-x: auto; }
.layernet-derivation .group { display: flex; gap: 1.2em; margin: 0.3em 0; }
.layernet-derivation .level { font-family: system-ui, sans-serif; font-weight: 600; padding-top: 0.5em; }
.layernet-derivation .equation { margin: 0 0 0.4em; line-height: 2.5; }
.layernet-derivation .term { white-space: nowrap; }
.layernet-derivation .frac { display: inline-flex; flex-direction: column; vertical-align: middle;
  text-align: center; line-height: 1.25; font-style: italic; margin: 0 0.1em; }
.layernet-derivation .frac > span:last-child { border-top: 1px solid currentColor; padding: 0 0.15em; }
.layernet-derivation .frac .slash { position: absolute; opacity: 0; }
.layernet-derivation .used { border-radius: 0.4em; padding: 0.25em 0.2em; }
.layernet-derivation .note { font-family: system-ui, sans-serif; font-size: 0.85em; line-height: 1.5; }
</style>"""

# Translucent, so that the page's own text colour reads on them on a light page and on a dark one.
TINTS = [
    "rgba(0,114,178,.28)",
    "rgba(213,94,0,.28)",
    "rgba(0,158,115,.28)",
    "rgba(204,121,167,.32)",
    "rgba(230,159,0,.30)",
    "rgba(86,180,233,.30)",
    "rgba(240,228,66,.25)",
    "rgba(128,128,128,.30)",
]


@dataclass(frozen=True)
class Factor:
    """A derivative in a product, with its number.

    Attributes
    ----------
    derivative : Derivative
    value : float
    mark : int or None
        Which colour it has, where it is one that is used again; the same for the same derivative.
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

    def text(self, marked: bool = False) -> str:
        """In plain letters; marked, all that is known is in parentheses, and what is repeated in brackets."""
        text = str(self.derivative)
        if self.is_sum or (marked and self.is_known):
            return f"({text})"
        return f"[{text}]" if marked and self.mark is not None else text

    @property
    def latex(self) -> str:
        latex = self.derivative.latex
        return rf"\left({latex}\right)" if self.is_sum else latex

    @property
    def html(self) -> str:
        html = f"({self.derivative.html})" if self.is_sum else self.derivative.html
        return html if self.mark is None else tinted(html, self.mark)


@dataclass(frozen=True)
class Equation:
    """A derivative as a sum of products.

    Attributes
    ----------
    derivative : Derivative
    value : float
    products : list of list of Factor
        The sum; a single product of the derivative itself where it is a local one.
    mark : int or None
        The colour of the left side.
    """

    derivative: Derivative
    value: float
    products: list[list[Factor]]
    mark: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether the right side is the left side: a derivative on one edge."""
        return [[f.derivative for f in product] for product in self.products] == [[self.derivative]]

    @property
    def symbolic(self) -> str:
        """The formula alone: "dp/dz1 = dp/dh1 dh1/dz1 + dp/dh2 dh2/dz1"."""
        return self._symbolic(marked=False, most=None)

    @property
    def shown(self) -> int:
        """How many products of the sum are shown where it is displayed."""
        return how_many(self.products)

    def _symbolic(self, marked: bool, most: int | None) -> str:
        if self.is_local or not self.products:
            return str(self.derivative)
        shown = [" ".join(factor.text(marked) for factor in product) for product in self.products[:most]]
        return f"{self.derivative} = {' + '.join(shown)}{self._rest(most)}"

    def _rest(self, most: int | None) -> str:
        left = 0 if most is None else len(self.products) - most
        return f" + ... ({left} more)" if left > 0 else ""

    @property
    def numeric(self) -> str:
        """The same with numbers, and the value."""
        return self._numeric(None)

    def _numeric(self, most: int | None) -> str:
        if self.is_local or not self.products:
            return f"= {number(self.value)}"
        shown = [" · ".join(as_factors(product)) for product in self.products[:most]]
        return f"= {' + '.join(shown)}{self._rest(most)} = {number(self.value)}"

    @property
    def latex(self) -> str:
        """The formula with its numbers, two lines of an `align` environment."""
        left = self.derivative.latex
        if self.is_local or not self.products:
            return rf"{left} &= {latex_number(self.value)}"
        symbols = " + ".join(r" \, ".join(f.latex for f in product) for product in self.products)
        numbers = " + ".join(
            r" \cdot ".join(in_parentheses_if_negative(latex_number(f.value)) for f in product)
            for product in self.products
        )
        return rf"{left} &= {symbols} \\ &= {numbers} = {latex_number(self.value)}"

    @property
    def html(self) -> str:
        """The formula with its numbers; what is used again has a colour of its own."""
        left = self.derivative.html if self.mark is None else tinted(self.derivative.html, self.mark)
        if self.is_local or not self.products:
            return f'<div class="equation">{left} = {number(self.value)}</div>'
        symbols, numbers = [], []
        for product in self.products[: self.shown]:
            symbols.append(f'<span class="term">{" ".join(factor.html for factor in product)}</span>')
            values = " · ".join(
                text if factor.mark is None else tinted(text, factor.mark)
                for factor, text in zip(product, as_factors(product), strict=True)
            )
            numbers.append(f'<span class="term">{values}</span>')
        rest = self._rest(self.shown)
        return (
            f'<div class="equation">{left} = {" + ".join(symbols)}{rest}<br>'
            f"= {' + '.join(numbers)}{rest} = <strong>{number(self.value)}</strong></div>"
        )


class Derivation:
    """Equations in groups, the lecture's levels for instance.

    Attributes
    ----------
    groups : list of (str, list of Equation)
        What a group is, and its equations.
    notes : list of str
        What is said below them.
    """

    def __init__(self, groups: list[tuple[str, list[Equation]]], notes: list[str] | None = None):
        self.groups = groups
        self.notes = notes or []

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
        raise KeyError(f"There is no {name!r} here, but {', '.join(str(e.derivative) for e in self)}.")

    def latex(self) -> str:
        """All equations with their numbers, as an `align*` environment.

        Returns
        -------
        str
        """
        lines = []
        for label, equations in self.groups:
            head = rf"\text{{{label}}} \quad & \\" if label else ""
            lines.append(head + " \\\\\n".join(equation.latex for equation in equations))
        return "\\begin{align*}\n" + " \\\\[6pt]\n".join(lines) + "\n\\end{align*}"

    def _repr_latex_(self) -> str:
        return self.latex()

    def _repr_html_(self) -> str:
        rows = []
        for label, equations in self.groups:
            most = how_many(equations)
            shown = [equation.html for equation in equations[:most]]
            if len(equations) > most:
                shown.append(f'<div class="note">... and {len(equations) - most} more</div>')
            # Not a table: Jupyter has its own mind about how tables look.
            first = f'<div class="level">{label}</div> ' if label else ""
            rows.append(f'<div class="group">{first}<div>{"".join(shown)}</div></div>')
        notes = "".join(f'<div class="note">{note}</div>' for note in self.notes)
        return f'{STYLE}<div class="layernet-derivation">{"".join(rows)}{notes}</div>'

    def __str__(self) -> str:
        lines = []
        for label, equations in self.groups:
            head = f"{label}:" if label else ""
            for equation in equations[: how_many(equations)]:
                formula = equation._symbolic(marked=True, most=equation.shown)
                numbers = equation._numeric(equation.shown)
                if equation.is_local or not equation.products:
                    lines.append(f"{head:4}{formula} {numbers}".rstrip())
                else:
                    lines.append(f"{head:4}{formula}".rstrip())
                    lines.append(" " * (5 + len(str(equation.derivative))) + numbers)
                head = ""
            if len(equations) > how_many(equations):
                lines.append(f"    ... and {len(equations) - how_many(equations)} more")
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__


class ParameterDerivation(Derivation):
    """The derivative with respect to a parameter, and the step of gradient descent.

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
    """

    def __init__(self, groups, notes, name, gradient, before, learning_rate, target_before, target_after):
        super().__init__(groups, notes)
        self.name = name
        self.gradient = gradient
        self.before = before
        self.learning_rate = learning_rate
        self.after = before - learning_rate * gradient
        self.target_before = target_before
        self.target_after = target_after

    @property
    def symbolic(self) -> str:
        """The formula of the parameter's derivative: "dL/dw1 = dL/dp dp/dh2 dh2/dw1"."""
        return self.equations[0].symbolic


def how_many(things: list) -> int:
    """How many of a list are shown: all of a few, or the first of many."""
    return len(things) if len(things) <= MOST_SHOWN else FIRST


def as_factors(product: list[Factor]) -> list[str]:
    """The numbers of a product, those below zero in parentheses."""
    return [in_parentheses_if_negative(number(factor.value)) for factor in product]


def in_parentheses_if_negative(text: str) -> str:
    """A number that begins with a minus sign, fit to stand behind a dot or a plus."""
    return f"({text})" if text.startswith(("-", "\u2212")) else text


def tinted(html: str, mark: int) -> str:
    """HTML with one of a few background colours."""
    return f'<span class="used" style="background:{TINTS[mark % len(TINTS)]}">{html}</span>'
