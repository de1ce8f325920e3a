"""The report of a trained classifier of pictures: one HTML file that needs nothing else."""

from __future__ import annotations

from html import escape

import numpy as np

from layernet.display.drawing import curves, picture, shades, signed_colors, swatch
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
.scroll { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .5rem; text-align: right } thead th, tbody th { color: var(--faint); font-weight: 500 }
pre { overflow-x: auto; font-size: .85rem; padding: .6rem .8rem; border: 1px solid var(--rule);
      border-radius: 6px }
@media (max-width: 30rem) { .confusion th, .confusion td { padding: .15rem .3rem } pre { font-size: .65rem }
                            .digits { grid-template-columns: repeat(auto-fill, minmax(6.6rem, 1fr)) } }
"""


def digits_report(
    network: Layer, history: History, images: np.ndarray, targets: np.ndarray, title: str = "Handwritten digits"
) -> str:
    """A report of a network that tells classes of pictures apart, as an HTML page.

    Parameters
    ----------
    network : Layer
        Its first `Dense` layer sees the pixels, its outputs are logits.
    history : History
        With the columns `loss`, `val_loss`, `accuracy` and `val_accuracy`.
    images : ndarray of shape (n_samples, height, width)
        Held out from training; at least 0, where 0 is the paper.
    targets : ndarray of shape (n_samples,)
        The true class numbers.
    title : str, default="Handwritten digits"

    Returns
    -------
    str
        A whole page, without scripts and without anything that would have to be loaded.
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
        f"<h2>What the first layer looks for</h2>\n{first_weights(network, images.shape[1:])}",
        f"<h2>Confusions</h2>\n{confusion_table(targets, predicted, outputs.shape[1])}",
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
    """Loss and accuracy over the epochs, on the training data and on the held-out data."""
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
    """The weights of units of the first dense layer, each as a picture of the input's shape."""
    weights = next(layer for layer in network.walk() if isinstance(layer, Dense)).weights
    shown = min(most, weights.shape[1])
    pictures = []
    for unit in range(shown):
        description = described_weights(weights[:, unit], shape, unit)
        pictures.append(picture(signed_colors(weights[:, unit].reshape(shape)), description))
    which = "all" if shown == weights.shape[1] else f"the first {shown} of"
    return (
        "<p>Ink on an orange pixel excites the unit (its weight is positive), on a blue one it inhibits it; "
        "each picture has its own scale. "
        f'These are {which} {weights.shape[1]} units.</p>\n<div class="pictures">{"".join(pictures)}</div>'
    )


def described_weights(weights: np.ndarray, shape: tuple[int, int], unit: int) -> str:
    """The weights of a unit in words: where the largest and the smallest are, with their signs."""
    ends = [(weights[place], np.unravel_index(place, shape)) for place in (weights.argmax(), weights.argmin())]
    said = [f"{value:+.2g} in row {row + 1}, column {column + 1}" for value, (row, column) in ends]
    return f"weights of unit {unit}, from {said[1]} to {said[0]}"


def confusion_table(targets: np.ndarray, predicted: np.ndarray, n_classes: int) -> str:
    """How often each class was taken for each: true classes in rows, predicted ones in columns."""
    counts = np.zeros((n_classes, n_classes), dtype=int)
    np.add.at(counts, (targets, predicted), 1)
    wrong = counts - np.diag(np.diag(counts))
    rows = []
    for true in range(n_classes):
        cells = []
        for found in range(n_classes):
            count = counts[true, found]
            color, largest = ("--right", counts.max()) if true == found else ("--wrong", wrong.max())
            shade = (
                f' style="background:rgba(var({color}),{0.12 + 0.36 * count / largest:.2f})"' if count else ""
            )
            cells.append(f"<td{shade}>{count or '·'}</td>")
        rows.append(f'<tr><th scope="row">{true}</th>{"".join(cells)}<td>{counts[true].sum()}</td></tr>')
    head = "".join(f'<th scope="col">{found}</th>' for found in range(n_classes))
    return (
        '<p class="faint">Rows: what it is. Columns: what the network says.</p>\n<div class="scroll">'
        f'<table class="confusion"><thead><tr><th></th>{head}<th scope="col">in all</th></tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def hardest_digits(images, targets, predicted, probabilities, losses, most: int = 12) -> str:
    """The pictures with the highest loss: what each is, and what the network takes it for."""
    items = []
    for index in np.argsort(-losses)[:most]:
        true, found = targets[index], predicted[index]
        says = f"says {found} ({probabilities[index, found]:.0%})"
        doubt = f"gives {true} {probabilities[index, true]:.1%}" if found != true else "rightly"
        image = picture(shades(images[index]), f"a {true} of which the network {says}", 96)
        items.append(f"<li>{image}<strong>a {true}</strong><br>{says},<br>{doubt}</li>")
    return (
        '<p class="faint">By their loss, -log of the probability that the network gives to what it is.</p>\n'
        f'<ol class="digits">{"".join(items)}</ol>'
    )
