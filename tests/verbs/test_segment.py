from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import suwen
from suwen.core.errors import DataError, FileUnreadable, LeakError, NameUnknown

TINY = (
    "inputs.patch=[32, 32]",
    "encoder.options={widths: [8, 16]}",
    "training.steps=40",
    "training.batch_size=8",
    "training.patches=4",
    "training.evaluate_every=2",
    "evaluation.resamples=50",
)


def write_cells(root: Path, count: int, seed: int = 0) -> Path:
    """Grey images of several sizes with bright squares, and their masks."""
    rng = np.random.default_rng(seed)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        mask = np.zeros((40 + 4 * (number % 5), 56), np.uint8)
        for _ in range(2):
            top, left = rng.integers(2, 28), rng.integers(2, 44)
            mask[top : top + 9, left : left + 9] = 255
        image = np.clip(rng.normal(80, 10, mask.shape) + 90 * (mask > 0), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"{number:02d}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number:02d}.png")
    (root / "labels.json").write_text('{"cell": 255}')
    return root


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cells(tmp_path_factory.mktemp("cells"), 20)


@pytest.fixture(scope="module")
def drawn(cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "cells"
    suwen.finetune("image-segmentation", cells, set=TINY, out=out, quiet=True)
    return out


def test_cells_are_learned_and_every_figure_stands_beside_its_baselines(drawn: Path) -> None:
    metrics = json.loads((drawn / "metrics.json").read_text())
    test = metrics["splits"]["test"]
    assert test["metrics"]["dice"]["value"] > 0.85
    assert test["metrics"]["dice"]["low"] <= test["metrics"]["dice"]["value"] <= test["metrics"]["dice"]["high"]
    assert set(test["labels"]) == {"cell"} and test["labels"]["cell"]["shown"] == test["n"]
    assert set(metrics["baselines"]) == {"otsu", "largest-class", "atlas"}
    assert (
        metrics["baselines"]["otsu"]["test"]["metrics"]["dice"]["value"] > 0.9
    )  # bright squares: Otsu is hard to beat
    assert metrics["data"]["counts"]["train"] == {"background": 14, "cell": 14}
    unsure = test["uncertainty"]
    assert unsure["pixels"] > 100 and 0 <= unsure["metrics"]["ece"]["value"] < 0.5
    assert unsure["metrics"]["error_auroc"]["value"] > 0.5


def test_the_report_shows_the_worst_and_the_best(drawn: Path) -> None:
    page = (drawn / "report.html").read_text()
    for words in (
        "The model draws cell with Dice",
        "Worst, median and best",
        "Part by part",
        "Otsu&#39;s threshold",
        "come true?",
    ):
        assert words in page


def test_a_loaded_run_draws_what_the_model_drew(drawn: Path, cells: Path) -> None:
    first, again = (suwen.load(drawn).predict(cells / "images" / "03.png")[0] for _ in range(2))
    assert first.answer == again.answer and first.answer["cell"]["size"] > 0
    assert first.model.startswith("cells@") and first.task == "image-segmentation"
    assert first.to_json()["answer"] == first.answer


def test_a_size_that_was_never_seen_is_drawn_at_its_own(drawn: Path, tmp_path: Path) -> None:
    (cells,) = [write_cells(tmp_path, 1, seed=5)]
    image = np.asarray(Image.open(cells / "images" / "00.png"))
    large = np.tile(image, (3, 2))
    one, many = suwen.load(drawn).predict(image, large)
    assert many.answer["cell"]["size"] > 4 * one.answer["cell"]["size"] > 0


def test_evaluate_on_other_images_and_not_on_those_that_were_seen(drawn: Path, cells: Path, tmp_path: Path) -> None:
    other = write_cells(tmp_path / "other", 6, seed=7)
    figures = suwen.evaluate(drawn, other, out=tmp_path / "report", quiet=True)
    assert figures["splits"]["test"]["n"] == 6 and figures["splits"]["test"]["metrics"]["dice"]["value"] > 0.8
    assert (tmp_path / "report" / "report.html").is_file()
    with pytest.raises(LeakError, match="used to train or choose"):
        suwen.evaluate(drawn, cells, quiet=True)


def test_a_damaged_image_is_an_error_or_an_abstention(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 40)
    with pytest.raises(FileUnreadable, match=r"bad\.png"):
        suwen.predict(drawn, tmp_path / "bad.png")
    (answer,) = suwen.predict(drawn, tmp_path / "bad.png", skip_bad=True)
    assert answer.abstain and answer.answer is None and "unreadable" in answer.reason


def test_masks_without_any_label_are_no_training_set(tmp_path: Path) -> None:
    cells = write_cells(tmp_path, 10)
    for file in (cells / "masks").iterdir():
        Image.fromarray(np.zeros_like(np.asarray(Image.open(file)))).save(file)
    with pytest.raises(DataError, match="background alone"):
        suwen.finetune("image-segmentation", cells, set=TINY, out=tmp_path / "run", quiet=True)


def test_the_same_seed_gives_the_same_weights(cells: Path, tmp_path: Path) -> None:
    short = (*TINY, "training.steps=null", "training.epochs=2")
    first, again = (
        suwen.finetune("image-segmentation", cells, set=short, out=tmp_path / name, quiet=True) for name in "ab"
    )
    assert first.name.partition("@")[2] == again.name.partition("@")[2]


def test_a_base_run_is_gone_on_from(drawn: Path, tmp_path: Path) -> None:
    other = write_cells(tmp_path / "other", 12, seed=9)
    short = (*(each for each in TINY if "widths" not in each), "training.steps=null", "training.epochs=2")
    model = suwen.finetune(
        "image-segmentation", other, encoder=f"run:{drawn}", set=short, out=tmp_path / "next", quiet=True
    )
    assert model.encoder.config["name"] == "suwen:unet" and model.encoder.config["widths"] == [8, 16]


def test_a_region_is_explained_by_what_it_rests_on(drawn: Path, cells: Path, tmp_path: Path) -> None:
    image = cells / "images" / "03.png"
    found = suwen.explain(drawn, image, out=tmp_path / "why.png")
    assert (tmp_path / "why.png").is_file() and found.label == "cell" and found.method == "occlusion"
    mask = np.asarray(Image.open(cells / "masks" / "03.png"))
    assert found.attribution.shape == found.inputs.shape[1:] and found.inputs.shape[1:] == (32, 32)
    bright = found.inputs[0] > 130
    assert bright.sum() > 0 and mask.any()
    assert found.attribution[bright].mean() > 2 * found.attribution[~bright].mean()  # a cell rests on its own pixels
    assert found.faithfulness["deletion"] < found.faithfulness["insertion"]
    with pytest.raises(NameUnknown, match="unknown label 'background'"):
        suwen.explain(drawn, image, label="background")
    with pytest.raises(DataError, match="nothing was drawn"):
        suwen.explain(drawn, np.full((40, 40), 80, np.uint8))


def test_doubt_is_largest_at_the_edges_of_cells(drawn: Path, cells: Path, tmp_path: Path) -> None:
    from scipy import ndimage

    (answer,) = suwen.predict(drawn, cells / "images" / "03.png", out=tmp_path, write=("mask", "uncertainty"))
    mask, doubt = (np.asarray(Image.open(file)) for file in answer.files)
    assert set(np.unique(mask)) == {0, 255} and doubt.shape == mask.shape and doubt.dtype == np.uint8
    edge = ndimage.binary_dilation(mask > 0) ^ ndimage.binary_erosion(mask > 0)
    far = ndimage.distance_transform_edt(~edge) > 4
    assert doubt[edge].mean() > 2 * doubt[far].mean()


@pytest.mark.slow
def test_labels_that_overlap_are_each_learned_drawn_and_explained(tmp_path: Path) -> None:
    """Cells with a nucleus within: a pixel of the nucleus is one of the cell too."""
    rng = np.random.default_rng(0)
    lines = ["path,mask:cell,mask:nucleus"]
    for number in range(24):
        cell, nucleus = np.zeros((2, 40, 48), np.uint8)
        top, left = rng.integers(2, 22), rng.integers(2, 30)
        cell[top : top + 14, left : left + 14] = 255
        nucleus[top + 4 : top + 10, left + 4 : left + 10] = 255
        image = np.clip(rng.normal(60, 8, cell.shape) + 70 * (cell > 0) + 80 * (nucleus > 0), 0, 255)
        for name, pixels in (("", image), ("c", cell), ("n", nucleus)):
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{number}{name}.png")
        lines.append(f"{number}.png,{number}c.png,{number}n.png")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    changes = (*TINY, "training.steps=80", "training.learning_rate=5e-3")
    suwen.finetune("image-segmentation", tmp_path, set=changes, out=tmp_path / "run", quiet=True)
    test = json.loads((tmp_path / "run" / "metrics.json").read_text())["splits"]["test"]
    assert {label: each["metrics"]["dice"]["value"] > 0.85 for label, each in test["labels"].items()} == {
        "cell": True,
        "nucleus": True,
    }
    (answer,) = suwen.predict(tmp_path / "run", tmp_path / "0.png", out=tmp_path / "out", write=("mask",))
    assert answer.answer["cell"]["size"] > 1.5 * answer.answer["nucleus"]["size"] > 0
    cell, nucleus = (np.asarray(Image.open(file)) > 0 for file in answer.files)
    assert (cell & nucleus).sum() > 0.8 * nucleus.sum()
    assert suwen.explain(tmp_path / "run", tmp_path / "0.png", label="nucleus").faithfulness["gain"] > 0
    assert "inputs.overlaps" in (tmp_path / "run" / "report.html").read_text()


def write_touching(root: Path, count: int, seed: int = 0) -> Path:
    """Bright discs that touch; in the masks each is a number of its own."""
    rng = np.random.default_rng(seed)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    places = np.stack(np.mgrid[:64, :64], -1)
    for number in range(count):
        centres = rng.uniform(8, 56, (14, 2))
        away = np.linalg.norm(places[:, :, None] - centres, axis=-1)
        ids = np.where(away.min(-1) < 9, away.argmin(-1) + 1, 0).astype(np.uint8)
        image = np.clip(
            rng.normal(60, 8, ids.shape) + 12 * np.minimum(9 - away.min(-1), 8) * (ids > 0) + 30 * (ids > 0), 0, 255
        )
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"{number:02d}.png")
        Image.fromarray(ids).save(root / "masks" / f"{number:02d}.png")
    return root


