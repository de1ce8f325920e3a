"""Representations in a notebook, and the report, in a browser: no error, nothing cut off, readable colours."""

import functools

import pytest

from browser.pages import SETTINGS, collisions, faint, overflow, unfold, unreadable, widths
from browser.representations import REPRESENTATIONS
from layernet.__main__ import main

# What scikit-learn shows of an estimator is scikit-learn's: its orange is too faint on white.
OURS = "#output > :not(.sk-top-container)"


@functools.cache
def representation(name):
    return REPRESENTATIONS[name]()


def look(page, selector="body"):
    """Nothing is wrong with what a selector finds in a page, wide or narrow."""
    unfold(page)
    assert page.locator(selector).count() > 0
    for _ in widths(page):
        assert overflow(page, selector) == []
        assert collisions(page, selector) == []
    assert unreadable(page, selector) == []
    assert faint(page, "polyline") == []
    assert page.errors == []


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_representation_in_a_notebook(name, setting, open_page):
    look(open_page(representation(name), **SETTINGS[setting]), OURS)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "digits.html"
    assert main(["--epochs", "8", "--report", str(path)]) == 0
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report(scheme, report, open_page):
    page = open_page(report, scheme=scheme)
    look(page)
    assert page.locator("h2").count() == 5
    pixels = page.eval_on_selector_all("img", "all => all.map(each => each.naturalWidth)")
    assert pixels == [8] * (40 + 12)
    brightness = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert brightness == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 29)"}[scheme]
