from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from suwen.clinic.survival import SURVIVAL
from suwen.core.errors import DataError
from suwen.core.features import Features
from suwen.core.model import Model
from suwen.core.recipe import EvaluationSettings, make_recipe
from suwen.core.registry import ENCODERS, HEADS
from suwen.data.arrays import ArrayDataset
from suwen.evaluation.content import ReportContent
from suwen.evaluation.metrics import metric_of
from suwen.evaluation.report import write_report
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.heads.time_to_event import KINDS, TimeToEvent
from suwen.learn.train import train
from suwen.verbs.survival_judge import SurvivalJudge


class Plain(nn.Module):
    """Rows of numbers as they are, by way of one layer."""

    config: dict[str, Any] = {"name": "plain"}  # noqa: RUF012
    map_widths: tuple[int, ...] = ()
    licence = None

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.layer = nn.Linear(width, width)
        nn.init.eye_(self.layer.weight)

    def forward(self, inputs: Tensor) -> Features:
        return Features(self.layer(inputs))

    def depths(self) -> dict[str, int]:
        return {name: 0 for name, _ in self.named_parameters()}


def people(count: int = 1800, causes: int = 2, seed: int = 0) -> ArrayDataset:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 4))
    times = rng.exponential(1 / (0.08 * np.exp(inputs[:, :causes])))
    censored = rng.uniform(2, 14, count)
    targets = np.stack(
        [
            np.minimum(times.min(1), censored),
            np.where(times.min(1) <= censored, times.argmin(1) + 1, 0),
        ],
        1,
    )
    return ArrayDataset(
        inputs=inputs,
        targets=targets,
        splits=np.array(["train", "val", "test"])[np.arange(count) % 3],
        labels=("death", "relapse")[:causes],
        metadata=pd.DataFrame({"site": rng.choice(["north", "south"], count)}),
    )


