"""Drawings for HTML without other files: curves as SVG, and pictures as PNG."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from html import escape
from typing import Any

import numpy as np

# Colors of positive and of negative values in every picture. Most color-blind readers tell them apart, on white
# and on black. Color is never the only mark: a sign, a bar or a word repeats it.
PLUS, MINUS = "#d55e00", "#0072b2"

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 40


def curves(
    lines: dict[str, list[float]], horizontal: list[float], title: str, logarithmic: bool = False
) -> str:
    """Draw curves over the epochs, as an SVG element.

    Parameters
    ----------
    lines : dict of str to list of float
        Values by the name of the curve; at most two curves. The page has their colors in its variables
        `--line-1` and `--line-2`, and dashes the second.
    horizontal : list of float
        Epochs of the values.
    title : str
        Description for readers who do not see the drawing.
    logarithmic : bool, default=False
        Whether the vertical axis is logarithmic; values must be greater than 0 then.

    Returns
    -------
    str
    """
    scale = math.log10 if logarithmic else float
    values = [scale(value) for line in lines.values() for value in line]
    ticks = (
        logarithmic_ticks(min(values), max(values)) if logarithmic else round_ticks(min(values), max(values))
    )
    low, high = min([*values, scale(ticks[0])]), max([*values, scale(ticks[-1])])
    first, last = horizontal[0], max(horizontal[-1], horizontal[0] + 1)

    def x(value: float) -> float:
        return LEFT + (value - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - scale(value)) / ((high - low) or 1) * (HEIGHT - TOP - BOTTOM)

    label = escape(title)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}"><title>{label}</title>']
    powers = logarithmic and ticks[-1] >= 10 * ticks[0]
    labels = [f"{tick:g}" for tick in ticks] if powers else equally_precise(ticks)
    for tick, label in zip(ticks, labels, strict=True):
        parts.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{label}</text>')
    parts.extend(
        f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in round_ticks(first, last)
        if first <= tick <= last and tick == int(tick)
    )
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">epoch</text>')
    for number, (name, line) in enumerate(lines.items(), start=1):
        points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(horizontal, line, strict=True))
        parts.append(
            f'<polyline class="line-{number}" points="{points}"><title>{escape(name)}</title></polyline>'
        )
    return "".join([*parts, "</svg>"])


def round_ticks(low: float, high: float) -> list[float]:
    """Three to eight round numbers from about low to about high."""
    if high <= low:
        high = low + 1
    step = 10 ** math.floor(math.log10((high - low) / 3))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    return [round(step * i, 10) for i in range(math.floor(low / step), math.ceil(high / step) + 1)]


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """1, 3, 10, 30, ... from about 10**low to about 10**high; round numbers if these are fewer than three."""
    exponents = range(math.floor(low), math.ceil(high) + 1)
    ticks = [factor * 10.0**exponent for exponent in exponents for factor in (1, 3)]
    inside = [tick for tick in ticks if low - 0.3 <= math.log10(tick) <= high + 0.3]
    if len(inside) < 3 and high - low > 0.01:
        return [tick for tick in round_ticks(10**low, 10**high) if tick > 0] or ticks
    return inside or ticks


def equally_precise(ticks: list[float]) -> list[str]:
    """Return numbers as texts, all with the same number of decimal places: 0.8, 0.9, 1.0."""
    texts = [f"{tick:g}" for tick in ticks]
    if any("e" in text for text in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return [f"{tick:.{decimals}f}" for tick in ticks]


def swatch(number: int) -> str:
    """Return a short piece of a curve for a legend: solid for curve 1, dashed for curve 2.

    The name keeps the color of the text, because the colors of lines have too little contrast for text.
    """
    return (
        '<i style="display:inline-block;width:1.4em;vertical-align:middle;margin:0 .3em 0 .1em;'
        f'border-top:3px {"solid" if number == 1 else "dashed"} var(--line-{number})"></i>'
    )


def picture(pixels: np.ndarray, description: str, size: int = 48) -> str:
    """Return an array of pixels as an image element that contains the data.

    Parameters
    ----------
    pixels : ndarray of shape (height, width) or (height, width, 3), uint8
        Shades of gray, or red, green and blue.
    description : str
        Description for readers who do not see the image.
    size : int, default=48
        Width in CSS pixels.

    Returns
    -------
    str
    """
    encoded = base64.b64encode(png(pixels)).decode("ascii")
    return (
        f'<img src="data:image/png;base64,{encoded}" alt="{escape(description)}" title="{escape(description)}" '
        f'width="{size}" height="{size * pixels.shape[0] // pixels.shape[1]}">'
    )


def as_image(svg: str, description: str) -> str:
    """SVG document as an image element, for sites that remove SVG from HTML; hidden on other pages.

    Parameters
    ----------
    svg : str
        A complete SVG document.
    description : str
        Description for readers who do not see the image.

    Returns
    -------
    str
    """
    encoded = base64.b64encode(svg.encode()).decode("ascii")
    source = f"data:image/svg+xml;base64,{encoded}"
    return f'<img class="layernet-image" alt="{escape(description)}" src="{source}">'


def mimebundle(shown: Any, svg: str) -> dict[str, str]:
    """Return the representations of a figure for Jupyter: text, HTML and an image.

    Jupyter shows the HTML. Other programs, and sites that remove SVG from HTML, show the image.

    Parameters
    ----------
    shown : object
        Object with `__repr__` and `_repr_html_`.
    svg : str
        A complete SVG document.

    Returns
    -------
    dict of str to str
        By MIME type.
    """
    return {"text/plain": repr(shown), "text/html": shown._repr_html_(), "image/svg+xml": svg}


def without_inline_drawings(html: str) -> str:
    """HTML in which a style sheet hides the images of `as_image`.

    Sites that remove SVG from HTML remove style sheets too, so that they show the image.
    """
    return f"<style>.layernet-image {{ display: none; }}</style>{html}"


def png(pixels: np.ndarray) -> bytes:
    """Encode an array of shape (height, width) or (height, width, 3), uint8, as a PNG file.

    References
    ----------
    Portable Network Graphics specification, second edition (W3C, 2003).
    """
    height, width = pixels.shape[:2]
    color_type = 2 if pixels.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    # Each row begins with the number of its filter: 0, none.
    rows = b"".join(b"\0" + np.ascontiguousarray(row).tobytes() for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND")
    )


def _chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def signed_colors(values: np.ndarray) -> np.ndarray:
    """Return colors for values: blue below zero, white at zero, orange above, on one scale for both signs.

    Parameters
    ----------
    values : ndarray of shape (height, width)

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
    """
    part = values / (np.abs(values).max() or 1)
    plus, minus = (np.array(list(bytes.fromhex(color[1:]))) for color in (PLUS, MINUS))
    end = np.where(part[..., None] > 0, plus, minus)
    return (255 + np.abs(part[..., None]) * (end - 255)).round().astype(np.uint8)


def shades(values: np.ndarray) -> np.ndarray:
    """Return shades of gray for values that are at least zero: white at zero, black at the largest."""
    return (255 * (1 - values / (values.max() or 1))).round().astype(np.uint8)
