"""What the other tests measure, on pages whose faults are known."""

import pytest

from browser.pages import collisions, faint, overflow, unfold, unreadable

TURNED = """<g transform="rotate(20)" font-size="8">
<text x="15" y="8">a line</text><text x="15" y="8" dy="{}">below</text></g>"""


def drawing(content):
    return f'<svg viewBox="0 0 100 50" width="200">{content}</svg>'


@pytest.mark.parametrize(
    ("html", "ratio"),
    [
        ('<p style="color:#777777">grey</p>', "4.48"),
        ('<p style="color:#767676">grey</p>', None),
        ('<p style="color:#777777;font-size:24px">large</p>', None),
        ('<p style="color:rgba(0,0,0,0.4)">half</p>', "2.85"),
        ('<p style="opacity:0.4">half</p>', "2.85"),
        ('<div style="background:#000000"><p>dark on dark</p></div>', "1.00"),
        ('<p style="color:hsl(0 0% 90%)">another way to say it</p>', "1.25"),
        ("<details><summary>folded</summary><p style='color:white'>inside</p></details>", "1.00"),
        ('<p style="color:white;display:none">not there</p>', None),
        (drawing('<text y="20">black</text>'), None),
        (drawing('<text y="20" fill="#ffff00">yellow</text>'), "1.07"),
        (drawing('<rect width="90" height="40"/><text y="20" fill="white">white</text>'), None),
        (drawing('<rect width="90" height="40"/><text y="20">black</text>'), "1.00"),
        (drawing('<foreignObject width="90" height="40"><p>black on white</p></foreignObject>'), None),
        (drawing('<path d="M0 0H90V40H0"/><foreignObject width="90" height="40">hi</foreignObject>'), "1.00"),
        (drawing('<g transform="translate(9 9)"><circle r="9"/><text fill="white">w</text></g>'), None),
        (drawing('<text y="20">below</text><rect width="90" height="40" fill="none"/>'), None),
    ],
)
def test_contrast(html, ratio, open_page):
    page = open_page(html)
    unfold(page)
    faults = unreadable(page)
    assert len(faults) == (ratio is not None)
    assert ratio is None or f"contrast {ratio}" in faults[0]


def test_what_is_behind_depends_on_the_page(open_page):
    html = '<p style="color:#bbbbbb">bright</p>'
    assert unreadable(open_page(html))
    assert unreadable(open_page(html, scheme="dark"))  # a bare page stays white
    assert unreadable(open_page(html, background="light"))
    assert not unreadable(open_page(html, background="dark"))
    page = f'<!DOCTYPE html><html><meta name="color-scheme" content="light dark"><body>{html}</body></html>'
    assert unreadable(open_page(page))
    assert not unreadable(open_page(page, scheme="dark"))


def test_a_drawing_that_is_a_document_of_its_own(open_page, tmp_path):
    path = tmp_path / "drawing.svg"
    style = "<style>@media (prefers-color-scheme: dark) {{ text {{ fill: #eee }} {} }}</style>"
    for ground, right in (("", False), ("svg { background: #111 }", True)):
        svg = f'<svg xmlns="http://www.w3.org/2000/svg">{style.format(ground)}<text y="20">text</text></svg>'
        path.write_text(svg, encoding="utf-8")
        assert unreadable(open_page(path), "svg") == []
        assert (unreadable(open_page(path, scheme="dark"), "svg") == []) == right


def test_lines_that_are_faint(open_page):
    page = open_page(drawing('<path class="a" d="M0 9H99" stroke="#ddd"/><path d="M0 9H99" stroke="#777"/>'))
    assert faint(page, "path") == ["path.a: contrast 1.36"]


@pytest.mark.parametrize(
    ("html", "right"),
    [
        ('<div style="width:380px">narrow</div>', True),
        ('<div style="width:500px">wide</div>', False),
        ('<div style="overflow-x:auto"><pre style="width:900px">scrolls</pre></div>', True),
        ('<div style="overflow:hidden"><span style="margin-left:390px">cut</span></div>', False),
        ('<div style="overflow:hidden"><svg width="500" height="9"></svg></div>', False),
    ],
)
def test_overflow(html, right, open_page):
    assert overflow(open_page(html, width=1280)) == []
    assert (overflow(open_page(html, width=400)) == []) == right


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('<text x="5" y="20">one</text><text x="5" y="40">two</text>', []),
        ('<text x="5" y="20">one</text><text x="9" y="22">two</text>', ["one: lies on two"]),
        ('<text x="9" y="20">one</text><text x="9" y="22" visibility="hidden">two</text>', []),
        ('<text x="5" y="20">x<tspan dy="3">1</tspan></text>', []),
        # Side by side and turned: only the boxes along the page's axes would meet.
        (TURNED.format(8), []),
        (TURNED.format(2), ["a line: lies on below"]),
        ('<text x="90" y="20">long words</text>', ["long words: sticks out of its drawing"]),
    ],
)
def test_collisions(content, said, open_page):
    assert collisions(open_page(drawing(content))) == said


def test_errors_are_those_of_scripts(open_page):
    script = "<script>{}</script>"
    assert open_page(script.format("undefined.name")).errors
    assert open_page(script.format("console.error('so')")).errors == ["so"]
    assert open_page(script.format("console.log('so')")).errors == []
    assert open_page('<script src="https://127.0.0.2/elsewhere.js"></script><p>here</p>').errors == []
