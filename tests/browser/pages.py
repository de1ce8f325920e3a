"""Pages in a headless Chromium, and what can be measured in them."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

MEASURES = (Path(__file__).parent / "measures.js").read_text(encoding="utf-8")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = (1280, 400)
# A notebook's own colours, its ground and its text; it knows nothing of what the system prefers.
BACKGROUNDS = {
    None: "",
    "light": "background:#ffffff;color:#222222",
    "dark": "background:#111111;color:#dddddd",
}
# Where a representation must read: what the system prefers, and the notebook's colours, in all combinations.
SETTINGS = {
    "light": {"scheme": "light"},
    "prefers dark": {"scheme": "dark"},
    "light notebook, prefers dark": {"scheme": "dark", "background": "light"},
    "dark notebook": {"scheme": "light", "background": "dark"},
    "dark notebook, prefers dark": {"scheme": "dark", "background": "dark"},
}


def find_browser() -> str | None:
    """The program of the browser: what LAYERNET_BROWSER names, or a Chromium of this machine."""
    return os.environ.get("LAYERNET_BROWSER") or next(filter(None, map(shutil.which, PROGRAMS)), None)


def in_notebook(representation: str, background: str | None = None) -> str:
    """A bare page with a representation in it, as in a notebook: the page has colours, and that is all."""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A representation</title></head>'
        f'<body style="margin:8px;font:14px/1.5 sans-serif;{BACKGROUNDS[background]}">'
        f'<div id="output">{representation}</div></body></html>'
    )


class Pages:
    """Opens pages in a browser, where nothing but they themselves can be loaded.

    Parameters
    ----------
    browser : playwright.sync_api.Browser
    """

    def __init__(self, browser):
        self.context = browser.new_context()
        self.context.route("**/*", self._answer)
        self._sources = {}
        self._numbers = itertools.count(1)
        self._refused = set()
        self._free = []

    def open(self, html, width=1280, scheme="light", background=None, height=900):
        """Open a page.

        Parameters
        ----------
        html : str or pathlib.Path
            A whole page, the file of a page or of a drawing, or a representation, which is put into a page as a
            notebook would.
        width, height : int
            Of the window, in CSS pixels.
        scheme : {"light", "dark"}
            What the system prefers, as `prefers-color-scheme` tells the page.
        background : {None, "light", "dark"}
            The colours of the page around a representation; None for those of the browser.

        Returns
        -------
        playwright.sync_api.Page
            Its attribute `errors` lists what its scripts raised, or wrote to the console as an error. That
            something from elsewhere could not be loaded is none: there is no network here.
        """
        page = self._free.pop() if self._free else self._new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.errors = []
        if isinstance(html, Path):
            page.goto(html.resolve().as_uri())
            return page
        if not html.lstrip().lower().startswith("<!doctype"):
            html = in_notebook(html, background)
        url = f"http://127.0.0.1/{next(self._numbers)}"
        self._sources[url] = html
        # Not page.set_content: that writes into a blank page, which is dark where the system prefers dark.
        page.goto(url)
        return page

    def free(self):
        """All pages that are open are done with; others may be opened in their place, which is faster."""
        self._free = list(self.context.pages)
        self._sources.clear()

    def _new_page(self):
        page = self.context.new_page()
        page.on("pageerror", lambda error: page.errors.append(str(error)))

        def on_console(message):
            if message.type == "error" and message.location.get("url") not in self._refused:
                page.errors.append(message.text)

        page.on("console", on_console)
        return page

    def _answer(self, route):
        url = route.request.url
        if url in self._sources:
            route.fulfill(body=self._sources[url], content_type="text/html; charset=utf-8")
        elif url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            self._refused.add(url)
            route.abort()


def widths(page):
    """Each of the widths at which a page must fit, while its window has it."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        yield width


def unfold(page) -> None:
    """Open everything on a page that is folded."""
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true })")


def overflow(page, selector: str = "body") -> list[str]:
    """What makes a page wider than its window, and texts and pictures inside `selector` that are cut off.

    What can be scrolled in a box of its own is neither.
    """
    return page.evaluate(f"selector => {MEASURES}('overflow', selector)", selector)


def unreadable(page, selector: str = "body") -> list[str]:
    """Visible texts inside `selector` whose contrast is below 4.5, or below 3 where they are large.

    Texts of drawings count too, with the shapes that lie below them.

    References
    ----------
    Web Content Accessibility Guidelines 2.2 (W3C, 2023), success criterion 1.4.3.
    """
    return page.evaluate(f"selector => {MEASURES}('unreadable', selector)", selector)


def faint(page, selector: str) -> list[str]:
    """Lines of drawings, found by `selector`, whose contrast with what is behind them is below 3.

    References
    ----------
    Web Content Accessibility Guidelines 2.2 (W3C, 2023), success criterion 1.4.11.
    """
    return page.evaluate(f"selector => {MEASURES}('faint', selector)", selector)


def collisions(page, selector: str = "body") -> list[str]:
    """Texts of drawings inside `selector` that their drawing cuts off, or that lie on another text of it."""
    return page.evaluate(f"selector => {MEASURES}('collisions', selector)", selector)
