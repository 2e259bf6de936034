from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from suwen.evaluation.content import ReportContent
from suwen.evaluation.page import page_of
from suwen.evaluation.summarise import summarise
from suwen.evaluation.survival_metrics import SURVIVAL_METRICS
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.survival_sections import SURVIVAL_SECTIONS, brier_figure
from suwen.evaluation.survival_summary import at_horizons
from suwen.evaluation.words import ENGLISH, metric_title

MakeSurvival = Callable[..., SurvivalOutcome]


def content_of(outcome: SurvivalOutcome) -> ReportContent:
    def figures(of: SurvivalOutcome) -> dict[str, Any]:
        return summarise(of, resamples=10) | at_horizons(of, list(SURVIVAL_METRICS), resamples=10, seed=0)

    flat = SurvivalOutcome(**{**vars(outcome), "incidence": np.tile(outcome.incidence.mean(0), (len(outcome), 1, 1))})
    return ReportContent(
        title="survival",
        task="survival",
        model="m@1",
        metrics={"splits": {"test": figures(outcome)}, "baselines": {"kaplan-meier": {"test": figures(flat)}}},
        outcomes={"test": outcome},
        baselines={"kaplan-meier": {"test": flat}},
        headline="c_index",
        unit="people",
    )


@pytest.mark.parametrize("causes", [1, 2])
def test_curves_calibration_and_brier_scores_are_drawn_for_each_cause(make_survival: MakeSurvival, causes: int) -> None:
    page = page_of(content_of(make_survival(200, causes)), ENGLISH)
    by_anchor = {section.anchor: section for section in page.sections}
    assert len(by_anchor["risk-groups"].drawings) == len(by_anchor["brier-over-time"].drawings) == causes
    assert len(by_anchor["horizons"].drawings) == 3 * causes and len(by_anchor["horizons"].tables[0].rows) == 3
    text = by_anchor["risk-groups"].sentences[0]
    assert "p < 0.0001" in text and ("Aalen-Johansen" in text) == (causes == 2)
    assert page.standing == "beats" and "one curve for everyone (Kaplan-Meier)" in page.verdict


def test_without_events_there_is_nothing_to_draw(make_survival: MakeSurvival) -> None:
    outcome = make_survival(120)
    content = content_of(outcome.take(outcome.event == 0))
    assert all(section(content, ENGLISH) is None for section in SURVIVAL_SECTIONS)


def test_the_same_figure_twice_is_the_same_file(make_survival: MakeSurvival) -> None:
    outcome = make_survival(80)
    assert brier_figure({"model": outcome}, 1) == brier_figure({"model": outcome}, 1)


def test_every_metric_has_a_title() -> None:
    assert all(metric_title(name, ENGLISH) != name for name in SURVIVAL_METRICS)
