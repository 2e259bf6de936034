"""The whole chain on a table: finetune, predict, evaluate, explain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import suwen
from suwen.cli.main import app
from suwen.core.errors import DataError, LeakError
from suwen.core.run import load

QUICK = ("evaluation.resamples=50", "head.options={bags: 1, depth: 2, rounds: 30}", "inputs.missing={pressure: [0]}")
TARGET = "inputs.target=sick"


def write(file: Path, rows: int, seed: int) -> Path:
    """Sickness follows age and pressure; sex says nothing; pressure 0 stands for missing."""
    rng = np.random.default_rng(seed)
    lines = ["sick,age,sex,pressure,site"]
    for _ in range(rows):
        age, pressure = rng.uniform(20, 90), rng.normal(130, 20)
        sick = (age - 55) / 10 + (pressure - 130) / 20 + rng.logistic() > 0
        shown = 0 if rng.random() < 0.1 else round(pressure)
        lines.append(f"{'yes' if sick else 'no'},{age:.1f},{rng.choice(['F', 'M'])},{shown},{rng.choice(['a', 'b'])}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("table") / "patients.csv", 400, seed=0)


@pytest.fixture(scope="module")
def run(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "risk"
    suwen.finetune("table-risk", patients, set=(TARGET, *QUICK), out=out, quiet=True)
    return out


@pytest.fixture(scope="module")
def metrics(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


def test_it_learns_and_stands_beside_its_baselines_with_paired_differences(metrics: dict) -> None:
    mine = metrics["splits"]["test"]["metrics"]["auroc"]["value"]
    assert mine > 0.85 and set(metrics["baselines"]) == {"prevalence", "logistic", "trees"}
    for found in metrics["baselines"].values():
        test = found["test"]
        difference = test["difference"]["auroc"]
        assert difference["value"] == pytest.approx(mine - test["metrics"]["auroc"]["value"])
        assert difference["low"] <= difference["value"] <= difference["high"]
    assert metrics["baselines"]["prevalence"]["test"]["metrics"]["auroc"]["value"] == 0.5
    assert metrics["baselines"]["logistic"]["test"]["metrics"]["auroc"]["value"] > 0.85


def test_subgroups_come_unasked_and_the_worst_is_named(metrics: dict) -> None:
    test = metrics["splits"]["test"]
    assert set(test["subgroups"]) == {"age", "sex", "site"}
    worst = test["worst_subgroup"]["auroc"]
    groups = test["subgroups"][worst["column"]]["groups"]
    assert groups[worst["group"]]["metrics"]["auroc"]["value"] == worst["value"]
    shown = [g["metrics"]["auroc"]["value"] for c in test["subgroups"].values() for g in c["groups"].values()]
    assert worst["value"] >= min(value for value in shown if value is not None)


def test_a_loaded_run_gives_the_same_numbers_bit_for_bit(run: Path, patients: Path) -> None:
    samples = load(run).predict(patients)
    again = load(run).predict(patients)
    assert [a.probabilities for a in samples] == [a.probabilities for a in again]
    each = load(run).predict(f"{patients}:9")[0]
    assert each.probabilities["yes"] == pytest.approx(samples[7].probabilities["yes"], abs=1e-7)
    assert each.input == "patients.csv:9"


def test_preprocessing_travels_in_json_and_the_recipe_holds_what_was_asked(run: Path) -> None:
    config = json.loads((run / "model.json").read_text(encoding="utf-8"))
    by_name = {column["name"]: column for column in config["preprocess"]["columns"]}
    assert by_name["pressure"]["blanks"] > 0 and by_name["pressure"]["low"] > 50
    assert "columns" not in (run / "recipe.yaml").read_text(encoding="utf-8")


def test_rows_as_python_values_are_answered(run: Path) -> None:
    old, young = load(run).predict(
        {"age": 85, "sex": "M", "pressure": 165, "site": "a"}, {"age": 25, "sex": "M", "pressure": None, "site": "a"}
    )
    assert old.probabilities["yes"] > 0.9 > 0.2 > young.probabilities["yes"]


@pytest.mark.parametrize(
    ("changed", "said", "abstains"),
    [
        ({"pressure": 9999}, "pressure = 9999 lies", True),
        ({"age": None, "sex": "", "pressure": 0, "site": "NA"}, "every value is missing", True),
        ({"sex": "X"}, "no row with this sex", None),
    ],
)
def test_absurd_rows_abstain_and_unknown_levels_are_said(
    run: Path, changed: dict, said: str, abstains: bool | None
) -> None:
    (answer,) = load(run).predict({"age": 60.0, "sex": "M", "pressure": 130, "site": "a"} | changed)
    assert said in answer.reason
    if abstains:
        assert answer.abstain and answer.answer is None


def test_a_row_that_lacks_a_column_is_refused(run: Path) -> None:
    with pytest.raises(DataError, match="no column 'pressure'"):
        load(run).predict({"age": 60, "sex": "M", "site": "a"})


def test_evaluate_refuses_rows_it_was_trained_on_and_judges_new_ones(run: Path, patients: Path, tmp_path: Path) -> None:
    with pytest.raises(LeakError, match="were used to train"):
        suwen.evaluate(run, patients, resamples=20, quiet=True)
    new = write(tmp_path / "new.csv", 200, seed=1)
    found = suwen.evaluate(run, new, resamples=20, out=tmp_path / "report", quiet=True)
    assert found["splits"]["test"]["metrics"]["auroc"]["value"] > 0.8 and found["splits"]["test"]["n"] == 200
    assert "rows" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_explain_ranks_columns_and_their_points_add_up(run: Path, patients: Path, tmp_path: Path) -> None:
    found = load(run).explain(
        {"age": 85, "sex": "M", "pressure": 165, "site": "a"}, out=tmp_path / "why.png", faithfulness=True
    )
    assert found.method == "tree-shap" and found.label == "yes" and found.points
    assert [share.column for share in found.ranked[:2]] == ["age", "pressure"] and found.ranked[0].value == "85"
    line = found.to_json()
    total = sum(share["points"] for share in line["ranked"]) / 100
    assert total == pytest.approx(line["probability"] - line["start"], abs=1e-4)
    assert found.faithfulness["gain"] > found.faithfulness["random_gain"]
    assert (tmp_path / "why.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(DataError, match="400 rows"):
        load(run).explain(patients)


def test_the_command_prints_points_of_probability(run: Path, patients: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["explain", str(run), f"{patients}:5", "--out", str(tmp_path / "w.png")])
    assert done.exit_code == 0, done.output
    assert "age = " in done.output and " points" in done.output and "from 0." in done.output


@pytest.mark.parametrize(("head", "method"), [("logistic", "linear-shap"), ("trees", "tree-shap")])
def test_other_heads_go_the_same_way(patients: Path, tmp_path: Path, head: str, method: str) -> None:
    grown = ("head.options={bags: 1, depth: 2, rounds: 30}",) if head == "trees" else ()
    made = ("evaluation.resamples=0", TARGET, *grown)
    model = suwen.finetune("table-risk", patients, head=head, set=made, out=tmp_path / head, quiet=True)
    row = {"age": 85, "sex": "M", "pressure": 165, "site": "a"}
    found = load(tmp_path / head).explain(row, faithfulness=False)
    assert found.method == method and found.ranked[0].column == "age"
    assert load(tmp_path / head).predict(row)[0].probabilities == model.predict(row)[0].probabilities


@pytest.mark.parametrize("encoder", ["suwen:table", "suwen:tabular-transformer"])
def test_a_head_that_learns_step_by_step_learns_too(patients: Path, tmp_path: Path, encoder: str) -> None:
    options = ("encoder.options={width: 16, heads: 2, layers: 1}",) if encoder.endswith("former") else ()
    settings = ("evaluation.resamples=0", "training.steps=150", "training.learning_rate=5e-3", TARGET, *options)
    suwen.finetune(
        "table-risk", patients, head="classify", encoder=encoder, set=settings, out=tmp_path / "run", quiet=True
    )
    found = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert found["splits"]["test"]["metrics"]["auroc"]["value"] > 0.8


def test_the_temperature_is_fitted_on_training_rows_too(run: Path, patients: Path) -> None:
    """Each answered by a fit that did not see it: with these, the temperature does not hang on 60 rows."""
    temperature = load(run).calibration.temperature
    assert 0.5 < temperature < 2.0
