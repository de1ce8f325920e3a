"""The notebooks exported to HTML, in a browser: no error, no output cut off, light and dark read."""

from pathlib import Path

import nbformat
import pytest

from browser.pages import collisions, overflow, unfold, unreadable, widths
from browser.representations import REPRESENTATIONS

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
OUTPUT = ".jp-OutputArea-output"
THEMES = ("light", "dark")
# The corner of each picture, drawn on a canvas: [red, green, blue, alpha].
CORNERS = """images => images.map(image => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return [...context.getImageData(0, 0, 1, 1).data];
})"""


def look(page, selector):
    """Nothing is wrong with the outputs that a selector finds, on a wide page or a narrow one."""
    unfold(page)
    for _ in widths(page):
        assert overflow(page, selector) == []
        assert collisions(page, selector) == []
    assert unreadable(page, selector) == []
    assert page.errors == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook(path, theme, export, open_page):
    page = open_page(export(path, theme))
    look(page, OUTPUT)
    corners = page.eval_on_selector_all(f"{OUTPUT} img", CORNERS)
    assert corners
    assert all(corner == [255, 255, 255, 255] for corner in corners), "a figure without a white ground"


@pytest.mark.parametrize("theme", THEMES)
def test_all_representations_in_one_notebook(theme, export, open_page, tmp_path):
    outputs = [
        nbformat.v4.new_output("display_data", {"text/html": make(), "text/plain": name})
        for name, make in REPRESENTATIONS.items()
    ]
    cell = nbformat.v4.new_code_cell("all of them", outputs=outputs)
    path = tmp_path / "representations.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    page = open_page(export(path, theme))
    assert page.locator(OUTPUT).count() == len(REPRESENTATIONS)
    look(page, f"{OUTPUT} > :not(.sk-top-container)")
