"""One browser for the tests of this folder, and pages in it.

The browser ends with this folder, not with the session: as long as Playwright runs, an event loop runs in this
thread, and no other test could start one.
"""

import os

import pytest

from browser.pages import FLAGS, Pages, find_browser


def missing(what):
    """Skip for want of something, or fail where LAYERNET_REQUIRE_BROWSER=1 says that it must be there."""
    if os.environ.get("LAYERNET_REQUIRE_BROWSER") == "1":
        pytest.fail(f"LAYERNET_REQUIRE_BROWSER=1, but {what}")
    pytest.skip(what)


@pytest.fixture(scope="package")
def pages():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed: pip install playwright")
    program = find_browser()
    if program is None:
        missing("there is no Chromium: apt-get install chromium, or set LAYERNET_BROWSER to the path of one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield Pages(browser)
        browser.close()


@pytest.fixture
def open_page(pages):
    """open_page(html, width=1280, scheme="light", background=None): a page, for as long as the test runs."""
    yield pages.open
    pages.free()


@pytest.fixture(scope="package")
def export(tmp_path_factory):
    """export(notebook, theme): the file of a notebook exported to HTML, made once."""
    try:
        from nbconvert import HTMLExporter
    except ImportError:
        missing("nbconvert is not installed: pip install nbconvert")
    folder = tmp_path_factory.mktemp("notebooks")

    def exported(path, theme):
        target = folder / f"{path.stem}-{theme}.html"
        if not target.exists():
            page, _ = HTMLExporter(theme=theme).from_filename(str(path))
            target.write_text(page, encoding="utf-8")
        return target

    return exported
