"""Report of a trained classifier of images: an HTML page without other files."""

from __future__ import annotations

from html import escape

import numpy as np

from layernet.display.drawing import curves, picture, shades, signed_colors, swatch
from layernet.display.table import html_table
from layernet.layer import Layer
from layernet.layers import Dense, Softmax
from layernet.losses import CrossEntropy
from layernet.training import History

STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --ink: #1c2733; --faint: #66727f; --rule: #d9dfe5;
        --line-1: #1f6fb4; --line-2: #d1531d; --right: 31, 111, 180; --wrong: 209, 83, 29 }
@media (prefers-color-scheme: dark) {
  :root { --page: #12171d; --ink: #e4e9ee; --faint: #95a1ad; --rule: #2d3843;
          --line-1: #6db3f2; --line-2: #ff9a62; --right: 109, 179, 242; --wrong: 255, 154, 98 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 62rem; background: var(--page); color: var(--ink);
       font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem }
p { margin: .3rem 0; max-width: 46rem; text-wrap: pretty }
.faint, figcaption { color: var(--faint) }
.charts { display: flex; flex-wrap: wrap; gap: 1rem }
.charts figure { flex: 1 1 20rem; margin: 0; min-width: 0 }
svg { width: 100%; height: auto; display: block } svg text { font-size: 12px; fill: var(--faint) }
.grid { stroke: var(--rule) } polyline { fill: none; stroke-width: 2; stroke-linejoin: round }
.line-1 { stroke: var(--line-1) } .line-2 { stroke: var(--line-2); stroke-dasharray: 7 4 }
.keys span { display: inline-block; margin-right: .8em }
img { image-rendering: pixelated; border: 1px solid var(--rule); background: #fff; display: block }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(42px, 1fr)); gap: .35rem;
            margin-top: .6rem }
.pictures img { width: 100%; height: auto }
.digits { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.8rem, 1fr)); gap: .8rem;
          padding: 0; margin: .6rem 0; list-style: none }
.digits li { font-size: .85rem; line-height: 1.35 } .digits img { margin-bottom: .25rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .5rem; text-align: right } thead th, tbody th { color: var(--faint); font-weight: 500 }
pre { overflow-x: auto; font-size: .85rem; padding: .6rem .8rem; border: 1px solid var(--rule);
      border-radius: 6px }
@media (max-width: 30rem) { .confusion th, .confusion td { padding: .15rem .3rem } pre { font-size: .65rem }
                            .digits { grid-template-columns: repeat(auto-fill, minmax(6.6rem, 1fr)) } }
