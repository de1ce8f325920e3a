"""The HTML table of everything that Jupyter and the report show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from html import escape

# Styles of the cells.
TEXT = "text-align:left;padding:1px 12px 1px 0;"
NUMBER = "text-align:right;padding:1px 0 1px 12px;font-variant-numeric:tabular-nums;"


class Html(str):
    """Text that is HTML already, so that a table does not escape it."""

    __slots__ = ()


def html_table(
    rows: Iterable[Sequence[str]],
    headings: Sequence[str] = (),
    numeric: Collection[int] = (),
    *,
    row_headings: bool = False,
    max_height: str = "",
    class_name: str = "",
    cell_style: Callable[[int, int], str] | None = None,
) -> str:
    """Return a table as an HTML element that scrolls if it is wider than the page.

    The styles are inline, because sites that show notebooks drop style sheets. No color is set, so that the
    table has the colors of a light page and of a dark one. Spaces separate the cells, so that the table is
    readable where tags are dropped.

    Parameters
    ----------
    rows : iterable of sequence of str
        Texts of the cells; `Html` is not escaped.
    headings : sequence of str, default=()
        Texts above the columns.
    numeric : collection of int, default=()
        Indices of the columns of numbers, which are aligned at the right.
    row_headings : bool, default=False
        Whether the first cell of each row is its heading.
    max_height : str, default=""
        CSS length; a higher table scrolls.
    class_name : str, default=""
        CSS class of the table. The style sheet of the page then sets paddings and alignments.
    cell_style : callable, default=None
        Further CSS of a cell, by the indices of its row and its column.

    Returns
    -------
    str

    Examples
    --------
    >>> html_table([["a < b"]], class_name="plain")
    '<div style="overflow:auto"><table class="plain"><tbody><tr><td>a &lt; b</td></tr></tbody></table></div>'
    """

    def cell(tag: str, text: str, column: int, style: str = "") -> str:
        if not class_name:
            style = (NUMBER if column in numeric else TEXT) + style
        content = text if isinstance(text, Html) else escape(text)
        return f'<{tag} style="{style}">{content}' if style else f"<{tag}>{content}"

    def line(row: int, texts: Sequence[str]) -> str:
        tags = ['th scope="row"' if row_headings and column == 0 else "td" for column in range(len(texts))]
        return " ".join(
            f"{cell(tag, text, column, cell_style(row, column) if cell_style else '')}</{tag[:2]}>"
            for column, (tag, text) in enumerate(zip(tags, texts, strict=True))
        )

    heading = 'th scope="col"'
    head = " ".join(f"{cell(heading, text, column)}</th>" for column, text in enumerate(headings))
    body = "\n".join(f"<tr>{line(row, texts)}</tr>" for row, texts in enumerate(rows))
    attribute = f'class="{class_name}"' if class_name else 'style="border-collapse:collapse;margin:4px 0"'
    height = f"max-height:{max_height};" if max_height else ""
    return (
        f'<div style="{height}overflow:auto"><table {attribute}>'
        + (f"<thead><tr>{head}</tr></thead>\n" if headings else "")
        + f"<tbody>{body}</tbody></table></div>"
    )
