"""The figures of a profile, each an inline SVG string, drawn from its numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from suwen.evaluation.figures import WIDTH
from suwen.evaluation.profile_text import SAY, counted, more_than, percent, quantity
from suwen.evaluation.svg import NEUTRAL, SERIES, Axes, draw_svg
from suwen.evaluation.words import Words

Numbers = Mapping[str, Any]

HATCH = "/////"
STUB = 0.07
"""Of the longest bar: how long one is whose count is not shown."""

LONGEST = 52
"""Letters of a name in a figure."""

ROWS = 8
"""Codes in a figure; there are two beside each other."""
SIDES = ("female", "male")
DENSEST = 12
"""Kinds that are drawn."""


def short(text: str, most: int = LONGEST) -> str:
    """The text, cut where it is too long for a line."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def named(row: Numbers, most: int = LONGEST) -> str:
    """What a code is called: its description, or itself."""
    return short(str(row["description"] or row["code"]), most)


def years_figure(calendar: Numbers, say: Words = SAY) -> str | None:
    """Events above, and subjects below, by span of years; None without any."""
    spans = calendar["spans"]
    if not spans:
        return None

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for axes, what in zip(panels, ("events", "subjects"), strict=True):
            starts = np.array([span["from"] for span in spans], float)
            _bars(axes, starts, float(calendar["width"]), [span[what] for span in spans], SERIES[what == "subjects"])
            axes.set_ylabel(say[what])
            axes.grid(True, axis="y")
        panels[1].set_xlabel(say["year"])
        panels[1].xaxis.set_major_locator(MaxNLocator(6, integer=True))

    return draw_svg(draw, width=WIDTH, height=3.4, label=say["years_alt"])


def _bars(axes: Axes, starts: np.ndarray, width: float, counts: Sequence[Any], colour: str) -> None:
    """Upright bars from `starts`; those whose count is not shown are short and hatched."""
    heights = np.array([quantity(count) for count in counts])
    hidden = np.isnan(heights)
    most = np.nanmax(heights) if not hidden.all() else 1.0
    axes.bar(starts[~hidden], heights[~hidden], width * 0.86, align="edge", color=colour, alpha=0.85)
    stub = STUB * max(most, 1.0)
    axes.bar(starts[hidden], stub, width * 0.86, align="edge", hatch=HATCH, **_HATCHED)
    axes.set_xlim(starts[0] - 0.1 * width, starts[-1] + width)
    axes.yaxis.set_major_formatter(_thousands)


_HATCHED: dict[str, Any] = {"facecolor": "none", "edgecolor": NEUTRAL, "linewidth": 0.6}


def _thousands(value: float, _: int) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def density_figure(calendar: Numbers, say: Words = SAY) -> str | None:
    """Kinds down, years across, shaded by the number of events; None without any."""
    density = calendar["density"]
    rows = [(kind, row) for kind, row in density["kinds"].items() if any(row)][:DENSEST]
    if not rows or len(rows[0][1]) < 2:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        first, width = density["from"], density["width"]
        for place, (_, row) in enumerate(rows):
            counts = np.array([quantity(count) for count in row])
            most = np.log1p(np.nanmax(counts)) if not np.isnan(counts).all() else 1.0
            shade = np.log1p(np.nan_to_num(counts)) / max(most, 1e-9)
            for cell in np.flatnonzero(shade > 0).tolist():
                left, alpha = first + width * cell, 0.12 + 0.83 * float(shade[cell])
                axes.barh(place, width * 0.94, 0.78, left=left, color=SERIES[0], alpha=alpha, linewidth=0)
            hidden = np.flatnonzero(np.isnan(counts))
            axes.plot(first + width * (hidden + 0.47), np.full(len(hidden), place), ".", color=NEUTRAL, markersize=3)
        axes.set_yticks(range(len(rows)), [short(kind, 20) for kind, _ in rows])
        axes.set(xlim=(first, first + width * len(rows[0][1])), ylim=(len(rows) - 0.5, -0.5), xlabel=say["year"])
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)

    return draw_svg(draw, width=WIDTH, height=0.9 + 0.24 * len(rows), label=say["density_alt"])


def pyramid_figure(people: Numbers, say: Words = SAY) -> str | None:
    """Ages up, female to the left and male to the right; all to the right where no sex is told; None without ages."""
    ages = [row for row in people["ages"] if row["age"] != "not known"]
    sides = [side for side in SIDES if any(row[side] for row in ages)] or ["all others"]
    there = [place for place, row in enumerate(ages) if any(row[side] for side in sides)]
    if not there:
        return None
    ages = ages[there[0] : there[-1] + 1]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        counts = {side: np.array([quantity(row[side]) for row in ages]) for side in sides}
        most = max([1.0, *(float(np.nanmax(each)) for each in counts.values() if not np.isnan(each).all())])
        for number, side in enumerate(sides):
            sign = -1 if side == SIDES[0] and len(sides) > 1 else 1
            _lying(axes, counts[side], sign, most, SERIES[number])
            at = 0.02 if sign < 0 else 0.98
            axes.text(
                at, 1.01, say[side.replace(" ", "_")], transform=axes.transAxes, ha="left" if sign < 0 else "right"
            )
        axes.set_yticks(range(len(ages)), [row["age"] for row in ages])
        axes.set(xlabel=say["subjects"], ylabel=say["age"])
        left = -1.08 * most if len(sides) > 1 else 0
        axes.set(xlim=(left, 1.08 * most), ylim=(-0.6, len(ages) - 0.4))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
        axes.axvline(0, color=NEUTRAL, linewidth=0.7)
        axes.grid(True, axis="x")
        axes.tick_params(axis="y", length=0)

    return draw_svg(draw, width=WIDTH, height=1.4 + 0.22 * len(ages), label=say["pyramid_alt"])