def learnt(data: ArrayDataset, kind: str = "piecewise") -> Model:
    torch.manual_seed(0)
    train = data.where("train")
    head = TimeToEvent(4, data.labels, **TimeToEvent.options_for(data, train, {"kind": kind, "horizons": [3.0, 6.0]}))
    model = Model(SURVIVAL, data.preprocess, Plain(4), head)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    inputs, targets = torch.from_numpy(data.take(train)), torch.from_numpy(data.targets[train])
    for _ in range(80):
        loss = head.loss(model.logits(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@pytest.fixture(scope="module", params=list(KINDS))
def judged(request: pytest.FixtureRequest) -> tuple[Model, ArrayDataset, SurvivalJudge]:
    data, judge = people(), SurvivalJudge(SURVIVAL)
    model = learnt(data, request.param)
    judge.calibrate(model, data, EvaluationSettings())
    return model, data, judge


def test_curves_come_true_and_people_are_told_apart(judged: tuple[Model, ArrayDataset, SurvivalJudge]) -> None:
    model, data, judge = judged
    rows = judge.rows(data, "test")
    outcome = judge.judge(model, data, rows)
    figures = judge.figures(outcome, names=model.head.metrics, threshold=None, by=["site"], resamples=30, seed=0)
    assert figures["metrics"]["c_index"]["value"] > 0.65 and figures["metrics"]["ece_horizon"]["value"] < 0.07
    assert set(figures["horizons"]) == {"3", "6"} and set(figures["subgroups"]["site"]["groups"]) == {"north", "south"}
    assert all(test["p"] < 1e-3 for test in figures["separation"].values())
    json.dumps(figures, allow_nan=False)


def test_most_people_outlive_the_bound(judged: tuple[Model, ArrayDataset, SurvivalJudge]) -> None:
    """Of new people whose events are all seen, about nine in ten."""
    model, _, _ = judged
    rng = np.random.default_rng(9)
    inputs = rng.normal(size=(4000, 4)).astype(np.float32)
    event = rng.exponential(1 / (0.08 * np.exp(inputs[:, :2]))).min(1)
    with torch.inference_mode():
        answers = model.head.decode(model.logits(torch.from_numpy(inputs)), model.calibration)
    begins = np.array([answer.interval[0] for answer in answers if answer.interval is not None])
    assert len(begins) == 4000 and 0.87 <= (event >= begins).mean() <= 0.93


def test_baselines_stand_beside_it_and_the_page_is_drawn(
    judged: tuple[Model, ArrayDataset, SurvivalJudge], tmp_path: Any
) -> None:
    model, data, judge = judged
    outcomes = {split: judge.judge(model, data, data.where(split)) for split in ("val", "test")}
    baselines = judge.baselines(data, outcomes)
    assert {"kaplan-meier", "cox"} <= set(baselines)

    def figures(outcome: SurvivalOutcome) -> dict[str, Any]:
        return judge.figures(outcome, names=model.head.metrics, threshold=None, by=(), resamples=20, seed=0)

    metrics = {
        "splits": {split: figures(outcome) for split, outcome in outcomes.items()},
        "baselines": {name: {s: figures(o) for s, o in found.items()} for name, found in baselines.items()},
    }
    assert metrics["baselines"]["kaplan-meier"]["test"]["metrics"]["c_index"]["value"] == 0.5
    content = ReportContent(
        title="survival",
        task="survival",
        model="m@1",
        metrics=metrics,
        outcomes=outcomes,
        baselines=baselines,
        headline="c_index",
        **judge.report(model, data, data.where("test"), outcomes),
    )
    write_report(tmp_path / "report.html", content)
    page = (tmp_path / "report.html").read_text()
    assert "The model tells whose event comes first" in page and "Log-rank test" in page
    assert page.count("<svg") >= 2 + 4 + 2  # a cause: curves by risk, two horizons, Brier over time
    assert "Brier score over time, relapse" in page and "600 people" in page


def test_an_epoch_is_scored_by_concordance(judged: tuple[Model, ArrayDataset, SurvivalJudge]) -> None:
    model, data, judge = judged
    rows = data.where("val")
    found = judge.watching(data)["score"](model, model.infer(data, rows)[0], rows)
    assert found["score"] == found["c_index"] > 0.65


def test_the_one_loop_trains_it_and_chooses_the_epoch_by_concordance() -> None:
    data, judge = people(900), SurvivalJudge(SURVIVAL)
    for registry, name, thing in (
        (HEADS, "time-to-event", TimeToEvent),
        (ENCODERS, "plain", lambda name, preprocess, **_: Plain(4)),
    ):
        if name not in registry:
            registry.add(name, thing)
    recipe = make_recipe(
        {"task": "survival", "data": {"source": "memory"}, "encoder": {"name": "plain:4"}, "seed": 0},
        {"head": {"options": {"kind": "discrete", "bins": 6, "horizons": [3.0]}}},
        {"training": {"epochs": 6, "batch_size": 64, "learning_rate": 0.02, "precision": "fp32"}},
    ).completed(inputs={}, rows=len(data.where("train")))
    trained = train(SURVIVAL, data, recipe, **judge.watching(data))
    history = trained.progress.history
    assert history[-1]["val_c_index"] > 0.62 and history[-1]["val_loss"] < history[0]["val_loss"]
    judge.calibrate(trained.model, data, EvaluationSettings())
    outcome = judge.judge(trained.model, data, judge.rows(data, "test"))
    assert metric_of("c_index").function(outcome) > 0.62 and metric_of("ece_horizon").function(outcome) < 0.08
    answer = trained.model.answer(torch.from_numpy(data.take(np.arange(1))))[0]
    assert set(answer.probabilities) == {"death by 3", "relapse by 3"} and json.dumps(answer.to_json())


def test_who_has_no_time_is_not_judged() -> None:
    data, judge = people(30), SurvivalJudge(SURVIVAL)
    data.targets[2, 0] = np.nan
    assert 2 not in judge.rows(data, "test") and len(judge.rows(data, "test")) == 9
    with pytest.raises(DataError, match="nobody whose time is known"):
        judge.rows(data, "elsewhere")
