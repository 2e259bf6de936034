"""The report's tables, as rows of cells that a template only has to print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from suwen.evaluation.content import ReportContent
from suwen.evaluation.intervals import bootstrap
from suwen.evaluation.metrics import EVERY_METRIC
from suwen.evaluation.outcome import Outcome, Threshold, decisions
from suwen.evaluation.verdict import OVERALL, Comparison, interval_text, is_worse, number
from suwen.evaluation.words import Words, metric_title


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a second line in small print, and whether it is underlined as worse or printed strong."""

    text: str
    detail: str = ""
    worse: bool = False
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """One table; the first cell of each row is the row's heading."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def figure_cell(figure: Mapping[str, Any] | None, words: Words, *, worse: bool = False, strong: bool = False) -> Cell:
    """A value over its interval; empty where the metric was not asked for."""
    if figure is None:
        return Cell("")
    return Cell(number(figure["value"], words), interval_text(figure, words), worse, strong)


def plain_table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Any rows as text; floats with four significant digits."""
    return Table(caption, [str(column) for column in columns], [[Cell(_plain(value)) for value in row] for row in rows])


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def comparison_table(content: ReportContent, split: str, words: Words) -> Table:
    """Every metric of one split: model and baselines, with the best possible where that is known."""
    mine, theirs = content.figures(split), content.baseline_figures(split)
    best = (content.best_possible or {}) if split == content.split else {}
    rows = []
    for name in sorted(mine, key=list(EVERY_METRIC).index):
        arrow = "" if EVERY_METRIC[name].higher_is_better else " ↓"
        value = mine[name]["value"]
        beaten = name in OVERALL and any(
            is_worse(name, value, found[name]["value"]) for found in theirs.values() if name in found
        )
        bound = words["best_possible"].format(value=number(best[name], words)) if name in best else ""
        row = [
            Cell(metric_title(name, words) + arrow, bound),
            figure_cell(mine[name], words, worse=beaten, strong=True),
        ]
        row += [figure_cell(found.get(name), words) for found in theirs.values()]
        rows.append(row)
    n = content.metrics["splits"][split]
    caption = (
        f"{words.get(f'split_{split}', split)}: {n['n']} {content.unit}, {n['subjects']} {words['subjects'].lower()}"
    )
    return Table(caption, [words["metric"], words["model"], *theirs], rows)


def paired_table(content: ReportContent, comparisons: Sequence[Comparison], words: Words) -> Table:
    """The headline metric's paired differences, the strongest baseline first."""
    caption = words["paired_caption"].format(
        metric=metric_title(content.headline, words), split=words.get(f"split_word_{content.split}", content.split)
    )
    rows = [
        [Cell(each.baseline), Cell(number(each.other, words)), figure_cell(each.difference, words)]
        for each in comparisons
    ]
    return Table(caption, [words["baseline"], metric_title(content.headline, words), words["difference"]], rows)


def class_table(outcome: Outcome, threshold: Threshold, words: Words) -> Table:
    """Each class against the rest, with intervals: ranking by its probability, finding by the answer given."""
    answered = decisions(outcome, threshold)
    ranking, finding = ("auroc", "auprc"), ("sensitivity", "specificity")
    rows = []
    for column, label in enumerate(outcome.labels):
        one = outcome.one_vs_rest(column)
        found = bootstrap(one, ranking) | bootstrap(one.answering(answered[:, [column]]), finding)
        cells = [figure_cell(found[name], words) for name in (*ranking, *finding)]
        rows.append([Cell(label), Cell(str(int(one.target.sum()))), *cells])
    titles = [metric_title(name, words) for name in (*ranking, *finding)]
    return Table(words["by_class"], [words["class"], words["present"], *titles], rows)


def subgroup_metrics(content: ReportContent, outcome: Any) -> list[str]:
    """The few metrics that subgroup tables show; ``metrics.json`` holds all."""
    figures = content.figures(content.split)
    names: tuple[str, ...] = outcome.in_short
    at_threshold = [f"{name}_at_threshold" if f"{name}_at_threshold" in figures else name for name in names]
    return list(dict.fromkeys(name for name in (content.headline, *at_threshold) if name in figures))


def subgroup_table(columns: Mapping[str, Any], names: Sequence[str], words: Words) -> Table:
    """Every group of every column; those marked carry † and the reason."""
    rows = [
        [
            Cell(f"{column}: {value}{' †' if group['note'] else ''}", group["note"]),
            Cell(str(group["n"]), f"{group['subjects']} {words['subjects'].lower()}"),
            *(figure_cell(group["metrics"].get(name), words) for name in names),
        ]
        for column, found in columns.items()
        for value, group in found["groups"].items()
    ]
    titles = [metric_title(name, words) for name in names]
    return Table(words["every_group"], [words["group"], words["present"], *titles], rows)


def gap_table(columns: Mapping[str, Any], names: Sequence[str], words: Words) -> Table | None:
    """Highest less lowest group by column and metric, over what chance alone would show; None without any."""
    rows = []
    for column, found in columns.items():
        for name in (name for name in names if name in found["gaps"]):
            gap = found["gaps"][name]
            larger = gap["chance"] is not None and gap["value"] is not None and gap["value"] > gap["chance"]
            chance = words["by_chance"].format(chance=number(gap["chance"], words))
            rows.append(
                [
                    Cell(f"{column}, {metric_title(name, words)}"),
                    Cell(number(gap["value"], words), chance, worse=larger),
                    Cell(gap["lowest"]),
                    Cell(gap["highest"]),
                ]
            )
    titles = [words["group"], words["gap"], words["lowest"], words["highest"]]
    return Table(words["gaps"], titles, rows) if rows else None


