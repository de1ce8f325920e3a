"""A network and the losses of its training, as HTML for Jupyter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layernet.display.drawing import HEIGHT, WIDTH, as_image, curves, swatch
from layernet.display.summary import summary_html

if TYPE_CHECKING:
    from layernet.layer import Layer
    from layernet.training.history import History

# Lines have colors that show on a light page and on a dark one; texts have the color of the page.
STYLE = """<style>
.layernet-image { display: none; }
.layernet-fit { --line-1: #1f7fc4; --line-2: #d55e00; font-size: 0.9em; margin-top: 0.5em; }
.layernet-fit svg { width: 100%; max-width: 460px; display: block; margin-top: 0.5em; }
.layernet-fit svg text { fill: currentColor; font-size: 13px; }
.layernet-fit svg .grid { stroke: currentColor; stroke-opacity: 0.2; }
.layernet-fit svg polyline { fill: none; stroke-width: 2; }
.layernet-fit svg .line-2 { stroke-dasharray: 7 4; }
.layernet-fit .line-1 { stroke: var(--line-1); }
.layernet-fit .line-2 { stroke: var(--line-2); }
</style>"""

# A file of its own cannot have the colors of the page.
OWN_STYLE = """<style>
svg { color: #1f2328; background: #ffffff; font-family: system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3; background: #0d1117; } }
text { fill: currentColor; font-size: 13px; }
.grid { stroke: currentColor; stroke-opacity: 0.2; }
polyline { fill: none; stroke-width: 2; }
.line-1 { stroke: #1f7fc4; }
.line-2 { stroke: #d55e00; stroke-dasharray: 7 4; }
</style>"""


def training_html(network: Layer, history: History) -> str:
    """Summary of a network, and the losses over the epochs of its training, as HTML.

    Parameters
    ----------
    network : Layer
        Built.
    history : History

    Returns
    -------
    str
    """
    parts = [STYLE, '<div class="layernet-fit">', summary_html(network)]
    lines, svg = losses_over_epochs(history), training_svg(history)
    if svg is not None:
        logarithmic = is_positive(lines)
        names = " and ".join(f"{swatch(number)}{name}" for number, name in enumerate(lines, start=1))
        scale = ", on a logarithmic scale" if logarithmic else ""
        parts.append(curves(lines, history["epoch"], "Losses over the epochs", logarithmic))
        parts.append(as_image(svg, description_of(lines)))
        parts.append(f"<div>{names}{scale}, after {history['epoch'][-1]} epochs</div>")
    return "".join([*parts, "</div>"])


def training_svg(history: History) -> str | None:
    """Return the losses over the epochs as an SVG document; None if there are fewer than two epochs.

    Parameters
    ----------
    history : History

    Returns
    -------
    str or None
    """
    lines = losses_over_epochs(history)
    if not lines:
        return None
    names = " (solid) and ".join(lines) + (" (dashed)" if len(lines) > 1 else "")
    scale = ", logarithmic" if is_positive(lines) else ""
    drawing = curves(lines, history["epoch"], f"Losses over the epochs. {description_of(lines)}", scale != "")
    return as_document(drawing, names + scale)


def as_document(drawing: str, caption: str) -> str:
    """Return curves as an SVG document of its own, with a caption below.

    Parameters
    ----------
    drawing : str
        Of `curves`.
    caption : str

    Returns
    -------
    str
    """
    opening, _, rest = drawing.partition(">")
    text = f'<text x="{WIDTH / 2}" y="{HEIGHT + 16}" text-anchor="middle">{caption}</text>'
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    opening = opening.replace(
        box,
        f'xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT + 26}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT + 26}"',
    )
    return f"{opening}>{OWN_STYLE}{rest.removesuffix('</svg>')}{text}</svg>"


def losses_over_epochs(history: History) -> dict[str, list[float]]:
    """Return the losses by their names; empty for fewer than two epochs."""
    if len(history.get("loss", [])) < 2:
        return {}
    lines = {"training loss": history["loss"]}
    return lines | ({"validation loss": history["val_loss"]} if "val_loss" in history else {})


def is_positive(lines: dict[str, list[float]]) -> bool:
    """Return whether all values are positive, so that a logarithmic scale can show them."""
    return all(value > 0 for line in lines.values() for value in line)


def description_of(lines: dict[str, list[float]]) -> str:
    """Description of the curves in words."""
    ends = [f"{name} from {line[0]:.3g} to {line[-1]:.3g}" for name, line in lines.items()]
    return f"{'; '.join(ends)}, in {len(next(iter(lines.values())))} epochs."
