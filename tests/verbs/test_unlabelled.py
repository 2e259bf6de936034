"""Unlabelled images beside the labelled ones, from files to a report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import suwen
from suwen.core.errors import DataError, LeakError, RecipeError
from suwen.core.recipe import make_recipe
from suwen.core.registry import READERS, TASKS
from suwen.core.run import Run
from suwen.verbs.finetune import full_recipe
from suwen.verbs.seen import read_seen
from suwen.verbs.sources import build_dataset
from suwen.verbs.unlabelled import Unlabelled, read_unlabelled, refuse_unlabelled

TASK = "image-classification"
SHORT = ("training.epochs=2", "training.batch_size=16", "evaluation.resamples=20", "explanation.examples=0")


def film(number: int) -> np.ndarray:
    return np.clip(np.random.default_rng(5000 + number).normal(90, 12, (32, 32)), 0, 255).astype(np.uint8)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Thirty images that no one labelled."""
    root = tmp_path / "archive"
    root.mkdir()
    for number in range(30):
        Image.fromarray(film(number)).save(root / f"{number:02d}.png")
    return root


def read(films: Path, source: Path, **data: Any) -> Unlabelled:
    """As `finetune` reads them."""
    recipe = make_recipe({"task": TASK, "data": {"source": str(films), **data}, "unlabelled": {"source": str(source)}})
    reader, task = READERS["images"], TASKS[TASK]
    samples = reader.read(films)
    found = read_unlabelled(task, recipe, build_dataset(reader, samples, reader.preprocess(samples, {}), recipe))
    assert found is not None
    return found


def test_without_a_source_there_are_none(films: Path) -> None:
    assert read_unlabelled(TASKS[TASK], make_recipe({"task": TASK}), None) is None  # type: ignore[arg-type]


def test_images_without_classes_are_all_learned_from(films: Path, archive: Path) -> None:
    found = read(films, archive)
    assert found.counts["images"] == found.counts["learned from without labels"] == len(found.rows) == 30
    assert tuple(found.dataset.labels) == ("clear", "disc") and (found.dataset.targets == -1).all()


def test_a_manifest_an_npz_and_class_folders_give_the_same_images(films: Path, archive: Path, tmp_path: Path) -> None:
    """Labels in them are not looked at, not even those the labelled data do not know."""
    names = sorted(path.name for path in archive.glob("*.png"))
    (archive / "manifest.csv").write_text("\n".join(["path,label", *(f"{name},anything" for name in names)]))
    for name in names:
        (tmp_path / "classes" / f"class {int(name[:2]) % 3}").mkdir(parents=True, exist_ok=True)
        shutil.copy(archive / name, tmp_path / "classes" / f"class {int(name[:2]) % 3}")
    images = np.stack([np.asarray(Image.open(archive / name)) for name in names])
    np.savez(tmp_path / "films.npz", train_images=images, train_labels=np.zeros((30, 1), np.uint8))
    sources = (archive / "manifest.csv", tmp_path / "classes", tmp_path / "films.npz")
    digests = [read(films, source).dataset.digests for source in sources]  # type: ignore[attr-defined]
    assert all(np.array_equal(digests[0], others) for others in digests[1:]) and len(digests[0]) == 30


def test_what_is_labelled_or_repeated_is_dropped_and_counted(films: Path, archive: Path) -> None:
    for number in range(4):
        shutil.copy(films / "train" / "disc" / f"{number:03d}.png", archive / f"labelled-{number}.png")
    for number in range(3):
        shutil.copy(archive / f"{number:02d}.png", archive / f"again-{number}.png")
    found = read(films, archive)
    assert found.counts == {
        "images": 37,
        "equal to a labelled training image, dropped": 4,
        "repeated, dropped": 3,
        "learned from without labels": 30,
    }
    assert not any("labelled" in str(name) for name in found.dataset.ids[found.rows])
    assert len(found.rows) == 30


@pytest.mark.parametrize("split", ["val", "test"])
def test_an_image_that_is_validated_or_tested_on_is_a_leak(split: str, films: Path, archive: Path) -> None:
    """Without its label, too."""
    shutil.copy(films / split / "disc" / "003.png", archive / "mine.png")
    with pytest.raises(LeakError, match=r"1 of 31 images in .* mine\.png"):
        read(films, archive)
    allowed = read(films, archive, allow_leak=True)
    assert len(allowed.leaks) == 1 and "mine.png" in allowed.leaks[0]


def test_another_image_of_a_person_who_is_tested_on_is_a_leak(archive: Path, tmp_path: Path) -> None:
    rows = [
        f"{number:02d}.png,{number % 2},person {number},{('train', 'val', 'test')[number % 3]}" for number in range(12)
    ]
    (archive / "labelled.csv").write_text("\n".join(["path,label,subject,split", *rows]))
    rest = [f"{number:02d}.png,person {number - 12 if number == 14 else 100 + number}" for number in range(12, 30)]
    (archive / "rest.csv").write_text("\n".join(["path,subject", *rest]))
    with pytest.raises(LeakError, match=r"1 of 18 images in .* 14\.png"):
        read(archive / "labelled.csv", archive / "rest.csv")


