"""The page that ``demo foundation`` leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from suwen.core.explanation import Explanation
from suwen.evaluation.figures import forest_figure, training_figure
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.section import Drawing, Page, Picture, Section, data_uri
from suwen.evaluation.tables import Cell, Table, explanation_table, figure_cell, plain_table
from suwen.evaluation.verdict import Comparison, compare, with_interval
from suwen.evaluation.words import ENGLISH as WORDS
from suwen.explanation.overlay import overlay, picture, png, scaled
from suwen.verbs.export import Exported

METRIC = "auroc"

STANDINGS = {
    "beats": "Pretraining helped",
    "tied": "Pretraining was ahead, by no more than chance can give",
    "loses": "Pretraining did not help here",
    "unclear": "The difference is not defined",
}
"""The standing of the adapted encoder against the one from random weights → how the verdict begins."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to come from fifty labels to an answer.

    Attributes:
        title: as the report names it.
        run: name of its Run.
        pretrained: whether it starts from the pretrained encoder.
        adapt: what of the encoder learns.
    """

    title: str
    run: str
    pretrained: bool
    adapt: str = "full"


@dataclass(kw_only=True)
class Found:
    """All that the report shows.

    Attributes:
        counts: films to pretrain on, to learn from, to validate and to test on.
        history: rows of the pretraining's log.
        outcomes: arm → answers on the test films.
        metrics: arm → its Run's ``metrics.json``.
        explanation: of one film, by the best method measured on the adapted Run, or by the task's own.
        exported: of the formats whose packages are installed.
        missing: what to install for the others.
        seconds: step → how long it took.
        commands: what was done, as commands that do it again.
    """

    counts: dict[str, int]
    history: Sequence[dict[str, Any]] = ()
    outcomes: dict[Arm, Outcome] = field(default_factory=dict)
    metrics: dict[Arm, dict[str, Any]] = field(default_factory=dict)
    explanation: Explanation | None = None
    exported: list[Exported] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    @property
    def scratch(self) -> Arm:
        """The arm that the others are compared with."""
        return next(arm for arm in self.outcomes if not arm.pretrained)

    @property
    def adapted(self) -> Arm:
        """The arm that is explained and exported."""
        return next(arm for arm in self.outcomes if arm.pretrained)

    def compared(self, arm: Arm) -> Comparison:
        """An arm against the one from random weights, on the same films."""
        (found,) = compare(self.outcomes[arm], {self.scratch.title: self.outcomes[self.scratch]}, METRIC)
        return found

    def figure(self, arm: Arm, name: str = METRIC) -> dict[str, Any]:
        """A figure of an arm on the test films, with its interval."""
        shown: dict[str, Any] = self.metrics[arm]["splits"]["test"]["metrics"][name]
        return shown


def foundation_page(found: Found) -> Page:
    """The page of what was found."""
    comparison = found.compared(found.adapted)
    return Page(
        title=f"Pretraining, and {found.counts['training']} labels",
        subtitle="suwen demo foundation",
        leaks=(),
        notes=(),
        simulated=True,
        verdict=_verdict(found, comparison),
        standing=comparison.standing,
        tiles=_tiles(found, comparison),
        sections=[_arms(found), _pretraining(found), _explanation(found), _engines(found), _again(found)],
    )


def _verdict(found: Found, comparison: Comparison) -> str:
    figures = {arm: with_interval(found.figure(arm), WORDS) for arm in (found.adapted, found.scratch)}
    return (
        f"{STANDINGS[comparison.standing]}: with {found.counts['training']} labelled films the pretrained encoder "
        f"reaches an AUROC of {figures[found.adapted]} on {found.counts['test']} test films, the same encoder from "
        f"random weights {figures[found.scratch]}; the difference is {with_interval(comparison.difference, WORDS)}."
    )


def _tiles(found: Found, comparison: Comparison) -> list[tuple[str, Cell]]:
    return [
        ("AUROC, pretrained", figure_cell(found.figure(found.adapted), WORDS)),
        ("AUROC, from random weights", figure_cell(found.figure(found.scratch), WORDS)),
        ("Difference", figure_cell(comparison.difference, WORDS)),
        ("Labelled films", Cell(str(found.counts["training"]), f"and {found.counts['validation']} for validation")),
        ("Films without labels", Cell(str(found.counts["pretraining"]))),
        ("Seconds in all", Cell(f"{sum(found.seconds.values()):.0f}")),
    ]


def _arms(found: Found) -> Section:
    """Each way from the same labels, and the baselines that learned from them too."""
    rows = [
        [
            Cell(arm.title, strong=arm is found.adapted),
            figure_cell(found.figure(arm), WORDS),
            figure_cell(found.figure(arm, "balanced_accuracy"), WORDS),
            figure_cell(None if arm is found.scratch else found.compared(arm).difference, WORDS),
            Cell(f"{found.seconds[arm.title]:.0f}"),
        ]
        for arm in found.outcomes
    ]
    baselines = found.metrics[found.scratch]["baselines"]
    rows += [
        [
            Cell(f"baseline: {name}"),
            figure_cell(splits["test"]["metrics"].get(METRIC), WORDS),
            figure_cell(splits["test"]["metrics"].get("balanced_accuracy"), WORDS),
            Cell(""),
            Cell(""),
        ]
        for name, splits in baselines.items()
    ]
    columns = ["", "AUROC", "Balanced accuracy", "AUROC over random weights", "Seconds"]
    sentences = [
        "Every arm has the same architecture, recipe, labelled films, validation films and test films. They differ in "
        "where the weights start, and in what of them learns. Intervals are 95% bootstrap intervals over patients; "
        "those of differences are paired.",
        "One draw of labels and one seed: another draw can turn a small difference. The benchmarks repeat it.",
    ]
    drawn = forest_figure([(arm.title, found.figure(arm), False) for arm in found.outcomes], None, METRIC, WORDS)
    drawings = [] if drawn is None else [Drawing(Markup(drawn), "AUROC on the test films, with 95% intervals.")]
    return Section(
        "arms", "The same labels", sentences, tables=[Table("On the test films", columns, rows)], drawings=drawings
    )


def _pretraining(found: Found) -> Section:
    sentences = [
        f"{found.counts['pretraining']} films of other patients than those tested, without any label. Into each, soft "
        "ellipses of another patient's film are blended, and the features must tell where and how much (foreign patch "
        "interpolation): as a lesion does, they lie where they do not belong.",
        "The effective rank says how many directions the features use: near 1 they have collapsed, and training stops.",
    ]
    drawn = training_figure(found.history, WORDS)
    drawings = [] if drawn is None else [Drawing(Markup(drawn), "Loss, and the spread of the features, by epoch.")]
    return Section("pretraining", "Pretraining", sentences, drawings=drawings)


def _explanation(found: Found) -> Section:
    shown = found.explanation
    assert shown is not None
    says = shown.prediction
    pictured = Picture(
        id=str(says.input),
        image=data_uri(png(picture(shown.inputs))),
        overlay=data_uri(png(overlay(shown.inputs, scaled(shown.attribution)))),
        caption=f"{shown.label} {says.probabilities[shown.label]:.2f}, explained by {shown.method}: {shown.meaning}",
    )
    compared = found.metrics[found.adapted].get("explanations") or {}
    sentences = [
        "Each method's map is tested: what happens to the answer when the parts it names are taken away (deletion), "
        "and when they alone are shown (insertion)?"
    ]
    if compared.get("methods") and not compared["beats_random"]:
        sentences.append("None was shown to be more faithful than a random map. Do not rely on the heat map below.")
    tables = [explanation_table(compared, WORDS)] if compared.get("methods") else []
    return Section("explanation", "What an answer rests on", sentences, tables=tables, shown=[pictured])


def _engines(found: Found) -> Section:
    """One line an engine; the last export timed them all."""
    parity = {each.name: each.record["parity"]["logits"] for each in found.exported}
    seconds = found.exported[-1].seconds if found.exported else {}
    rows = [
        (name, f"{1000 * value:.1f}", f"{seconds['torch'] / value:.1f}×", _difference(parity.get(name)))
        for name, value in sorted(seconds.items(), key=lambda row: row[1])
    ]
    columns = ["Engine", "Milliseconds a film", "Against torch", "Largest difference of logits"]
    tables = [plain_table("One film at a time, on this machine", columns, rows)] if rows else []
    sentence = "An export is kept only if it answers as torch does; predict uses the fastest from then on."
    return Section("engines", "Running it", [sentence], found.missing, tables=tables)


def _difference(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def _again(found: Found) -> Section:
    rows = [(step, f"{seconds:.0f}") for step, seconds in found.seconds.items()]
    table = plain_table("What took how long", ["Step", "Seconds"], rows)
    return Section(
        "again",
        "The same by hand",
        tables=[table],
        code="\n".join(found.commands),
        code_title="The commands",
        folded=True,
    )
