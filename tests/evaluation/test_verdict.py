from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from suwen.evaluation.verdict import compare, interval_text, is_worse, number, verdict, what_got_worse, with_interval
from suwen.evaluation.words import ENGLISH


def _said(content: Any) -> str:
    if not content.split:
        return verdict(content, [], ENGLISH)
    found = {name: outcomes[content.split] for name, outcomes in content.baselines.items()}
    return verdict(content, compare(content.outcomes[content.split], found, content.headline), ENGLISH)


def test_a_clear_winner_is_said_to_beat_its_baseline_by_so_much(make_content: Any) -> None:
    content = make_content()
    said = _said(content)
    figure = content.metrics["splits"]["test"]["metrics"]["auroc"]
    assert f"The model finds class-1 with AUROC {with_interval(figure, ENGLISH)} on 120 images of 120 subjects" in said
    assert "It beats logistic regression on pixels" in said and "NOT" not in said


def test_a_model_that_is_no_better_is_said_to_be_none(make_content: Any) -> None:
    assert "It does NOT beat logistic regression on pixels" in _said(
        make_content(model_signal=0.5, baseline_signal=3.0)
    )


def test_a_lead_that_chance_could_make_is_not_called_a_win(make_outcome: Any) -> None:
    model = make_outcome(60, signal=1.5)
    noise = np.random.default_rng(1).normal(0, 0.1, 60)
    second = np.clip(model.probabilities[:, 1] + noise, 0, 1)
    near = replace(model, probabilities=np.stack([1 - second, second], axis=1))
    standings = {compare(one, {"b": other}, "auroc")[0].standing for one, other in ((model, near), (near, model))}
    assert standings == {"tied", "loses"}


def test_the_strongest_baseline_is_the_one_to_beat(make_outcome: Any) -> None:
    model = make_outcome(100, signal=2)
    weak, strong = (replace(model, probabilities=make_outcome(100, signal=s).probabilities) for s in (0.2, 1.0))
    assert [each.baseline for each in compare(model, {"weak": weak, "strong": strong}, "auroc")] == ["strong", "weak"]
    assert [each.baseline for each in compare(model, {"weak": weak, "strong": strong}, "brier")] == ["strong", "weak"]


def test_for_errors_lower_is_better(make_outcome: Any) -> None:
    model = make_outcome(200, signal=3)
    weak = replace(model, probabilities=make_outcome(200, signal=0.1).probabilities)
    (found,) = compare(model, {"weak": weak}, "brier")
    assert found.standing == "beats" and found.difference["value"] < 0


def test_what_cannot_be_compared_is_unclear(make_outcome: Any) -> None:
    outcome = make_outcome()
    alone = outcome.take(outcome.target == 1)
    assert compare(alone, {"same": alone}, "auroc")[0].standing == "unclear"


def test_a_leak_comes_before_the_praise(make_content: Any) -> None:
    assert _said(make_content(data_check={"leaks": ["a.png"]})).startswith("Do not quote this")


@pytest.mark.parametrize(
    ("kind", "begin"), [("classes", "The model tells 3 classes apart"), ("labels", "The model finds 3 labels")]
)
def test_every_kind_of_question_has_its_sentence(make_content: Any, kind: str, begin: str) -> None:
    assert _said(make_content(kind)).startswith(begin)


def test_nothing_measured_and_no_baseline_are_said(make_content: Any) -> None:
    assert _said(make_content(baselines={})).endswith("No baseline was run beside it.")
    assert "Nothing was measured" in _said(make_content(outcomes={}, baselines={}))


def _with_test_metrics(content: Any, **values: float) -> Any:
    test = content.metrics["splits"]["test"]
    metrics = {
        **test["metrics"],
        **{name: {"value": value, "low": value, "high": value} for name, value in values.items()},
    }
    return replace(
        content,
        metrics={**content.metrics, "splits": {**content.metrics["splits"], "test": {**test, "metrics": metrics}}},
    )


def test_each_thing_that_got_worse_is_named_once(make_content: Any) -> None:
    content = make_content(
        history=[{"epoch": 1, "val_loss": 0.2}, {"epoch": 2, "val_loss": 0.1}, {"epoch": 3, "val_loss": 0.3}]
    )
    worse = what_got_worse(_with_test_metrics(content, brier=0.9), ENGLISH)
    assert any("logistic regression on pixels reaches" in line and line.startswith("Brier") for line in worse)
    assert any(line.startswith("Brier score on the test split, 0.900") for line in worse)
    assert sum("rose from 0.100 (epoch 2) to 0.300 (epoch 3)" in line for line in worse) == 1
    assert len(worse) == len(set(worse))


def test_a_group_wholly_below_the_rest_is_named_unless_marked(make_content: Any) -> None:
    content = make_content()
    groups = content.metrics["splits"]["test"]["subgroups"]["sex"]["groups"]
    low = {"metrics": {"auroc": {"value": 0.5, "low": 0.4, "high": 0.6}}}
    groups["F"].update(low)
    assert any(line.startswith("AUROC for sex = F is 0.500") for line in what_got_worse(content, ENGLISH))
    groups["F"]["note"] = "only 3 subjects"
    assert not any("sex = F" in line for line in what_got_worse(content, ENGLISH))


def test_better_depends_on_the_metric_and_unknown_is_not_worse() -> None:
    assert is_worse("auroc", 0.8, 0.9) and not is_worse("brier", 0.8, 0.9)
    assert not is_worse("auroc", None, 0.9) and not is_worse("auroc", 0.9, float("nan"))


def test_numbers_read_as_a_person_would_write_them() -> None:
    assert number(-0.0123, ENGLISH) == "−0.012" and number(None, ENGLISH) == "not defined"
    assert number(float("nan"), ENGLISH) == "not defined"
    assert interval_text({"low": 0.9, "high": 0.95}, ENGLISH) == "0.900–0.950"
    assert interval_text({"low": -0.1, "high": 0.2}, ENGLISH) == "−0.100 to 0.200"
    assert with_interval({"value": 0.5, "low": None, "high": None}, ENGLISH) == "0.500"
