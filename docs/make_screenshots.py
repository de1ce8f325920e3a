"""Make the pictures of the guides: `python docs/make_screenshots.py`, with the extra `browser` and a Chromium.

Each is taken on a light page, `report.png`, and on a dark one, `report-dark.png`. The tests in `tests/browser`
open the same pages; this only takes their pictures.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from sklearn.datasets import load_digits

from layernet import MLPClassifier, lecture_graph
from layernet.__main__ import main as demonstration

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "tests"))

from browser.pages import FLAGS, Pages, find_browser  # noqa: E402


def report() -> str:
    """The report of the demonstration."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        demonstration(["--report", str(path)])
        return path.read_text(encoding="utf-8")


def estimator() -> str:
    """A fitted estimator, as a notebook shows it."""
    X, y = load_digits(return_X_y=True)
    model = MLPClassifier((64, 32), early_stopping=True, random_state=0)
    return model.fit(X / 16, y)._repr_html_()


def steps() -> str:
    """The lecture's graph, to be stepped through."""
    return lecture_graph(target=1).steps()._repr_html_()


def levels() -> str:
    """The lecture's derivation."""
    return lecture_graph().levels()._repr_html_()


# What is shown, how many pixels wide the page is, and how often "one step on" is clicked.
PICTURES = {
    "report": (report, 1024, 0),
    "estimator": (estimator, 500, 0),
    "steps": (steps, 960, 10),
    "levels": (levels, 420, 0),
}


def main() -> None:
    """Write the graph, which is a drawing itself; open every page in a browser and save what is seen."""
    (FOLDER / "graph.svg").write_text(lecture_graph(target=1).svg(), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        pages = Pages(browser)
        for name, (make, width, clicks) in PICTURES.items():
            html = make()
            for scheme, ending in (("light", ""), ("dark", "-dark")):
                page = pages.open(html, width, scheme, background=scheme, height=100)
                for _ in range(clicks):
                    page.get_by_role("button", name="one step on").click()
                path = FOLDER / f"{name}{ending}.png"
                page.screenshot(path=path, full_page=True)
                print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
