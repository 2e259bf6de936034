"""A fine-tuning from files to a Run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.numpy import load_file

import suwen
from suwen.core.errors import DataError, LeakError, NameUnknown, RecipeError, RunError
from suwen.verbs.finetune import full_recipe


def metrics_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


def test_a_run_holds_what_the_design_promises(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names >= {"recipe.yaml", "model.safetensors", "model.json", "metrics.json", "report.html", "log.jsonl"}
    assert any(name.startswith("events.") for name in names)
    found = metrics_of(run)
    assert list(found) == ["task", "seed", "splits", "baselines", "training", "data", "versions", "explanations"]
    assert set(found["splits"]) == {"val", "test"} and set(found["baselines"]) == {"majority", "logistic-pixels"}
    said = {"seconds", "samples_per_second", "epochs", "best_epoch", "device", "precision", "compiled"}
    assert found["training"].keys() == said
    auroc = found["splits"]["test"]["metrics"]["auroc"]
    assert auroc["low"] <= auroc["value"] <= auroc["high"]


def test_it_learns_what_is_to_be_learned(run: Path) -> None:
    assert metrics_of(run)["splits"]["test"]["metrics"]["auroc"]["value"] > 0.95
    assert metrics_of(run)["baselines"]["majority"]["test"]["metrics"]["auroc"]["value"] == 0.5


def test_the_recipe_in_a_run_trains_the_same_run_again(run: Path, tmp_path: Path) -> None:
    suwen.finetune(recipe=run / "recipe.yaml", out=tmp_path / "again", quiet=True)
    first, second = load_file(run / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert metrics_of(run)["splits"] == metrics_of(tmp_path / "again")["splits"]


def test_an_npz_and_the_same_images_as_folders_give_the_same_weights(run: Path, films: Path, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {}
    for split in ("train", "val", "test"):
        files = sorted((films / split).rglob("*.png"), key=lambda path: path.name)
        arrays[f"{split}_images"] = np.stack([np.asarray(Image.open(path)) for path in files])
        arrays[f"{split}_labels"] = np.array([[int(path.parent.name == "disc")] for path in files], np.uint8)
    np.savez(tmp_path / "films.npz", **arrays)
    (tmp_path / "folders").mkdir()
    for split in ("train", "val", "test"):
        for number, label in enumerate(("clear", "disc")):
            target = tmp_path / "folders" / split / str(number)
            target.parent.mkdir(exist_ok=True)
            shutil.copytree(films / split / label, target)
    for name in ("films.npz", "folders"):
        suwen.finetune(recipe=run / "recipe.yaml", data=tmp_path / name, out=tmp_path / f"run-{name}", quiet=True)
    first = load_file(tmp_path / "run-films.npz" / "model.safetensors")
    second = load_file(tmp_path / "run-folders" / "model.safetensors")
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert metrics_of(tmp_path / "run-films.npz")["splits"] == metrics_of(tmp_path / "run-folders")["splits"]


def test_a_finished_run_is_not_trained_over(run: Path, films: Path) -> None:
    with pytest.raises(RunError, match="finished Run") as refused:
        suwen.finetune("image-classification", films, out=run, quiet=True)
    assert "--overwrite" in refused.value.fix


def test_a_folder_with_other_files_is_refused(films: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(RunError, match="other files"):
        suwen.finetune("image-classification", films, out=tmp_path, overwrite=True, quiet=True)
    assert (tmp_path / "thesis.docx").read_text() == "years of work"


def test_an_unfinished_run_of_other_settings_is_refused(run: Path, films: Path, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "recipe.yaml").write_text((run / "recipe.yaml").read_text())
    with pytest.raises(RunError, match="unfinished Run with other settings"):
        suwen.finetune("image-classification", films, seed=3, out=tmp_path / "half", quiet=True)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_training_goes_on_to_the_same_weights(run: Path, tmp_path: Path, sign: signal.Signals) -> None:
    out = tmp_path / "stopped"
    again = ["--recipe", str(run / "recipe.yaml"), "--set", "training.checkpoint_seconds=0", "--out", str(out)]
    command = [sys.executable, "-m", "suwen", "finetune", *again]
    process = subprocess.Popen(
        command, env=os.environ | {"COLUMNS": "200"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 120
    while not (out / "log.jsonl").is_file() or len((out / "log.jsonl").read_text().splitlines()) < 1:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)
    process.send_signal(sign)
    _, said = process.communicate(timeout=60)
    assert not (out / "model.json").is_file()
    if sign == signal.SIGINT:
        assert process.returncode == 130 and b"goes on from the last checkpoint" in said
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    whole, resumed = load_file(run / "model.safetensors"), load_file(out / "model.safetensors")
    assert all(np.array_equal(whole[key], resumed[key]) for key in whole)
    epochs = [json.loads(line)["epoch"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, 13))


def test_settings_override_one_another_in_the_stated_order(tmp_path: Path) -> None:
    file = {"task": "image-classification", "training": {"epochs": 3, "batch_size": 8}, "seed": 5}
    recipe = full_recipe(file, {"training": {"epochs": 4}}, {"training": {"epochs": 7}})
    assert (recipe.training.epochs, recipe.training.batch_size, recipe.seed) == (7, 8, 5)
    assert full_recipe(yaml.safe_load(recipe.to_yaml())) == recipe


@pytest.mark.parametrize(
    ("keywords", "error", "says"),
    [
        ({"task": "image-clasification"}, NameUnknown, "image-classification"),
        ({"encoder": "timm:resnet81"}, NameUnknown, "resnet"),
        ({"encoder": "resnet18"}, RecipeError, "timm:resnet18"),
        ({"set": ["training.epoch=3"]}, RecipeError, "epochs"),
        ({"set": ["training.epochs=0"]}, RecipeError, "greater than or equal to 1"),
        ({"set": ["inputs.sise=28"]}, RecipeError, "size"),
        ({"set": ["augment={afine: {}}"]}, NameUnknown, "affine"),
        ({"positive": "malignant"}, RecipeError, "clear, disc"),
        ({"precision": "fp8"}, RecipeError, "bf16"),
    ],
)
def test_impossible_settings_say_what_is_possible(
    films: Path, tmp_path: Path, keywords: dict[str, Any], error: type[Exception], says: str
) -> None:
    asked = {"task": "image-classification", "encoder": "timm:test_resnet"} | keywords
    with pytest.raises(error, match=says):
        suwen.finetune(asked.pop("task"), films, out=tmp_path / "run", quiet=True, **asked)


def test_without_data_it_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="suwen finetune TASK DATA"):
        suwen.finetune("image-classification", out=tmp_path / "run", quiet=True)


def test_an_image_of_the_test_split_in_training_stops_everything(films: Path, tmp_path: Path) -> None:
    leaky = tmp_path / "leaky"
    for part in ("train", "val", "test"):
        for label in ("clear", "disc"):
            (leaky / part / label).mkdir(parents=True)
            for file in (films / part / label).iterdir():
                (leaky / part / label / file.name).write_bytes(file.read_bytes())
    (leaky / "train" / "disc" / "copied.png").write_bytes((leaky / "test" / "disc" / "000.png").read_bytes())
    settings = {"encoder": "timm:test_resnet", "set": ("training.epochs=1", "evaluation.resamples=20"), "quiet": True}
    with pytest.raises(LeakError, match=r"000\.png") as refused:
        suwen.finetune("image-classification", leaky, out=tmp_path / "run", **settings)
    assert "--allow-leak" in refused.value.fix
    suwen.finetune("image-classification", leaky, out=tmp_path / "run2", allow_leak=True, **settings)
    page = (tmp_path / "run2" / "report.html").read_text()
    assert "leak" in page.lower()[: page.lower().index("<h2")]


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "one" / "disc").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 32), number, np.uint8)).save(tmp_path / "one" / "disc" / f"{number}.png")
    with pytest.raises(DataError, match="disc"):
        suwen.finetune("image-classification", tmp_path / "one", out=tmp_path / "run", quiet=True)


def test_a_frozen_encoder_of_another_run_stays_as_it_was(run: Path, films: Path, tmp_path: Path) -> None:
    settings = ("training.epochs=1", "evaluation.resamples=20")
    suwen.finetune(
        "image-classification",
        films,
        encoder=f"run:{run}",
        adapt="head",
        set=settings,
        out=tmp_path / "head",
        quiet=True,
    )
    before, after = load_file(run / "model.safetensors"), load_file(tmp_path / "head" / "model.safetensors")
    assert all(np.array_equal(before[key], after[key]) for key in before if key.startswith("encoder."))
    assert not np.array_equal(before["head.linear.weight"], after["head.linear.weight"])
    config = json.loads((tmp_path / "head" / "model.json").read_text())
    assert config["encoder"]["name"] == "timm:test_resnet"


def test_several_labels_an_image(films: Path, tmp_path: Path) -> None:
    rows = ["path,label,subject,sex"]
    for part in ("train", "val", "test"):
        for label in ("clear", "disc"):
            for number, file in enumerate(sorted((films / part / label).iterdir())):
                labels = {"clear": "implant" if number % 2 else "", "disc": "disc|implant" if number % 2 else "disc"}[
                    label
                ]
                rows.append(f"{file},{labels},{part}{label}{number},{'fm'[number % 2]}")
    (tmp_path / "set.csv").write_text("\n".join(row for row in rows if ",," not in row))
    settings = ("training.epochs=2", "evaluation.resamples=20")
    model = suwen.finetune(
        "image-classification",
        tmp_path / "set.csv",
        encoder="timm:test_resnet",
        by=["sex"],
        set=settings,
        out=tmp_path / "run",
        quiet=True,
    )
    (answer,) = model.predict(films / "test" / "disc" / "000.png")
    assert isinstance(answer.answer, list) and set(answer.probabilities) == {"disc", "implant"}
    assert set(metrics_of(tmp_path / "run")["splits"]["test"]["subgroups"]["sex"]["groups"]) == {"f", "m"}