def first_site_table(first: Mapping[str, Any], words: Words) -> Table:
    """The first site's figures by its own model and by this one, and the paired change; underlined if it got worse."""
    rows = [
        [
            Cell(metric_title(name, words)),
            figure_cell(before, words),
            figure_cell(
                first["after"][name], words, worse=is_worse(name, first["after"][name]["value"], before["value"])
            ),
            figure_cell(first["change"][name], words),
        ]
        for name, before in first["before"].items()
    ]
    return Table(words["first_caption"], [words["metric"], words["before"], words["after"], words["difference"]], rows)


def teacher_table(found: Mapping[str, Any], words: Words) -> Table:
    """Figures of student and teacher with their paired difference; parameters and seconds with their ratio."""
    rows = [
        [
            Cell(metric_title(name, words)),
            figure_cell(mine, words, worse=is_worse(name, mine["value"], found["teacher"][name]["value"])),
            figure_cell(found["teacher"][name], words),
            figure_cell(found["change"][name], words),
        ]
        for name, mine in found["student"].items()
    ]
    rows.append(_ratio_row(words["parameters"], found["parameters"], "{:,.0f}", words))
    for size, seconds in found["latency"].items():
        title = words["milliseconds"].format(size=size)
        rows.append(_ratio_row(title, {who: 1000 * value for who, value in seconds.items()}, "{:.2f}", words))
    columns = [words["metric"], words["student"], words["teacher"], words["difference_or_ratio"]]
    return Table(words["teacher_caption"], columns, rows)


def _ratio_row(title: str, values: Mapping[str, float], form: str, words: Words) -> list[Cell]:
    times = values["teacher"] / values["student"] if values["student"] else 0.0
    ratio = words["times"].format(times=f"{times:.1f}")
    return [Cell(title), Cell(form.format(values["student"])), Cell(form.format(values["teacher"])), Cell(ratio)]


def explanation_table(found: Mapping[str, Any], words: Words) -> Table:
    """Faithfulness of each method, best first, over that of the best kind of random map."""
    best_first = sorted(found["methods"].items(), key=lambda row: -row[1]["gain"]["value"])
    rows = [
        [
            Cell(name, strong=name == found["best"]),
            Cell(number(figures["deletion"], words)),
            Cell(number(figures["insertion"], words)),
            figure_cell(figures["gain"], words),
            figure_cell(figures["over_random"], words, worse=figures["over_random"]["low"] <= 0),
            Cell(number(figures["infidelity"], words)),
            Cell(number(figures["sanity"], words)),
            Cell(number(figures["seconds_each"], words)),
        ]
        for name, figures in best_first
    ]
    chance = found["random"]
    rows.append(
        [
            Cell(words["explanations_random"].format(kind=chance["kind"])),
            Cell(number(chance["deletion"], words)),
            Cell(number(chance["insertion"], words)),
            figure_cell(chance["gain"], words),
            Cell(""),
            Cell(number(chance["infidelity"], words)),
            Cell(""),
            Cell(""),
        ]
    )
    names = (
        "method",
        "deletion",
        "insertion",
        "gain",
        "over_random",
        "infidelity",
        "weight_correlation",
        "seconds_each",
    )
    titles = [words[name] for name in names]
    return Table(words["explanations_caption"], titles, rows)


def training_table(history: Sequence[Mapping[str, Any]], words: Words) -> Table:
    """Every epoch, with whatever was logged."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    titles = [words.get(name, words.get(f"metric_{name.removeprefix('val_')}", name)) for name in columns]
    return plain_table(words["training_caption"], titles, [[row.get(name) for name in columns] for row in history])


def provenance_table(content: ReportContent, words: Words) -> Table:
    """What a result depends on: the model, the data, the run and the versions."""
    data, training = content.metrics.get("data", {}), content.metrics.get("training", {})
    rows = [
        (words["model"], content.model),
        (words["data_fingerprint"], data.get("fingerprint")),
        (words["seed"], content.metrics.get("seed")),
        *((words.get(name, name), value) for name, value in training.items()),
        *content.versions.items(),
    ]
    return plain_table(
        words["provenance"], [words["item"], words["value"]], [row for row in rows if row[1] is not None]
    )


def counts_table(counts: Mapping[str, Mapping[str, int]], words: Words) -> Table:
    """Samples of each label in each split."""
    labels = list(dict.fromkeys(label for split in counts.values() for label in split))
    rows = [[label, *(str(split.get(label, 0)) for split in counts.values())] for label in labels]
    titles = [words.get(f"split_word_{split}", split) for split in counts]
    return plain_table(words["counts"], [words["class"], *titles], rows)


def mean_said_and_observed(outcome: Outcome) -> tuple[float, float]:
    """The positive class's mean probability and prevalence: calibration in the large."""
    column = outcome.positive
    return float(np.mean(outcome.probabilities[:, column])), float(outcome.truth[:, column].mean())
