"""Matplotlib drawings as small inline SVG: text stays text, the page's colour is taken, and bytes are reproducible."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Axes = Any  # matplotlib ships no types that strict checking accepts

# Mid-tones with a contrast of at least 3 to 1 on white and on near-black (WCAG 2.2, 1.4.11), told apart by people with
# red-green blindness by lightness and, in every figure, by dash or marker as well.
SERIES = ("#2a7ab8", "#c46a10", "#1d8a6e", "#a2639b", "#8a7a1f")
NEUTRAL = "#7d858c"
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 1)))
_INK = "#0f0f0e"  # drawn in this, then replaced by the page's text colour

_NO_METADATA: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # the date would change the bytes

_STYLE: Any = {  # matplotlib's stubs name every setting and take no plain dict
    "svg.fonttype": "none",
    "svg.hashsalt": "suwen",
    "text.parse_math": False,  # a class may be called "$"
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.borderaxespad": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": NEUTRAL,
    "axes.axisbelow": True,
    "xtick.color": NEUTRAL,
    "ytick.color": NEUTRAL,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "grid.color": NEUTRAL,
    "grid.alpha": 0.22,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def series_style(number: int) -> dict[str, Any]:
    """Colour and dash of the n-th series; the model is always the first."""
    return {"color": SERIES[number % len(SERIES)], "linestyle": _DASHES[number % len(_DASHES)]}


def draw_svg(draw: Callable[[Figure], None], *, width: float, height: float, label: str) -> str:
    """The figure that `draw` makes, as one ``<svg>`` element of `width` x `height` inches.

    Args:
        draw: adds axes to an empty figure.
        width, height: inches; 4.2 wide keeps the text legible on a phone.
        label: what a screen reader says.
    """
    with rc_context(_STYLE), warnings.catch_warnings():
        # class names may be Chinese: the reader's browser has the glyphs, even if this machine's font does not
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata=_NO_METADATA)  # savefig would draw everything twice
    return _inline(buffer.getvalue(), label)


def _inline(svg: str, label: str) -> str:
    """The bare element, without what only a file needs; ids only where something refers to them."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = (
        re.sub(r' (?:xmlns(?::xlink)?|version|width|height)="[^"]*"', "", svg[: svg.index(">")]) + svg[svg.index(">") :]
    )
    svg = svg.replace("xlink:href", "href").replace(_INK, "currentColor").replace("'DejaVu Sans'", "sans-serif")
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\.\d{2})\d+", r"\1", tag[0]), svg)  # in tags only: text is figures
    svg = re.sub(r"\s*\n\s*", "\n", svg).strip()
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
