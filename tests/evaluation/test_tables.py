from __future__ import annotations

from typing import Any

import pytest
from sklearn.metrics import recall_score

from suwen.evaluation.metrics import METRICS
from suwen.evaluation.tables import (
    class_table,
    comparison_table,
    gap_table,
    plain_table,
    provenance_table,
    subgroup_metrics,
    subgroup_table,
    training_table,
)
from suwen.evaluation.words import ENGLISH


def test_model_and_baselines_stand_side_by_side_with_intervals(make_content: Any) -> None:
    content = make_content(best_possible={"auroc": 0.99})
    table = comparison_table(content, "test", ENGLISH)
    assert table.columns == ["Metric", "Model", "logistic-pixels"]
    rows = {row[0].text.rstrip(" ↓"): row for row in table.rows}
    figure = content.metrics["splits"]["test"]["metrics"]["auroc"]
    assert rows["AUROC"][1].text == f"{figure['value']:.3f}"
    assert rows["AUROC"][1].detail == f"{figure['low']:.3f}–{figure['high']:.3f}"
    assert rows["AUROC"][0].detail == "best possible 0.990"
    assert len(rows) == len(METRICS) and all(len(row) == 3 for row in table.rows)
    assert comparison_table(content, "val", ENGLISH).rows[0][0].detail == ""


def test_a_model_behind_its_baseline_is_underlined(make_content: Any) -> None:
    def underlined(content: Any) -> bool:
        return comparison_table(content, "test", ENGLISH).rows[0][1].worse

    assert underlined(make_content(model_signal=0.5, baseline_signal=3.0)) and not underlined(make_content())


@pytest.mark.parametrize("multi_label", [False, True])
def test_class_by_class_finding_is_scikit_learns_recall(make_outcome: Any, multi_label: bool) -> None:
    outcome = make_outcome(150, 3, multi_label=multi_label)
    threshold = [0.3, 0.5, 0.6] if multi_label else None
    said = outcome.probabilities >= threshold if multi_label else outcome.probabilities.argmax(axis=1)
    expected = recall_score(outcome.target, said, average=None)
    table = class_table(outcome, threshold, ENGLISH)
    assert [row[4].text for row in table.rows] == [f"{value:.3f}" for value in expected]
    assert [row[1].text for row in table.rows] == [str(count) for count in outcome.truth.sum(axis=0)]


def test_subgroups_show_size_reason_and_few_metrics(make_content: Any) -> None:
    content = make_content()
    columns = content.metrics["splits"]["test"]["subgroups"]
    columns["sex"]["groups"]["M"]["note"] = "only 3 subjects"
    names = subgroup_metrics(content, content.outcomes["test"])
    assert names == ["auroc", "sensitivity_at_threshold", "specificity_at_threshold"]
    female, male = subgroup_table(columns, names, ENGLISH).rows
    assert (female[0].text, female[1].text, female[1].detail) == ("sex: F", "60", "60 subjects")
    assert (male[0].text, male[0].detail) == ("sex: M †", "only 3 subjects")


def test_gaps_stand_over_what_chance_would_show() -> None:
    gap = {"value": 0.2, "chance": 0.1, "highest": "M", "lowest": "F"}
    table = gap_table({"sex": {"gaps": {"auroc": gap}}}, ["auroc", "brier"], ENGLISH)
    assert table is not None
    ((name, size, lowest, highest),) = table.rows
    assert (name.text, size.text, size.detail, size.worse) == ("sex, AUROC", "0.200", "chance: 0.100", True)
    assert (lowest.text, highest.text) == ("F", "M")
    assert gap_table({"sex": {"gaps": {}}}, ["auroc"], ENGLISH) is None


def test_rows_of_different_columns_share_one_table() -> None:
    table = training_table([{"epoch": 1, "train_loss": 0.123456}, {"epoch": 2, "val_auroc": None}], ENGLISH)
    assert table.columns == ["Epoch", "training loss", "AUROC"]
    assert [[cell.text for cell in row] for row in table.rows] == [["1", "0.1235", ""], ["2", "", ""]]


def test_provenance_names_model_data_run_and_versions(make_content: Any) -> None:
    rows = {row[0].text: row[1].text for row in provenance_table(make_content(), ENGLISH).rows}
    assert rows == {
        "Model": "chest@3f2a",
        "Data fingerprint": "sha256:9f",
        "Seed": "0",
        "seconds": "12.5",
        "device": "cpu",
        "suwen": "0.1.0",
    }


def test_any_rows_become_text() -> None:
    table = plain_table("sizes", ["what", 2], [["a", None, 3, 0.5]])
    assert [cell.text for cell in table.rows[0]] == ["a", "", "3", "0.5"] and table.columns == ["what", "2"]