@pytest.mark.slow
def test_objects_that_touch_are_told_apart(tmp_path: Path) -> None:
    data = write_touching(tmp_path / "data", 30)
    changes = (*TINY, "inputs.instances=true", "training.steps=300", "training.learning_rate=5e-3")
    suwen.finetune("image-segmentation", data, set=changes, out=tmp_path / "run", quiet=True)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    quality = metrics["splits"]["test"]["metrics"]["panoptic_quality"]["value"]
    rival = metrics["baselines"]["otsu"]["test"]["metrics"]["panoptic_quality"]["value"]
    assert quality > 0.6 and quality > rival + 0.3, (quality, rival)
    other = write_touching(tmp_path / "other", 3, seed=9)
    answers = suwen.predict(tmp_path / "run", other / "images", out=tmp_path / "out", write=("objects", "mask"))
    for answer in answers:
        true = np.asarray(Image.open(other / "masks" / Path(answer.input).name))
        objects = np.asarray(Image.open(next(file for file in answer.files if file.endswith(".objects.png"))))
        assert answer.answer["object"]["count"] == objects.max()
        assert abs(int(objects.max()) - (len(np.unique(true)) - 1)) <= 4
    figures = suwen.evaluate(tmp_path / "run", other, quiet=True)
    assert figures["splits"]["test"]["metrics"]["panoptic_quality"]["value"] > 0.6