def test_of_a_source_with_splits_only_its_training_images_are_used(films: Path, archive: Path) -> None:
    """So the rest of a public set can be unlabelled data for a few labels of it."""
    names = sorted(path.name for path in archive.glob("*.png"))
    rows = [f"{name},{'test' if number < 10 else 'train'}" for number, name in enumerate(names)]
    (archive / "manifest.csv").write_text("\n".join(["path,split", *rows]))
    found = read(films, archive / "manifest.csv")
    assert found.counts["in its own validation or test split, left out"] == 10 and len(found.rows) == 20
    assert not {str(name) for name in found.dataset.ids[found.rows]} & set(names[:10])


def test_nothing_left_to_learn_from_is_an_error(films: Path) -> None:
    with pytest.raises(DataError, match="no unlabelled image is left"):
        read(films, films / "train" / "disc")


REFUSED: dict[str, dict[str, Any]] = {
    "--adapt head": {"training": {"adapt": "head"}},
    "the head knn": {"head": {"name": "knn"}, "training": {"adapt": "head"}},
    "--keep l2sp": {"first": {"keep": "l2sp"}},
    "--keep ewc": {"first": {"keep": "ewc"}},
    "--devices 2 --nodes 1": {"training": {"devices": 2}},
    "teacher.run = runs/large": {"teacher": {"run": "runs/large"}},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_go_together_is_refused_and_says_what_does(what: str) -> None:
    with pytest.raises(RecipeError, match=f"--unlabelled with {what}") as refused:
        refuse_unlabelled(TASKS[TASK], make_recipe({"task": TASK, "unlabelled": {"source": "x"}}, REFUSED[what]))
    assert "--" in refused.value.fix or "drop" in refused.value.fix
    refuse_unlabelled(TASKS[TASK], make_recipe({"task": TASK}, REFUSED[what]))


@pytest.mark.parametrize("settings", [{}, {"first": {"keep": "plain"}}, {"training": {"adapt": "lora"}}], ids=str)
def test_the_rest_is_not_refused(settings: dict[str, Any]) -> None:
    refused = None
    try:
        refuse_unlabelled(TASKS[TASK], make_recipe({"task": TASK, "unlabelled": {"source": "x"}}, settings))
    except RecipeError as error:
        refused = str(error)
    assert refused is None


def test_the_run_says_what_it_learned_from_and_knows_it_again(films: Path, archive: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    suwen.finetune(
        TASK, films, unlabelled=archive, encoder="timm:test_resnet", out=run.path, quiet=True,
        set=(*SHORT, "unlabelled.threshold=0.51"),
    )  # fmt: skip
    said = json.loads(run.metrics.read_text(encoding="utf-8"))["data"]["unlabelled"]
    rows = [json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()]
    assert said["counts"]["learned from without labels"] == 30 and said["source"] == str(archive)
    assert said["sure"] == pytest.approx(rows[-1]["sure"], abs=1e-4) and said["sure"] > 0
    assert run.load().card["data"]["unlabelled"] == said
    page = run.report.read_text(encoding="utf-8")
    assert "30 of 30 unlabelled images" in page and f"{said['sure']:.0%}" in page
    digests = read(films, archive).dataset.digests[:, :8]  # type: ignore[attr-defined]
    assert np.isin(np.ascontiguousarray(digests).view(">u8").ravel().astype(np.uint64), read_seen(run)["digests"]).all()


def test_labels_are_not_smoothed_beside_unlabelled_images_unless_one_asks_for_it() -> None:
    """Answers that are held at 97.5 % hardly ever reach the 95 % from which they teach."""
    plain, beside = {"task": TASK}, {"task": TASK, "unlabelled": {"source": "x"}}
    asked = {"head": {"options": {"label_smoothing": 0.1}}}
    found = [full_recipe(*layers).head.options["label_smoothing"] for layers in ([plain], [beside], [beside, asked])]
    assert found == [0.05, 0.0, 0.1]
    assert "label_smoothing" not in full_recipe(beside, {"head": {"name": "knn"}}).head.options


def test_the_recipe_counts_its_epochs_over_whichever_data_take_more_steps() -> None:
    settings = {"task": TASK, "training": {"steps": 450, "batch_size": 64}, "unlabelled": {"ratio": 3}}
    epochs = {
        pool: make_recipe(settings).completed(inputs={}, rows=100, unlabelled=pool).training.epochs
        for pool in (0, 5000)
    }
    assert epochs == {0: 100, 5000: 17}  # two steps an epoch, at most a hundred epochs; 27 steps an epoch
