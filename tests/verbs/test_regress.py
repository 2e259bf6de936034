from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

import suwen
from suwen.core.errors import DataError
from suwen.evaluation.intervals import bootstrap
from suwen.evaluation.metrics import measure
from suwen.evaluation.number_outcome import NUMBER_METRICS, NumberOutcome
from suwen.evaluation.number_sections import limits_of_agreement

TINY = ("training.epochs=10", "training.batch_size=16", "training.learning_rate=3e-3", "evaluation.resamples=50")


def write_discs(root: Path, count: int, *, bad: str | None = None) -> Path:
    """Grey images with a bright disc each, whose radius is the number to be told."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True)
    rows, columns = np.mgrid[:32, :32]
    with (root / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "site"])
        for number in range(count):
            radius = rng.uniform(3, 11)
            y, x = rng.uniform(12, 20, 2)
            image = rng.normal(80, 8, (32, 32)) + 110 * ((rows - y) ** 2 + (columns - x) ** 2 < radius**2)
            Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(root / f"{number:03d}.png")
            value = bad if bad is not None and number == 3 else f"{radius * 10:.3f}"
            writer.writerow([f"{number:03d}.png", value, "north" if number % 2 else "south"])
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("discs")
    data = write_discs(root / "data", 200)
    suwen.finetune(
        "image-regression", data, encoder="timm:test_resnet", set=TINY, by=["site"], out=root / "run", quiet=True
    )
    return root / "run"


def test_a_radius_is_told_better_than_by_the_mean_or_by_pixels(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    test = metrics["splits"]["test"]["metrics"]
    assert test["mae"]["value"] < 0.6 * metrics["baselines"]["mean"]["test"]["metrics"]["mae"]["value"]
    assert test["r2"]["value"] > 0.6 and abs(metrics["baselines"]["mean"]["test"]["metrics"]["r2"]["value"]) < 0.3
    assert test["mae"]["low"] <= test["mae"]["value"] <= test["mae"]["high"]
    assert set(metrics["splits"]["test"]["subgroups"]["site"]["groups"]) == {"north", "south"}
    page = (run / "report.html").read_text()
    assert "The model says value with Mean absolute error" in page and "limits of agreement" in page


def test_an_answer_is_a_number_with_an_interval(run: Path) -> None:
    data = run.parent / "data"
    (answer,) = suwen.predict(run, data / "004.png")
    assert isinstance(answer.answer, float) and answer.interval is not None
    low, high = answer.interval
    assert low < answer.answer < high and answer.to_json()["interval"] == [round(low, 6), round(high, 6)]


def test_a_number_is_explained_and_judged_elsewhere(run: Path, tmp_path: Path) -> None:
    found = suwen.explain(run, run.parent / "data" / "004.png", out=tmp_path / "why.png")
    assert found.label == "value" and (tmp_path / "why.png").is_file()
    figures = suwen.evaluate(run, run.parent / "data", allow_leak=True, quiet=True, out=tmp_path / "report")
    assert figures["splits"]["test"]["n"] == 200 and (tmp_path / "report" / "report.html").is_file()


@pytest.mark.parametrize("bad", ["tall", "nan", "inf"])
def test_a_label_that_is_no_number_is_named(tmp_path: Path, bad: str) -> None:
    data = write_discs(tmp_path / "data", 8, bad=bad)
    with pytest.raises(DataError, match=r"row 5|003\.png has the label"):
        suwen.finetune("image-regression", data, out=tmp_path / "run", quiet=True)


def test_one_number_throughout_teaches_nothing(tmp_path: Path) -> None:
    data = write_discs(tmp_path / "data", 12)
    text = (data / "manifest.csv").read_text().splitlines()
    fixed = [text[0], *(",".join([line.split(",")[0], "7", "x"]) for line in text[1:])]
    (data / "manifest.csv").write_text("\n".join(fixed) + "\n")
    with pytest.raises(DataError, match="training images have the number 7"):
        suwen.finetune("image-regression", data, out=tmp_path / "run", quiet=True)


def test_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(50, 10, 40)
    said = true + rng.normal(1, 4, 40)
    names = np.array([f"s{number // 2}" for number in range(40)])
    outcome = NumberOutcome(ids=np.arange(40).astype(str), subjects=names, target=true, said=said)
    found = measure(outcome, NUMBER_METRICS)
    assert np.isclose(found["mae"], mean_absolute_error(true, said))
    assert np.isclose(found["rmse"], mean_squared_error(true, said) ** 0.5)
    assert np.isclose(found["r2"], r2_score(true, said)) and np.isclose(found["bias"], (said - true).mean())
    drawn = bootstrap(outcome, NUMBER_METRICS, resamples=200)
    assert all(each["low"] <= each["value"] <= each["high"] for each in drawn.values())
    low, high = limits_of_agreement(outcome)
    assert np.isclose((low + high) / 2, (said - true).mean()) and np.isclose(
        high - low, 3.92 * (said - true).std(ddof=1)
    )
