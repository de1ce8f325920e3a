"""The graph and its steps in a browser: the SVG has its nodes, and the stepper steps when it is clicked."""

import re

import pytest

from browser.pages import SETTINGS, collisions, overflow, unreadable, widths
from browser.representations import REPRESENTATIONS, large_graph, residual_chain, residual_graph
from layernet import lecture_graph


def seen(page, selector):
    """The names of nodes and edges that a selector finds."""
    script = "all => all.map(each => each.dataset.node || each.dataset.edge)"
    return page.eval_on_selector_all(selector, script)


def shown_numbers(page, which):
    """The nodes whose value, or whose gradient, can be seen."""
    visible = "all.filter(each => getComputedStyle(each).visibility === 'visible')"
    script = f"all => {visible}.map(each => each.parentNode.dataset.node)"
    return page.eval_on_selector_all(f".node .{which}", script)


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def test_the_svg_has_its_nodes_and_edges(open_page):
    graph = lecture_graph(target=1)
    page = open_page(graph._repr_html_())
    assert seen(page, "svg .node") == [node.name for node in graph.nodes]
    assert sorted(seen(page, "svg .edge")) == sorted(f"{e.start}-{e.end}" for e in graph.edges)
    for node in graph.nodes:
        box = page.locator(f'[data-node="{node.name}"]').bounding_box()
        assert box["width"] > 60
        assert box["height"] > 40


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_file_of_its_own_reads_everywhere(setting, open_page, tmp_path):
    for name, graph in (("lecture", lecture_graph(target=1)), ("large", large_graph())):
        path = tmp_path / f"{name}.svg"
        path.write_text(graph.svg(), encoding="utf-8")
        page = open_page(path, scheme=SETTINGS[setting]["scheme"])
        assert unreadable(page, "svg") == []
        assert page.errors == []


@pytest.mark.parametrize(
    "name", ["graph", "graph with skips", "graph with skips, layer by layer", "steps", "estimator"]
)
def test_where_drawings_are_taken_out_an_image_is_left(name, open_page):
    html = REPRESENTATIONS[name]()
    page = open_page(html)
    assert page.locator("img.layernet-image").count() == 1
    assert page.locator("img.layernet-image:visible").count() == 0
    # As a site does that shows notebooks: no drawings, no scripts, no style sheets.
    page = open_page(re.sub(r"<(svg|style|script)\b.*?</\1>", "", html, flags=re.DOTALL))
    image = page.locator("img.layernet-image")
    assert image.is_visible()
    assert len(image.get_attribute("alt")) > 20
    width, height = image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert width > 200
    assert height > 100
    assert page.errors == []


@pytest.mark.parametrize("graph", [residual_graph(), residual_chain()], ids=["neurons", "layers"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_files_with_skips_read(graph, scheme, open_page, tmp_path):
    path = tmp_path / "graph.svg"
    path.write_text(graph.svg(), encoding="utf-8")
    page = open_page(path, scheme=scheme)
    assert unreadable(page, "svg") == []
    assert collisions(page, "svg") == []
    assert page.errors == []


def test_the_stepper_steps_when_clicked(open_page):
    stepper = lecture_graph(target=1).steps()
    page = open_page(stepper._repr_html_())
    place = page.locator(".place")
    back, on = button(page, "one step back"), button(page, "one step on")
    assert place.text_content() == "step 1 of 15"
    assert back.is_disabled()
    assert shown_numbers(page, "value") == ["x1", "x2"]
    assert shown_numbers(page, "gradient") == []

    so_far = {True: set(), False: set()}
    for number, step in enumerate(stepper.steps, start=1):
        assert place.text_content() == f"step {number} of 15"
        assert set(seen(page, ".node.now")) == set(step.nodes)
        assert set(seen(page, ".edge.now")) == set(step.edges)
        so_far[step.forward] |= set(step.nodes)
        assert set(shown_numbers(page, "value")) == so_far[True]
        assert set(shown_numbers(page, "gradient")) == so_far[False]
        assert page.locator("li:visible").count() == 1
        assert page.locator("li:visible").inner_html() == page.locator("li").nth(number - 1).inner_html()
        if number < len(stepper.steps):
            on.click()
    assert on.is_disabled()
    back.click()
    assert place.text_content() == "step 14 of 15"
    button(page, "to the first step").click()
    assert place.text_content() == "step 1 of 15"
    assert shown_numbers(page, "value") == ["x1", "x2"]
    button(page, "to the last step").click()
    assert len(shown_numbers(page, "gradient")) == 8
    assert page.errors == []


def test_it_plays_and_pauses(open_page):
    page = open_page(lecture_graph().steps()._repr_html_())
    page.clock.install()
    play, place = button(page, "play or pause"), page.locator(".place")
    play.click()
    assert play.text_content() == "pause"
    page.clock.run_for(3000)
    assert place.text_content() == "step 3 of 13"
    play.click()
    page.clock.run_for(5000)
    assert place.text_content() == "step 3 of 13"
    play.click()
    page.clock.run_for(60_000)
    assert place.text_content() == "step 13 of 13"
    assert play.text_content() == "play"
    play.click()
    assert place.text_content() == "step 1 of 13"
    assert page.errors == []


def test_two_steppers_on_a_page_go_their_own_ways(open_page):
    html = lecture_graph().steps()._repr_html_()
    page = open_page(html + html)
    page.get_by_role("button", name="one step on").nth(1).click()
    assert page.locator(".place").all_text_contents() == ["step 1 of 13", "step 2 of 13"]
    assert page.errors == []


def test_keys_reach_the_buttons(open_page):
    page = open_page(lecture_graph().steps()._repr_html_())
    button(page, "one step on").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert page.locator(".place").text_content() == "step 3 of 13"


def test_without_scripts_it_is_a_picture_and_a_list(open_page):
    stepper = lecture_graph().steps()
    html = re.sub("<script>.*</script>", "", stepper._repr_html_(), flags=re.DOTALL)
    page = open_page(html)
    assert page.locator("button:visible").count() == 0
    assert page.locator("li:visible").count() == len(stepper.steps)
    assert len(shown_numbers(page, "value")) == len(shown_numbers(page, "gradient")) == 7


def test_every_step_fits_and_reads(open_page):
    page = open_page(lecture_graph(target=1).steps()._repr_html_(), background="dark")
    on = button(page, "one step on")
    while on.is_enabled():
        on.click()
        for _ in widths(page):
            assert overflow(page, "#output") == []
            assert collisions(page, "#output") == []
        assert unreadable(page, "#output li.now") == []
