"""A network and how its training went, for Jupyter."""

from __future__ import annotations

from layernet.inspection.drawing import curves
from layernet.inspection.summary import summary_html
from layernet.layer import Layer
from layernet.training.history import History

# Middle tones, which read on a light page and on a dark one.
STYLE = """<style>
.layernet-fit { --line-1: #3b82f6; --line-2: #f59e0b; max-width: 30em; font-size: 0.9em; }
.layernet-fit svg { width: 100%; max-width: 26em; display: block; margin-top: 0.5em; }
.layernet-fit svg text { fill: currentColor; font-size: 12px; }
.layernet-fit svg .grid { stroke: currentColor; stroke-opacity: 0.2; }
.layernet-fit svg polyline { fill: none; stroke-width: 2; }
.layernet-fit .line-1 { stroke: var(--line-1); color: var(--line-1); }
.layernet-fit .line-2 { stroke: var(--line-2); color: var(--line-2); }
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
        names = " and ".join(
            f'<span class="line-{number}">{name}</span>' for number, name in enumerate(lines, start=1)
        )
        scale = ", on a logarithmic scale" if logarithmic else ""
        parts.append(curves(lines, history["epoch"], "Losses over the epochs", logarithmic))
        parts.append(f"<small>{names}{scale}, after {history['epoch'][-1]} epochs</small>")
    return "".join([*parts, "</div>"])
