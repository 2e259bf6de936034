"""Shares of columns as a picture: bars to the right raise the probability, bars to the left lower it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suwen.core.explanation import Explanation, Share
from suwen.core.files import atomic_path

MOST = 14
"""Columns shown; the rest together are one bar."""

UP, DOWN = "#b2182b", "#2166ac"
"""Of what raises the probability and of what lowers it: the ends of ColorBrewer's RdBu, told apart by all eyes."""


def draw_bars(found: Sequence[Explanation], path: Path) -> None:
    """Write one PNG: the columns by how much they move each answer, the largest on top; one panel a method."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(len(shown(one.ranked)) for one in found)
    figure = Figure(figsize=(7.0 * len(found), 1.2 + 0.34 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, one in enumerate(found):
        axes = figure.add_subplot(1, len(found), place + 1)
        bars = shown(one.ranked)[::-1]
        names = [f"{share.column} = {share.value}" if share.value else share.column for share in bars]
        amounts = [share.amount * (100 if one.points else 1) for share in bars]
        axes.barh(names, amounts, color=[UP if amount > 0 else DOWN for amount in amounts])
        axes.axvline(0, color="black", linewidth=0.8)
        p = one.prediction.probabilities[one.label]
        axes.set_title(f"{one.label}: {p:.1%}   ({one.method})", loc="left", fontsize=11)
        axes.set_xlabel(f"percentage points, from {one.start:.1%} of the average row" if one.points else "logits")
        axes.spines[["top", "right", "left"]].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def shown(ranked: Sequence[Share]) -> list[Share]:
    """The largest shares, and all others as one."""
    if len(ranked) <= MOST:
        return list(ranked)
    rest = ranked[MOST - 1 :]
    together = Share(column=f"{len(rest)} other columns", value="", amount=sum(share.amount for share in rest))
    return [*ranked[: MOST - 1], together]
