from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from suwen.evaluation import figures
from suwen.evaluation.metrics import METRICS


def _text(svg: str | None) -> list[str]:
    assert svg is not None
    return [text.strip() for text in ElementTree.fromstring(svg).itertext() if text.strip()]


def test_legends_give_the_areas_that_the_tables_give(make_outcome: Any) -> None:
    model, other = make_outcome(90), make_outcome(90, signal=0.5, seed=1)
    outcomes = {"Model": model, "rival": replace(model, probabilities=other.probabilities)}
    for draw, metric in ((figures.roc_figure, "auroc"), (figures.precision_recall_figure, "auprc")):
        words = _text(draw(outcomes))
        for name, outcome in outcomes.items():
            assert f"{name} {METRICS[metric].function(outcome):.3f}" in words


def test_of_many_classes_the_hardest_five_are_drawn(make_outcome: Any) -> None:
    outcome = make_outcome(300, 8)
    areas = [METRICS["auroc"].function(outcome.one_vs_rest(column)) for column in range(8)]
    words = _text(figures.roc_figure({"Model": outcome}))
    for rank, column in enumerate(np.argsort(areas)):
        assert (f"class-{column} {areas[column]:.3f}" in words) == (rank < 5)


def test_the_operating_point_lies_where_the_threshold_leads(make_outcome: Any) -> None:
    assert "operating point" in _text(figures.roc_figure({"Model": make_outcome(90)}, 0.4))
    assert "operating point" not in _text(figures.roc_figure({"Model": make_outcome(90, 3)}, None))


def test_the_confusion_figure_prints_every_count(make_outcome: Any) -> None:
    outcome = make_outcome(90)
    said = outcome.probabilities[:, 1] >= 0.4
    words = _text(figures.confusion_figure(outcome, 0.4))
    for truth in (0, 1):
        for answer in (False, True):
            assert str(((outcome.target == truth) & (said == answer)).sum()) in words
    assert figures.confusion_figure(make_outcome(30, 3, multi_label=True)) is None
    assert "class-11" in _text(figures.confusion_figure(make_outcome(200, 12)))


@pytest.mark.parametrize("settings", [{}, {"classes": 4}, {"classes": 3, "multi_label": True}])
def test_reliability_is_drawn_for_every_kind_of_question(make_outcome: Any, settings: Any) -> None:
    outcome = make_outcome(90, **settings)
    words = _text(figures.reliability_figure(None, outcome))
    assert "answers given" in words and "before scaling" not in words
    assert "before scaling" in _text(figures.reliability_figure(outcome, outcome))


def test_only_binary_questions_have_a_decision_curve(make_outcome: Any) -> None:
    assert {"Model", "act on everyone", "act on no one"} <= set(
        _text(figures.decision_figure({"Model": make_outcome()}))
    )
    assert figures.decision_figure({"Model": make_outcome(60, 3)}) is None


def test_a_class_alone_has_no_curves(make_outcome: Any) -> None:
    outcome = make_outcome(60)
    alone = {"Model": outcome.take(outcome.target == 1)}
    assert figures.roc_figure(alone) is None and figures.precision_recall_figure(alone) is None


def test_training_shows_whatever_was_measured(make_outcome: Any) -> None:
    rows = [
        {"epoch": 1, "train_loss": 0.5},
        {"epoch": 2, "train_loss": 0.4, "val_loss": 0.6, "val_auroc": 0.8, "val_x": None},
    ]
    assert {"training loss", "validation loss", "AUROC", "x"} <= set(_text(figures.training_figure(rows)))
    assert "validation loss" in _text(figures.training_figure([{"epoch": 1, "train_loss": 0.5}]))
    assert figures.training_figure([]) is None


def test_a_forest_has_a_line_for_every_group_even_undefined_ones() -> None:
    known = {"value": 0.9, "low": 0.8, "high": 0.95}
    unknown = {"value": None, "low": None, "high": None}
    words = _text(figures.forest_figure([("sex: F", known, False), ("sex: M †", unknown, True)], 0.88, "auroc"))
    assert {"sex: F", "sex: M †", "AUROC", "all samples"} <= set(words)
    assert figures.forest_figure([("sex: M †", unknown, True)], None, "auroc") is None
