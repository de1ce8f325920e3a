"""A network and how its training went, for Jupyter."""

from __future__ import annotations

from layernet.inspection.drawing import curves, swatch
from layernet.inspection.summary import summary_html
from layernet.layer import Layer
from layernet.training.history import History

# Lines in middle tones, seen on a light page and on a dark one alike; words in the colour of the page's text.
STYLE = """<style>
.layernet-fit { --line-1: #1f7fc4; --line-2: #d55e00; font-size: 0.9em; margin-top: 0.5em; }
.layernet-fit svg { width: 100%; max-width: 460px; display: block; margin-top: 0.5em; }
.layernet-fit svg text { fill: currentColor; font-size: 13px; }
.layernet-fit svg .grid { stroke: currentColor; stroke-opacity: 0.2; }
.layernet-fit svg polyline { fill: none; stroke-width: 2; }
.layernet-fit .line-1 { stroke: var(--line-1); }
.layernet-fit .line-2 { stroke: var(--line-2); }
</style>"""


def training_html(network: Layer, history: History) -> str:
    """A network's table, and the losses over the epochs of its training.

    Parameters
    ----------
    network : Layer
        Built.
    history : History

    Returns
    -------
    str
    """
    lines = {"training loss": history["loss"]} if len(history.get("loss", [])) > 1 else {}
    if lines and "val_loss" in history:
        lines["validation loss"] = history["val_loss"]
    parts = [STYLE, '<div class="layernet-fit">', summary_html(network)]
    if lines:
        logarithmic = all(value > 0 for line in lines.values() for value in line)
        names = " and ".join(f"{swatch(number)}{name}" for number, name in enumerate(lines, start=1))
        scale = ", on a logarithmic scale" if logarithmic else ""
        parts.append(curves(lines, history["epoch"], "Losses over the epochs", logarithmic))
        parts.append(f"<div>{names}{scale}, after {history['epoch'][-1]} epochs</div>")
    return "".join([*parts, "</div>"])
