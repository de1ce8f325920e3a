"""The HTML table: what is escaped, aligned, styled and read."""

import pytest
from html_page import Page

from layernet.display.table import Html, html_table

ROWS = [("a < b", "1"), (Html("<code>c</code>"), "20")]


def test_cells_are_escaped_unless_they_are_html():
    page = Page.read(html_table(ROWS, ("<name>", "count")))
    assert page.text.split() == ["<name>", "count", "a", "<", "b", "1", "c", "20"]
    assert len(page.all("code")) == 1
    assert len(page.all("tr")) == 3


@pytest.mark.parametrize("numeric", [set(), {1}, range(2)])
def test_columns_of_numbers_are_aligned_at_the_right(numeric):
    page = Page.read(html_table(ROWS, ("name", "count"), numeric))
    for tag in ("th", "td"):
        for index, cell in enumerate(page.all(tag)):
            assert ("text-align:right" in cell["style"]) == (index % 2 in numeric)


def test_a_table_with_a_class_is_styled_by_the_page():
    options = {"class_name": "plain", "cell_style": lambda row, column: "x:y" * column}
    html = html_table(ROWS, ("name", "count"), row_headings=True, **options)
    page = Page.read(html)
    assert page.all("table") == [{"class": "plain"}]
    assert page.all("td") == [{"style": "x:y"}] * 2
    assert page.all("th") == [{"scope": "col"}] * 2 + [{"scope": "row"}] * 2


def test_no_color_is_set_and_wide_or_high_tables_scroll():
    html = html_table(ROWS, ("name", "count"), {1}, max_height="20em")
    assert "color" not in html
    assert "background" not in html
    assert Page.read(html).all("div") == [{"style": "max-height:20em;overflow:auto"}]
