"""The page that ``demo records`` leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from suwen.data.records.building import Imported
from suwen.data.records.quality import Finding
from suwen.evaluation.intervals import Interval
from suwen.evaluation.section import Page, Section
from suwen.evaluation.tables import Cell, Table, figure_cell, plain_table
from suwen.evaluation.verdict import number, with_interval
from suwen.evaluation.words import ENGLISH as WORDS


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One question.

    Attributes:
        title: in words.
        learned, judged: labels of training and test subjects.
        happened: of the latter.
        figures: model → AUROC; the first is the baseline.
        best: AUROC of the true risks on the test subjects.
    """

    title: str
    learned: int
    judged: int
    happened: int
    figures: Mapping[str, Interval]
    best: float


@dataclass(kw_only=True)
class Found:
    """All that the page shows.

    Attributes:
        imported: what came of the import.
        findings: of the check.
        subject, timeline: one subject, and its last events.
        answers: the questions.
        effects: as `suwen.simulation.records.truth.true_effects` has them.
        seconds: step → how long it took.
        commands: what was done, as commands that do it again.
    """

    imported: Imported | None = None
    findings: Sequence[Finding] = ()
    subject: int = 0
    timeline: Sequence[Mapping[str, Any]] = ()
    answers: list[Answered] = field(default_factory=list)
    effects: pd.DataFrame = field(default_factory=pd.DataFrame)
    seconds: dict[str, float] = field(default_factory=dict)
    commands: Sequence[str] = ()


def records_page(found: Found) -> Page:
    """The page of what was found."""
    return Page(
        title="Health records, and the best that anybody could do",
        subtitle="suwen demo records",
        leaks=(),
        notes=(),
        simulated=True,
        verdict=_verdict(found.answers),
        standing=_standing(found.answers),
        tiles=_tiles(found),
        sections=[_questions(found), _effects(found), _store(found), _timeline(found), _again(found)],
    )


def _against(answered: Answered) -> tuple[Interval, Interval]:
    """The baseline's figure, and the best of the others."""
    baseline, *others = answered.figures.values()
    return baseline, max(others, key=lambda figure: figure["value"])


def _beaten(answered: Answered) -> bool:
    """Whether a model's interval lies above the baseline's figure."""
    baseline, other = _against(answered)
    return bool(other["low"] > baseline["value"])


def _standing(answers: Sequence[Answered]) -> str:
    beaten = sum(map(_beaten, answers))
    return "unclear" if not answers else "beats" if beaten == len(answers) else "tied" if beaten else "loses"


def _verdict(answers: Sequence[Answered]) -> str:
    if not answers:
        return "Too few patients: of no question were there both answers among training and test subjects."
    said = "; ".join(
        f"{each.title} {with_interval(_against(each)[1], WORDS)}, at best {number(each.best, WORDS)}"
        for each in answers
    )
    beaten = sum(map(_beaten, answers))
    return (
        f"On {beaten} of {len(answers)} questions a model of the records does better than age and sex by more than its "
        f"interval. AUROC of the better model: {said}."
    )


def _tiles(found: Found) -> list[tuple[str, Cell]]:
    imported = found.imported
    assert imported is not None
    return [
        ("Events", Cell(f"{imported.events:,}", f"{imported.subjects:,} subjects")),
        ("Questions", Cell(str(len(found.answers)), f"{sum(each.judged for each in found.answers):,} test labels")),
        ("Seconds in all", Cell(f"{sum(found.seconds.values()):.0f}")),
    ]


def _questions(found: Found) -> Section:
    names = list(found.answers[0].figures) if found.answers else []
    rows = [
        [
            Cell(each.title),
            Cell(f"{each.happened} of {each.judged}", f"{each.learned} to learn from"),
            *(figure_cell(each.figures[name], WORDS) for name in names),
            Cell(number(each.best, WORDS), strong=True),
        ]
        for each in found.answers
    ]
    sentences = [
        "Subjects are split, not labels: nobody is in training and test. A model sees what had happened, and was "
        "known, at the prediction time. Intervals are 95% bootstrap intervals over subjects.",
        "The best possible figure is that of the true risks, which the simulation knows: what is true of somebody at "
        "the prediction time, found or not. On few test labels a model can pass it by luck, never in expectation.",
    ]
    table = Table("AUROC on the test subjects", ["", "Happened", *names, "best possible"], rows)
    return Section("questions", "Four questions", sentences, tables=[table])


def _effects(found: Found) -> Section:
    rows = [
        (
            *(str(name).replace("_", " "), int(row["decisions"]), f"{row['treated']:.0%}"),
            *(f"{100 * row[column]:+.1f}" for column in ("effect", "naive", "weighted")),
        )
        for name, row in found.effects.iterrows()
    ]
    columns = ["", "Decisions", "Treated", "True effect", "Treated less others", "Weighted by the true propensity"]
    sentences = [
        "At one visit a statin (against infarction within five years) and an SGLT2 inhibitor (against admission for "
        "heart failure within two years) are decided. Both help everybody who gets them. The sicker get them more "
        "often, so that a naive comparison can find harm: confounding by indication.",
        "Effects are differences of risk in percentage points; of the true one every subject's two risks are known.",
    ]
    return Section(
        "effects",
        "What treatments do, and seem to do",
        sentences,
        tables=[plain_table("Of all subjects", columns, rows)],
    )


def _store(found: Found) -> Section:
    imported = found.imported
    assert imported is not None
    rows = [(each.name, each.count, "; ".join(each.examples)) for each in found.findings]
    rows += [(f"not mapped: {reason}", count, "") for reason, count in imported.rejected.items()]
    tables = [plain_table("Found", ["", "How many", "Such as"], rows)] if rows else []
    sentence = (
        f"{imported.events:,} events of {imported.subjects:,} subjects came from {imported.parts} files; "
        f"{imported.repeated:,} were there already."
    )
    said = "Values in two units under one code are not comparable as they stand: the models above convert them."
    return Section("store", "The store", [sentence, *([said] if rows else [])], tables=tables)


def measured(event: Mapping[str, Any]) -> str:
    """Value and unit of an event of a timeline; empty where it has none."""
    if event.get("value") is None:
        return ""
    return f"{event['value']:g} {event.get('unit') or ''}".strip()


def _timeline(found: Found) -> Section:
    rows = [
        (
            each.get("time", ""),
            each.get("description") or each["code"],
            each["code"],
            measured(each),
            each.get("available_time", ""),
        )
        for each in found.timeline
    ]
    table = plain_table("Its last events", ["Time", "What", "Code", "Value", "Known since"], rows)
    return Section("timeline", f"One record: subject {found.subject}", tables=[table], folded=True)


def _again(found: Found) -> Section:
    rows = [(step, f"{seconds:.0f}") for step, seconds in found.seconds.items()]
    table = plain_table("What took how long", ["Step", "Seconds"], rows)
    code = "\n".join(found.commands)
    return Section("again", "The same by hand", tables=[table], code=code, code_title="The commands", folded=True)