"""


def digits_report(
    network: Layer, history: History, images: np.ndarray, targets: np.ndarray, title: str = "Handwritten digits"
) -> str:
    """Report of a classifier of images, as an HTML page.

    Parameters
    ----------
    network : Layer
        Its first `Dense` layer has the pixels as inputs; its outputs are logits.
    history : History
        With the columns `loss`, `val_loss`, `accuracy` and `val_accuracy`.
    images : ndarray of shape (n_samples, height, width)
        Images held out from training. Values are at least 0; 0 is shown white.
    targets : ndarray of shape (n_samples,)
        The true class numbers.
    title : str, default="Handwritten digits"

    Returns
    -------
    str
        A complete page, without scripts and without links to other files.
    """
    outputs = network.forward_pass(images.reshape(len(images), -1))
    losses, probabilities = CrossEntropy().losses(outputs, targets), Softmax().forward_pass(outputs)
    predicted = probabilities.argmax(axis=1)
    correct = int((predicted == targets).sum())
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{correct} of {len(targets)} held-out digits are right: an accuracy of "
        f"<strong>{correct / len(targets):.4f}</strong>, after {len(history['epoch'])} epochs in "
        f"{sum(history['seconds']):.1f} seconds.</p>",
        f"<h2>The network</h2>\n<pre>{escape(network.summary())}</pre>",
        f"<h2>Learning curve</h2>\n{learning_curve(history)}",
        f"<h2>Weights of the first layer</h2>\n{first_weights(network, images.shape[1:])}",
        f"<h2>Confusion matrix</h2>\n{confusion_table(targets, predicted, outputs.shape[1])}",
        f"<h2>The hardest digits</h2>\n{hardest_digits(images, targets, predicted, probabilities, losses)}",
    ]
    body = "\n".join(f"<section>{section}</section>" for section in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}: {correct / len(targets):.4f}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def learning_curve(history: History) -> str:
    """Return the curves of loss and accuracy over the epochs, on the training data and on held-out data."""
    key = (
        f'<p class="faint keys"><span>{swatch(1)}training, with noise and dropout</span> '
        f"<span>{swatch(2)}held out</span></p>"
    )
    figures = []
    for name, logarithmic in (("loss", True), ("accuracy", False)):
        lines = {f"training {name}": history[name], f"held-out {name}": history[f"val_{name}"]}
        ends = f"from {history[f'val_{name}'][0]:.3g} to {history[f'val_{name}'][-1]:.3g}"
        drawing = curves(lines, history["epoch"], f"{name} over epochs; held out {ends}", logarithmic)
        caption = f"{name.capitalize()}; held out, {ends}"
        figures.append(f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>")
    return f'{key}\n<div class="charts">{"".join(figures)}</div>'


def first_weights(network: Layer, shape: tuple[int, int], most: int = 40) -> str:
    """Return the weights of the units of the first dense layer, each as an image of the shape of the inputs."""
    weights = next(layer for layer in network.walk() if isinstance(layer, Dense)).weights
    shown = min(most, weights.shape[1])
    pictures = []
    for unit in range(shown):
        description = described_weights(weights[:, unit], shape, unit)
        pictures.append(picture(signed_colors(weights[:, unit].reshape(shape)), description))
    which = "all" if shown == weights.shape[1] else f"the first {shown} of"
    return (
        "<p>Orange pixels have positive weights, blue ones negative; each image has its own scale. "
        f'Shown are {which} {weights.shape[1]} units.</p>\n<div class="pictures">{"".join(pictures)}</div>'
    )


def described_weights(weights: np.ndarray, shape: tuple[int, int], unit: int) -> str:
    """Description of the weights of a unit: the largest and the smallest, and where they are."""
    ends = [(weights[pixel], np.unravel_index(pixel, shape)) for pixel in (weights.argmax(), weights.argmin())]
    texts = [f"{value:+.2g} in row {row + 1}, column {column + 1}" for value, (row, column) in ends]
    return f"weights of unit {unit}, from {texts[1]} to {texts[0]}"


def confusion_table(targets: np.ndarray, predicted: np.ndarray, n_classes: int) -> str:
    """Confusion matrix as a table: true classes in rows, predicted classes in columns."""
    counts = np.zeros((n_classes, n_classes), dtype=int)
    np.add.at(counts, (targets, predicted), 1)
    wrong = counts - np.diag(np.diag(counts))

    def shade(row: int, column: int) -> str:
        true, found = row, column - 1
        if column in (0, n_classes + 1) or not counts[true, found]:
            return ""
        color, largest = ("--right", counts.max()) if true == found else ("--wrong", wrong.max())
        return f"background:rgba(var({color}),{0.12 + 0.36 * counts[true, found] / largest:.2f})"

    rows = [
        [str(true), *(str(count or "·") for count in counts[true]), str(counts[true].sum())]
        for true in range(n_classes)
    ]
    headings = ["", *map(str, range(n_classes)), "total"]
    table = html_table(rows, headings, row_headings=True, class_name="confusion", cell_style=shade)
    return f'<p class="faint">Rows: true classes. Columns: predicted classes.</p>\n{table}'


def hardest_digits(
    images: np.ndarray,
    targets: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    losses: np.ndarray,
    most: int = 12,
) -> str:
    """Return the images with the highest loss, with their true and their predicted classes."""
    items = []
    for index in np.argsort(-losses)[:most]:
        true, found = targets[index], predicted[index]
        says = f"says {found} ({probabilities[index, found]:.0%})"
        doubt = f"gives {true} {probabilities[index, true]:.1%}" if found != true else "rightly"
        image = picture(shades(images[index]), f"a {true} of which the network {says}", 96)
        items.append(f"<li>{image}<strong>a {true}</strong><br>{says},<br>{doubt}</li>")
    return (
        '<p class="faint">Sorted by loss, -log of the predicted probability of the true class.</p>\n'
        f'<ol class="digits">{"".join(items)}</ol>'
    )
