"""The report and its drawings: whole, self-contained, and with the right numbers in it."""

import base64
import io
import re

import matplotlib.image
import numpy as np
import pytest
from html_page import Page

from layernet import Dense, ReLU, Sequential
from layernet.display.drawing import (
    curves,
    equally_precise,
    logarithmic_ticks,
    png,
    round_ticks,
    shades,
    signed_colors,
)
from layernet.report import digits_report


@pytest.fixture(scope="module")
def trained(digits):
    X, y = digits
    net = Sequential([Dense(12), ReLU(), Dense(10)])
    history = net.fit(
        X[:1000],
        y[:1000],
        loss="cross_entropy",
        epochs=5,
        validation_data=(X[1000:], y[1000:]),
        metrics="accuracy",
        random_state=0,
    )
    return net, history, X[1000:].reshape(-1, 8, 8), y[1000:]


@pytest.fixture(scope="module")
def source(trained):
    return digits_report(*trained, title="Digits <& more>")


def test_the_page_is_whole_and_needs_nothing_else(source):
    page = Page.read(source)
    assert page.all("html") == [{"lang": "en"}]
    assert not page.all("script")
    assert not page.all("link")
    assert "http" not in source
    assert "Digits <& more>" in page.text
    assert "<& more>" not in source
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in page.all("img"))


def test_the_numbers_are_those_of_the_network(source, trained):
    net, history, images, targets = trained
    predicted = net.forward_pass(images.reshape(len(images), -1)).argmax(axis=1)
    right = int((predicted == targets).sum())
    assert f"{right} of {len(targets)} held-out digits are right" in Page.read(source).text
    table = source[source.index('<table class="confusion">') :].partition("</table>")[0]
    rows = re.findall(r"<tr><th scope=\"row\">(\d)</th>(.*?)</tr>", table, re.DOTALL)
    counts = np.array(
        [[int(c) if c != "·" else 0 for c in re.findall(r"<td[^>]*>(.*?)</td>", r)] for _, r in rows]
    )
    assert counts[:, :10].sum() == len(targets)
    assert np.trace(counts) == right
    assert np.array_equal(counts[:, 10], np.bincount(targets))
    assert f"{history['val_loss'][-1]:.3g}" in source


def test_pictures_show_every_unit_and_the_hardest_digits(source, trained):
    net, _, images, targets = trained
    page = Page.read(source)
    assert len(page.all("img")) == 12 + 12
    pictures = [base64.b64decode(image["src"].partition(",")[2]) for image in page.all("img")]
    decoded = [matplotlib.image.imread(io.BytesIO(picture), format="png") for picture in pictures]
    assert all(array.shape[:2] == (8, 8) for array in decoded)
    expected = signed_colors(net[0].weights[:, 0].reshape(8, 8)) / 255
    np.testing.assert_allclose(decoded[0][..., :3], expected, atol=1e-6)
    outputs = net.forward_pass(images.reshape(len(images), -1))
    probabilities = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    hardest = int(probabilities[np.arange(len(targets)), targets].argmin())
    np.testing.assert_allclose(decoded[12], shades(images[hardest]) / 255, atol=1e-6)


def test_curves_have_a_point_for_every_epoch(source):
    lines = re.findall(r'<polyline class="line-\d" points="([^"]*)"', source)
    assert [len(line.split()) for line in lines] == [5] * 4


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("values", [[1.0], [0.5, 0.5], [3.0, 0.001, 0.2]])
def test_curves_stay_inside_their_frame(values, logarithmic):
    drawing = curves({"loss": values}, list(range(1, len(values) + 1)), "loss", logarithmic)
    points = re.search(r'points="([^"]*)"', drawing)[1].split()
    for point in points:
        x, y = map(float, point.split(","))
        assert 0 <= x <= 460
        assert 0 <= y <= 260
    Page.read(drawing)


def test_ticks_are_round_and_cover():
    assert round_ticks(0.51, 0.98) == [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert round_ticks(1, 60) == [0, 10, 20, 30, 40, 50, 60]
    assert len(round_ticks(2, 2)) >= 2
    assert logarithmic_ticks(-1.4, 0.1) == pytest.approx([0.03, 0.1, 0.3, 1])
    # Less than a power of ten: closer ones.
    assert logarithmic_ticks(np.log10(0.66), np.log10(0.98)) == pytest.approx([0.6, 0.7, 0.8, 0.9, 1.0])
    assert logarithmic_ticks(0.0, 0.0)


def test_labels_of_ticks_have_equally_many_decimal_places():
    assert equally_precise([0, 0.5, 1.0]) == ["0.0", "0.5", "1.0"]
    assert equally_precise([5, 10]) == ["5", "10"]
    assert equally_precise([0.85, 0.9]) == ["0.85", "0.90"]
    assert equally_precise([1e-7, 2e-7]) == ["1e-07", "2e-07"]
    assert ">0.90<" in curves({"loss": [0.98, 0.86]}, [1, 2], "loss", logarithmic=True)
    assert ">0.3<" in curves({"loss": [1.0, 0.1]}, [1, 2], "loss", logarithmic=True)


def test_png_is_read_back(random):
    for shape in ((3, 5), (4, 2, 3)):
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        read = matplotlib.image.imread(io.BytesIO(png(pixels)), format="png")
        assert np.array_equal((read * 255).round().astype(np.uint8), pixels)


def test_colors():
    colors = signed_colors(np.array([[-1.0, 0.0, 1.0]]))
    assert colors.tolist() == [[[0, 114, 178], [255, 255, 255], [213, 94, 0]]]
    assert signed_colors(np.zeros((2, 2))).min() == 255
    assert shades(np.array([[0.0, 2.0]])).tolist() == [[255, 0]]
