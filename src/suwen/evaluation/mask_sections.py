"""Sections of a report about masks: label by label, their parts, their sizes, and the worst and the best of them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from suwen.evaluation.content import ReportContent
from suwen.evaluation.figures import reliability_figure
from suwen.evaluation.mask_outcome import MaskOutcome
from suwen.evaluation.section import Picture, Section, data_uri, drawn
from suwen.evaluation.svg import NEUTRAL, draw_svg, series_style
from suwen.evaluation.tables import Cell, Table, figure_cell, plain_table
from suwen.evaluation.verdict import number
from suwen.evaluation.words import ENGLISH, Words, metric_title

_AXES = {"xlabel": "true_size", "ylabel": "said_size"}

BY_LABEL = ("dice", "hd95", "surface_dice", "volume_error", "pixel_sensitivity", "pixel_precision")


def _by_label(content: ReportContent, words: Words) -> Section | None:
    found = content.metrics["splits"][content.split].get("labels", {})
    if not found:
        return None
    rows = [
        [Cell(label), Cell(str(each["shown"])), *(figure_cell(each["metrics"].get(name), words) for name in BY_LABEL)]
        for label, each in found.items()
    ]
    titles = [metric_title(name, words) for name in BY_LABEL]
    table = Table(words["by_label"], [words["label"], words["shown_in"], *titles], rows)
    return Section("labels", words["by_label"], [words["by_label_text"]], tables=[table])


def _parts(content: ReportContent, words: Words) -> Section:
    outcome: MaskOutcome = content.outcomes[content.split]
    rows = [
        [label, *(int(counts[:, column].sum()) for counts in
                  (outcome.found_lesions, outcome.missed_lesions, outcome.false_lesions))]
        for column, label in enumerate(outcome.labels)
    ]  # fmt: skip
    columns = [words[name] for name in ("label", "parts_found", "parts_missed", "parts_false")]
    table = plain_table(words["parts"], columns, rows)
    return Section("parts", words["parts"], [words["parts_text"]], tables=[table])


def _sizes(content: ReportContent, words: Words) -> Section:
    outcome: MaskOutcome = content.outcomes[content.split]
    sentences = []
    if content.temperature is not None:
        sentences.append(words["mask_temperature"].format(temperature=number(content.temperature, words)))
    drawings = drawn((sizes_figure(outcome, words), words["sizes_caption"]))
    return Section("sizes", words["sizes"], sentences, drawings=drawings)


def _uncertainty(content: ReportContent, words: Words) -> Section | None:
    outcome: MaskOutcome = content.outcomes[content.split]
    found = content.metrics["splits"][content.split].get("uncertainty")
    if outcome.pixels is None or found is None:
        return None
    figures = {name: figure_cell(each, words).text for name, each in found["metrics"].items()}
    text = words["pixels_text"].format(count=found["pixels"], **figures)
    drawings = drawn((reliability_figure(None, outcome.pixels, words), words["pixels_caption"]))
    return Section("uncertainty", words["pixels"], [text], drawings=drawings)


def _shown(content: ReportContent, words: Words) -> Section | None:
    if not content.pictures:
        return None
    titles = {"worst": "shown_worst", "median": "shown_median", "best": "shown_best"}
    shown = [
        Picture(each.id, data_uri(each.image_png), data_uri(each.overlay_png) if each.overlay_png else None,
                words[titles[each.kind]].format(figure=number(each.figure, words)))
        for each in content.pictures
    ]  # fmt: skip
    return Section("pictures", words["shown"], [words["shown_text"]], shown=shown, wide=True)


def sizes_figure(outcome: MaskOutcome, words: Words = ENGLISH) -> str:
    """Drawn over true size, a mark an image and label, on the line where they agree."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        top = float(max(outcome.true_size.max(), outcome.said_size.max(), 1e-9)) * 1.05
        axes.plot([0, top], [0, top], color=NEUTRAL, linewidth=0.9)
        for column, label in enumerate(outcome.labels):
            style = series_style(column) | {"linestyle": "none", "marker": "o", "markersize": 4}
            axes.plot(outcome.true_size[:, column], outcome.said_size[:, column], label=label, **style)
        axes.set(xlim=(0, top), ylim=(0, top))
        axes.set(
            xlabel=words["true_size"].format(unit=outcome.unit), ylabel=words["said_size"].format(unit=outcome.unit)
        )
        axes.locator_params(nbins=5)
        axes.grid(True)
        axes.legend(loc="upper left")

    return draw_svg(draw, width=4.2, height=4.0, label=words["sizes_caption"])


def worst_median_best(outcome: MaskOutcome) -> dict[str, int]:
    """``{"worst", "median", "best"}`` → row, by the mean Dice of the labels an image shows; fewer for few images."""
    shown = np.flatnonzero(outcome.present.any(axis=1))
    if not len(shown):
        return {}
    order = shown[np.argsort(np.nanmean(outcome.dice[shown], axis=1), kind="stable")]
    picked = {"worst": order[0], "best": order[-1], "median": order[len(order) // 2]}
    unique: dict[str, int] = {}
    for name in ("worst", "median", "best"):
        if int(picked[name]) not in unique.values():
            unique[name] = int(picked[name])
    return unique


MASK_SECTIONS = (_shown, _by_label, _parts, _sizes, _uncertainty)
"""In the order of the page."""
