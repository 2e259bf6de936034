"""Fine-tuning at a second site: what is kept of the first, and what the report says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import suwen
from suwen.core.errors import LeakError, RecipeError

SHORT = ("training.epochs=2", "training.batch_size=16", "evaluation.resamples=20")


def write_site(root: Path, *, per_class: int = 12, seed: int = 9, labels: tuple[str, str] = ("clear", "disc")) -> Path:
    """Films of another scanner: darker, and the disc is in the lower right."""
    rng = np.random.default_rng(seed)
    for split, share in (("train", 1.0), ("val", 0.5), ("test", 0.5)):
        for label in labels:
            (root / split / label).mkdir(parents=True)
            for number in range(int(per_class * share)):
                image = rng.normal(60, 20, (32, 32))
                if label == labels[1]:
                    image[20:26, 20:26] += 70
                Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(
                    root / split / label / f"{number:03d}.png"
                )
    return root


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(tmp_path_factory.mktemp("second"))


def train(second: Path, out: Path, **options: Any) -> dict[str, Any]:
    settings = (*SHORT, *options.pop("set", ()))
    suwen.finetune("image-classification", second, set=settings, out=out, quiet=True, **options)
    found: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return found


@pytest.mark.parametrize("keep", ["plain", "l2sp", "ewc", "rehearsal"])
def test_the_first_sites_figures_stand_before_and_after(
    keep: str, run: Path, films: Path, second: Path, tmp_path: Path
) -> None:
    metrics = train(second, tmp_path / "run", encoder=f"run:{run}", keep=keep, also=films)
    first = metrics["first"]
    own = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    assert first["n"] == own["n"] and first["keep"] == keep
    for name, figure in own["metrics"].items():
        assert first["before"][name]["value"] == pytest.approx(figure["value"]), name
    change, before, after = (first[when]["auroc"] for when in ("change", "before", "after"))
    assert change["value"] == pytest.approx(after["value"] - before["value"])
    assert change["low"] <= change["value"] <= change["high"]
    answers = suwen.load(tmp_path / "run").predict(films / "test")
    refused = np.mean([answer.reason.startswith("unlike the training data") for answer in answers])
    assert first["refused"]["after"] == pytest.approx(refused)
    judged = suwen.evaluate(tmp_path / "run", films, resamples=0, quiet=True)["splits"]["test"]["metrics"]
    assert after["value"] == pytest.approx(judged["auroc"]["value"])
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert 'id="first"' in page and "before and after" in page
    trained = sum(metrics["data"]["counts"]["train"].values())
    assert trained == 24 + (80 if keep == "rehearsal" else 0)


def test_a_share_of_the_first_sites_subjects_is_rehearsed(run: Path, films: Path, second: Path, tmp_path: Path) -> None:
    options = {"encoder": f"run:{run}", "keep": "rehearsal", "also": films}
    metrics = train(second, tmp_path / "run", set=["first.share=0.25"], **options)
    assert sum(metrics["data"]["counts"]["train"].values()) == 24 + 20


def test_fisher_information_travels_instead_of_the_data(films: Path, second: Path, tmp_path: Path) -> None:
    settings = (*SHORT, "evaluation.fisher=20")
    here = tmp_path / "here"
    suwen.finetune("image-classification", films, encoder="timm:test_resnet", set=settings, out=here, quiet=True)
    stored = load_file(here / "fisher.safetensors")
    weights = load_file(here / "model.safetensors")
    assert all(array.shape == weights[name].shape for name, array in stored.items())
    assert all((array >= 0).all() for array in stored.values())
    metrics = train(second, tmp_path / "there", encoder=f"run:{here}", keep="ewc")
    assert "first" not in metrics


def test_ewc_without_data_and_without_fisher_information_says_where_to_get_it(
    run: Path, second: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="fisher") as refused:
        train(second, tmp_path / "run", encoder=f"run:{run}", keep="ewc")
    assert "--also" in refused.value.fix and "evaluation.fisher" in refused.value.fix


def test_rehearsal_needs_the_data(run: Path, second: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="without the first site's data") as refused:
        train(second, tmp_path / "run", encoder=f"run:{run}", keep="rehearsal")
    assert "ewc" in refused.value.fix


def test_only_a_runs_knowledge_can_be_kept(second: Path, films: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="run:"):
        train(second, tmp_path / "run", encoder="timm:test_resnet", keep="l2sp")
    with pytest.raises(RecipeError, match="run:"):
        train(second, tmp_path / "run", encoder="timm:test_resnet", also=films)


def test_figures_before_and_after_need_the_same_labels(run: Path, films: Path, tmp_path: Path) -> None:
    other = write_site(tmp_path / "other", labels=("ball", "box"))
    with pytest.raises(RecipeError, match="ball, box"):
        train(other, tmp_path / "run", encoder=f"run:{run}", also=films)
    metrics = train(other, tmp_path / "run2", encoder=f"run:{run}", keep="l2sp")
    assert set(metrics["data"]["counts"]["train"]) == {"ball", "box"}


def test_first_site_images_that_trained_it_are_no_test(run: Path, films: Path, second: Path, tmp_path: Path) -> None:
    swapped = tmp_path / "swapped"
    for here, there in (("train", "test"), ("test", "train"), ("val", "val")):
        for label in ("clear", "disc"):
            (swapped / there).mkdir(parents=True, exist_ok=True)
            (swapped / there / label).symlink_to(films / here / label)
    with pytest.raises(LeakError, match="80 of 80 test images"):
        train(second, tmp_path / "run", encoder=f"run:{run}", also=swapped)


def test_a_first_test_image_among_the_new_training_images_is_a_leak(
    run: Path, films: Path, second: Path, tmp_path: Path
) -> None:
    mixed = write_site(tmp_path / "mixed")
    (mixed / "train" / "disc" / "borrowed.png").write_bytes((films / "test" / "disc" / "000.png").read_bytes())
    with pytest.raises(LeakError, match="1 of 40 test images"):
        train(mixed, tmp_path / "run", encoder=f"run:{run}", also=films)


def test_a_penalty_takes_the_place_of_weight_decay_unless_that_is_named(
    run: Path, second: Path, tmp_path: Path
) -> None:
    train(second, tmp_path / "run", encoder=f"run:{run}", keep="l2sp")
    assert "weight_decay: 0.0" in (tmp_path / "run" / "recipe.yaml").read_text()
    train(second, tmp_path / "run2", encoder=f"run:{run}", keep="l2sp", set=["training.weight_decay=0.1"])
    assert "weight_decay: 0.1" in (tmp_path / "run2" / "recipe.yaml").read_text()


def test_its_recipe_trains_the_same_run_again(run: Path, films: Path, second: Path, tmp_path: Path) -> None:
    train(second, tmp_path / "run", encoder=f"run:{run}", keep="ewc", also=films)
    suwen.finetune(recipe=tmp_path / "run" / "recipe.yaml", out=tmp_path / "again", quiet=True)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("run", "again"))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_patient_of_both_sites_is_no_first_site_test(run: Path, tmp_path: Path) -> None:
    """Known by the subject, though the images differ."""
    for site, seed in (("one", 1), ("two", 2)):
        rng = np.random.default_rng(seed)
        rows = ["path,label,subject"]
        (tmp_path / site).mkdir()
        for number in range(40):
            Image.fromarray(rng.integers(0, 256, (32, 32), np.uint8)).save(tmp_path / site / f"{number}.png")
            rows.append(f"{number}.png,{('clear', 'disc')[number % 2]},P{number}")
        (tmp_path / site / "set.csv").write_text("\n".join(rows))
    first = tmp_path / "first"
    train(tmp_path / "one" / "set.csv", first, encoder="timm:test_resnet")
    options = {"encoder": f"run:{first}", "also": tmp_path / "one" / "set.csv", "set": ["seed=3"]}
    with pytest.raises(LeakError, match="the people they show") as refused:
        train(tmp_path / "two" / "set.csv", tmp_path / "run", **options)
    assert "put the site before the subject" in refused.value.fix