def _lying(axes: Axes, counts: np.ndarray, sign: int, most: float, colour: str) -> None:
    hidden, place = np.isnan(counts), np.arange(len(counts))
    axes.barh(place[~hidden], sign * counts[~hidden], 0.82, color=colour, alpha=0.85)
    axes.barh(place[hidden], sign * STUB * most, 0.82, hatch=HATCH, **_HATCHED)


def histogram_figure(people: Numbers, say: Words = SAY) -> str | None:
    """Subjects by their number of events; None without any."""
    cells = people["histogram"]
    if not cells:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _bars(axes, np.arange(len(cells)) - 0.43, 1.0, [cell["subjects"] for cell in cells], SERIES[0])
        names = [
            f"{cell['from']:,}–{cell['to']:,}" if cell["to"] > cell["from"] else f"{cell['to']:,}" for cell in cells
        ]
        turned = 30 if sum(map(len, names)) > 48 else 0
        axes.set_xticks(range(len(cells)), names, rotation=turned, ha="right" if turned else "center")
        axes.set(xlabel=say["events_each"], ylabel=say["subjects"], xlim=(-0.6, len(cells) - 0.4))
        axes.tick_params(axis="x", length=0)
        axes.grid(True, axis="y")

    return draw_svg(draw, width=WIDTH, height=2.7, label=say["histogram_alt"])


def commonest_figure(rows: Sequence[Numbers], subjects: Any, say: Words = SAY) -> str | None:
    """A bar a code, as long as the share of subjects who have it; its name stands above. None without any."""
    if not rows or not isinstance(subjects, int):
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            bound = row["share"] is None  # all but a few have it
            share = (at_least(row["subjects"]) - 1) / subjects if bound else row["share"]
            axes.barh(place, 1, 0.22, color=NEUTRAL, alpha=0.16, linewidth=0)
            axes.barh(place, share, 0.22, color=SERIES[0], linewidth=0)
            axes.text(0, place - 0.2, named(row), ha="left", va="bottom", fontsize=8.5)
            axes.text(
                1, place - 0.2, more_than(share) if bound else percent(share), ha="right", va="bottom", fontsize=8.5
            )
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.6, -0.75))
        axes.axis("off")

    return draw_svg(draw, width=WIDTH, height=0.2 + 0.33 * len(rows), label=say["commonest_alt"])


def at_least(count: Any) -> int:
    """The least that a count may be: 90 of ``">89"``."""
    return count if isinstance(count, int) else int(str(count).removeprefix(">")) + 1


def measured_figure(rows: Sequence[Numbers], say: Words = SAY) -> str | None:
    """A line a code from its 5th to its 95th percentile, each on its own scale; None without any."""
    rows = [row for row in rows if row["spread"]]
    if not rows:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            _spread(axes, place, row)
        axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.45, -0.6))
        axes.axis("off")

    return draw_svg(draw, width=WIDTH, height=0.2 + 0.56 * len(rows), label=say["measured_alt"])


def _spread(axes: Axes, place: int, row: Numbers) -> None:
    low, *_, high = values = [row["spread"][name] for name in ("p5", "p25", "p50", "p75", "p95")]
    span = high - low
    at = [(value - low) / span for value in values] if span > 0 else [0.5] * 5
    axes.plot([at[0], at[4]], [place, place], color=NEUTRAL, linewidth=1.2)
    axes.plot([at[1], at[3]], [place, place], color=SERIES[0], linewidth=7, alpha=0.55, solid_capstyle="butt")
    axes.plot([at[2], at[2]], [place - 0.13, place + 0.13], color=SERIES[0], linewidth=2.4, solid_capstyle="butt")
    axes.text(0, place - 0.17, named(row, 40), ha="left", va="bottom", fontsize=8.5)
    axes.text(1, place - 0.17, short(row["unit"] or "", 12), ha="right", va="bottom", fontsize=8, color=NEUTRAL)
    marks = [(0.0, low, "left"), (1.0, high, "right")] if span > 0 else []
    marks.append((min(max(at[2], 0.17), 0.83), values[2], "center"))
    for x, value, side in marks:
        colour = {"color": SERIES[0]} if side == "center" else {}
        axes.text(x, place + 0.15, counted(value), ha=side, va="top", fontsize=7.5, **colour)
