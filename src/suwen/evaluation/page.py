"""From `ReportContent` to what the template prints, section by section."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from suwen.evaluation.content import Example, ReportContent
from suwen.evaluation.figures import forest_figure, training_figure
from suwen.evaluation.label_sections import LABEL_SECTIONS
from suwen.evaluation.mask_outcome import MaskOutcome
from suwen.evaluation.mask_sections import MASK_SECTIONS
from suwen.evaluation.metrics import EVERY_METRIC, metric_of
from suwen.evaluation.number_outcome import NumberOutcome
from suwen.evaluation.number_sections import NUMBER_SECTIONS
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.section import Page, Picture, Section, data_uri, drawn, headline_outcomes
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.survival_sections import SURVIVAL_SECTIONS
from suwen.evaluation.tables import (
    Cell,
    comparison_table,
    counts_table,
    explanation_table,
    figure_cell,
    first_site_table,
    gap_table,
    paired_table,
    plain_table,
    provenance_table,
    subgroup_metrics,
    subgroup_table,
    teacher_table,
    training_table,
)
from suwen.evaluation.verdict import Comparison, compare, number, verdict, what_got_worse
from suwen.evaluation.words import Words, metric_title

SECTIONS: dict[type, tuple[Callable[[ReportContent, Words], Section | None], ...]] = {
    Outcome: LABEL_SECTIONS,
    MaskOutcome: MASK_SECTIONS,
    NumberOutcome: NUMBER_SECTIONS,
    SurvivalOutcome: SURVIVAL_SECTIONS,
}
"""Kind of outcome → the sections that only a report about it has."""


def page_of(content: ReportContent, words: Words) -> Page:
    """The page of this content, with figures drawn and sentences written."""
    found: list[Section | None] = []
    comparisons: list[Comparison] = []
    if content.split:
        comparisons = compare(*headline_outcomes(content), content.headline)
        found += [
            _beside_baselines(content, comparisons, words),
            _got_worse(content, words),
            *(section(content, words) for section in SECTIONS[type(content.outcomes[content.split])]),
            _subgroups(content, words),
            _first_site(content, words),
            _beside_teacher(content, words),
        ]
    found += [
        _examples(content, words),
        _rests_on(content, words),
        _explanations(content, words),
        _training(content, words),
        _data_check(content, words),
        _recipe(content, words),
        _reading(content, words),
    ]
    return Page(
        title=content.title,
        subtitle=f"{content.task} · {content.model}",
        leaks=content.leaks,
        notes=content.notes,
        simulated=content.simulated,
        verdict=verdict(content, comparisons, words),
        standing="leaks" if content.leaks else comparisons[0].standing if comparisons else "unclear",
        tiles=_tiles(content, comparisons, words) if content.split else [],
        sections=[section for section in found if section is not None],
    )


def _tiles(content: ReportContent, comparisons: Sequence[Comparison], words: Words) -> list[tuple[str, Cell]]:
    figures = content.figures(content.split)
    names = [*subgroup_metrics(content, content.outcomes[content.split]), "ece"]
    tiles = [(metric_title(name, words), figure_cell(figures[name], words)) for name in names if name in figures]
    if comparisons:
        title = words["over_baseline"].format(baseline=comparisons[0].baseline)
        tiles.append((title, figure_cell(comparisons[0].difference, words)))
    counts = content.metrics["splits"][content.split]
    tiles.append(
        (content.unit.capitalize(), Cell(str(counts["n"]), f"{counts['subjects']} {words['subjects'].lower()}"))
    )
    return tiles


def _beside_baselines(content: ReportContent, comparisons: Sequence[Comparison], words: Words) -> Section:
    splits = [content.split, *(split for split in content.outcomes if split != content.split)]
    tables = [comparison_table(content, split, words) for split in splits]
    if comparisons:
        tables.insert(1, paired_table(content, comparisons, words))
    sentences = [words["comparison_text"]]
    if any(metric_of(name).at_threshold for name in content.figures(content.split)):
        sentences.append(words["threshold_text"])
    if content.best_possible:
        sentences.append(words["best_possible_text"])
    return Section("baselines", words["comparison"], sentences, tables=tables)


def _got_worse(content: ReportContent, words: Words) -> Section:
    found = what_got_worse(content, words)
    return Section("worse", words["worse"], [words["worse_lead"] if found else words["nothing_worse"]], found)


def _subgroups(content: ReportContent, words: Words) -> Section | None:
    columns: Mapping[str, Any] = content.metrics["splits"][content.split].get("subgroups", {})
    if not columns:
        return None
    names = subgroup_metrics(content, content.outcomes[content.split])
    gaps = gap_table(columns, names, words)
    tables = [subgroup_table(columns, names, words), *([gaps] if gaps else [])]
    lines = [
        (f"{column}: {value}{' †' if group['note'] else ''}", group["metrics"][content.headline], bool(group["note"]))
        for column, found in columns.items()
        for value, group in found["groups"].items()
    ]
    overall = content.figures(content.split)[content.headline]["value"]
    caption = words["forest_caption"].format(metric=metric_title(content.headline, words))
    drawings = drawn((forest_figure(lines, overall, content.headline, words), caption))
    return Section("subgroups", words["subgroups"], [words["subgroups_text"]], tables=tables, drawings=drawings)


def _first_site(content: ReportContent, words: Words) -> Section | None:
    first: Mapping[str, Any] = content.metrics.get("first", {})
    if not first:
        return None
    sentence = words["first_text"].format(
        model=first["model"], n=first["n"], unit=content.unit, subjects=first["subjects"], keep=first["keep"] or "–"
    )
    refused = words["first_refused"].format(**{when: f"{share:.0%}" for when, share in first["refused"].items()})
    return Section("first", words["first_site"], [sentence, refused], tables=[first_site_table(first, words)])


def _beside_teacher(content: ReportContent, words: Words) -> Section | None:
    found: Mapping[str, Any] = content.metrics.get("teacher", {})
    if not found:
        return None
    sentence = words["teacher_text"].format(
        model=found["model"],
        temperature=number(found["temperature"], words),
        share=f"{found['alpha']:.0%}",
        n=found["n"],
        unit=content.unit,
        subjects=found["subjects"],
    )
    return Section("teacher", words["beside_teacher"], [sentence], tables=[teacher_table(found, words)])


def _examples(content: ReportContent, words: Words) -> Section | None:
    if not content.examples:
        return None
    right = [_picture(example, words) for example in content.examples if example.correct]
    wrong = [_picture(example, words) for example in content.examples if not example.correct]
    return Section("examples", words["examples"], right=right, wrong=wrong)


def _rests_on(content: ReportContent, words: Words) -> Section | None:
    if not content.rests_on:
        return None
    rows = [(name, f"{100 * share:.1f}") for name, share in content.rests_on.items()]
    table = plain_table(words["rests_on_caption"], [words["column"], words["points"]], rows)
    return Section("rests-on", words["rests_on"], [words["rests_on_text"]], tables=[table])


def _explanations(content: ReportContent, words: Words) -> Section | None:
    found = content.metrics.get("explanations") or {}
    if not found.get("methods"):
        return None
    split = words.get(f"split_word_{found.get('split')}", str(found.get("split")))
    sentences = [words["explanations_text"].format(examples=found["examples"], split=split)]
    beaten = found["beats_random"]
    sentences.append(words["explanations_best"].format(best=found["best"]) if beaten else words["explanations_none"])
    skipped = [
        words["explanations_skipped"].format(method=name, reason=reason) for name, reason in found["skipped"].items()
    ]
    tables = [explanation_table(found, words)]
    return Section("explanations", words["explanations"], sentences, skipped, tables=tables)


def _picture(example: Example, words: Words) -> Picture:
    caption = words["example_caption"].format(
        answer=example.answer, probability=f"{example.probability:.0%}", truth=example.truth
    )
    overlay = None if example.overlay_png is None else data_uri(example.overlay_png)
    return Picture(example.id, data_uri(example.image_png), overlay, caption)


def _training(content: ReportContent, words: Words) -> Section | None:
    if not content.history:
        return None
    drawings = drawn((training_figure(content.history, words), words["training_figure_caption"]))
    table = training_table(content.history, words)
    return Section("training", words["training"], tables=[table], drawings=drawings, folded=True)


def _data_check(content: ReportContent, words: Words) -> Section | None:
    tables = [
        plain_table(table["title"], table["columns"], table["rows"]) for table in content.data_check.get("tables", ())
    ]
    counts = content.metrics.get("data", {}).get("counts")
    if counts:
        tables.append(counts_table(counts, words))
    warnings = [str(warning) for warning in content.data_check.get("warnings", ())]
    return Section("data", words["data_check"], findings=warnings, tables=tables) if tables or warnings else None


def _recipe(content: ReportContent, words: Words) -> Section:
    table = provenance_table(content, words)
    return Section(
        "recipe",
        words["recipe"],
        tables=[table],
        code=content.recipe_yaml,
        code_title=words["recipe_in_full"],
        folded=True,
    )


def _reading(content: ReportContent, words: Words) -> Section:
    names = [
        name for name in EVERY_METRIC if name in content.figures(content.split) and not metric_of(name).at_threshold
    ]
    rows = [(metric_title(name, words), metric_of(name).summary, metric_of(name).source) for name in names]
    table = plain_table(words["reading"], [words["metric"], words["meaning"], words["source"]], rows)
    return Section(
        "reading",
        words["reading"],
        [words["reading_intervals"], words["reading_calibration"]],
        tables=[table] if rows else [],
        folded=True,
    )
