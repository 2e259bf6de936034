"""What an answer rests on, as the user gets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import suwen
from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.registry import EXPLANATIONS
from suwen.explanation.methods import method_of
from suwen.verbs.explaining import warning_of


def test_it_points_at_the_disc(run: Path, films: Path) -> None:
    model = suwen.load(run)
    inside = []
    for file in sorted((films / "test" / "disc").glob("*.png")):
        heat = model.explain(file, method="grad-cam", label="disc").attribution
        assert heat.shape == (32, 32) and heat.min() >= 0 and heat.max() <= 1
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        inside.append(row < 18 and column < 18)
    assert np.mean(inside) > 0.7  # discs lie in the upper left; a random map would hit there a third of the time


def test_the_png_shows_the_film_beside_the_heat_map(run: Path, films: Path, tmp_path: Path) -> None:
    found = suwen.explain(run, str(films / "test" / "disc" / "000.png"), out=tmp_path / "why.png")
    with Image.open(tmp_path / "why.png") as sheet:
        assert sheet.size == (2 * 224 + 8, 224)
    best = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["explanations"]["best"]
    assert found.label == found.prediction.answer and found.method == best


def test_unknown_names_are_refused(run: Path, films: Path) -> None:
    file = films / "test" / "disc" / "000.png"
    with pytest.raises(NameUnknown, match="disc"):
        suwen.explain(run, file, label="disk")
    with pytest.raises(NameUnknown, match="grad-cam"):
        suwen.explain(run, file, method="gradcam")


@pytest.mark.parametrize(
    "method", ["integrated-gradients", "blur-ig", "smooth-grad", "occlusion", "lime", "kernel-shap"]
)
def test_every_method_finds_the_disc(run: Path, films: Path, method: str) -> None:
    model = suwen.load(run)
    inside = []
    for file in sorted((films / "test" / "disc").glob("*.png"))[:6]:
        heat = model.explain(file, method=method, label="disc", faithfulness=False).attribution
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        inside.append(row < 18 and column < 18)
    assert np.mean(inside) > 0.6  # a random map would hit there a third of the time


def test_settings_reach_the_method_and_are_told(run: Path, films: Path) -> None:
    file = films / "test" / "disc" / "000.png"
    found = suwen.explain(run, file, method="lime", samples=40, set=["segments=grid", "count=16"], seed=3)
    assert {"samples": 40, "segments": "grid", "count": 16, "seed": 3}.items() <= found.settings.items()
    assert found.signed and len(np.unique(found.attribution)) <= 16 and found.seconds > 0
    with pytest.raises(NameUnknown, match="segments"):
        suwen.explain(run, file, method="lime", set=["segment=grid"])
    with pytest.raises(RecipeError, match="samples = 10 for"):
        suwen.explain(run, file, method="kernel-shap", samples=10)


def test_a_random_map_stands_beside(run: Path, films: Path) -> None:
    found = suwen.explain(run, films / "test" / "disc" / "000.png", method="occlusion", label="disc").faithfulness
    assert found["gain"] is not None and found["random_gain"] is not None and found["gain"] > found["random_gain"]
    assert not suwen.explain(run, films / "test" / "disc" / "000.png", faithfulness=False).faithfulness


def test_best_is_the_one_that_the_run_measured(run: Path, films: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["explanations"]
    gains = {name: figures["gain"]["value"] for name, figures in metrics["methods"].items() if figures["sanity"] <= 0.5}
    assert metrics["best"] == max(gains, key=gains.__getitem__)
    assert set(metrics["skipped"]) == {"attention-rollout"}
    file = films / "test" / "disc" / "000.png"
    assert suwen.load(run).explain(file, method="best", faithfulness=False).method == metrics["best"]
    assert metrics["best"] in (run / "report.html").read_text(encoding="utf-8")


def test_best_of_a_model_that_measured_nothing_asks_for_examples(run: Path, films: Path) -> None:
    model = suwen.load(run)
    model.card.pop("explanations")
    file = films / "test" / "disc" / "000.png"
    with pytest.raises(RecipeError, match="--examples FOLDER"):
        model.explain(file, method="best")
    found = model.explain(file, method="best", examples=films / "val", faithfulness=False)
    assert found.method in EXPLANATIONS and found.examples
    assert model.card.get("explanations") is None


def test_the_nearest_examples_have_another_answer(run: Path, films: Path, tmp_path: Path) -> None:
    file = films / "test" / "disc" / "000.png"
    found = suwen.explain(
        run, file, method="counterfactual", label="disc", examples=films / "val", out=tmp_path / "why.png"
    )
    assert [one.answer for one in found.examples] == ["clear"] * 3
    assert [one.distance for one in found.examples] == sorted(one.distance for one in found.examples)
    row, column = np.unravel_index(found.attribution.argmax(), found.attribution.shape)
    assert row < 18 and column < 18
    with Image.open(tmp_path / "why.png") as sheet:
        assert sheet.size == (3 * 224 + 2 * 8, 224)
    json.dumps(found.to_json(), allow_nan=False)
    with pytest.raises(RecipeError, match="--examples FOLDER"):
        suwen.explain(run, file, method="counterfactual")


def test_all_that_fit_are_compared_on_this_film(run: Path, films: Path, tmp_path: Path) -> None:
    file = films / "test" / "disc" / "000.png"
    found = suwen.explain(run, file, method="all", samples=70, out=tmp_path / "why.png")
    every = [found, *found.others]
    names = {one.method for one in every}
    of_images = {name for name in EXPLANATIONS.names() if method_of(name).fits("images")}
    assert names == of_images - {"attention-rollout", "counterfactual"}
    gains = [one.faithfulness["gain"] or 0.0 for one in every]
    assert gains == sorted(gains, reverse=True)
    with Image.open(tmp_path / "why.png") as sheet:
        assert sheet.width == (1 + len(names)) * 224 + len(names) * 8  # the film first


def test_a_method_that_does_not_fit_names_one_that_does(run: Path, films: Path) -> None:
    with pytest.raises(RecipeError, match="--method occlusion"):
        suwen.explain(run, films / "test" / "disc" / "000.png", method="attention-rollout")
    with pytest.raises(NameUnknown, match="kernel-shap"):
        suwen.explain(run, films / "test" / "disc" / "000.png", method="kernelshap")


def test_a_constant_film_is_explained_by_nothing(run: Path) -> None:
    found = suwen.explain(run, np.full((32, 32), 90, np.uint8), method="occlusion")
    assert np.abs(found.attribution).max() < 1e-4


def test_where_no_method_beats_a_random_map_it_is_said() -> None:
    assert warning_of({}) is None and warning_of({"beats_random": True, "methods": {"lime": {}}}) is None
    said = warning_of({"beats_random": False, "methods": {"lime": {}}, "examples": 6})
    assert said is not None and "random map" in said
    nothing = warning_of({"beats_random": False, "methods": {}, "examples": 0})
    assert nothing is not None and "Do not rely" in nothing
