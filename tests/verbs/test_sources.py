"""What is joined to the training rows moves nobody between splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from suwen.core.errors import DataError, LeakError
from suwen.core.recipe import Recipe, make_recipe
from suwen.core.run import Run
from suwen.data.images import IMAGES
from suwen.verbs.seen import write_seen
from suwen.verbs.sources import build_dataset, read_more, read_seen, same_held_out, split_seed


def write(folder: Path, people: range, *, seed: int = 0) -> Path:
    """A manifest of one image a person."""
    folder.mkdir(parents=True)
    rows = ["path,label,subject"]
    for person in people:
        pixels = np.random.default_rng([seed, person]).integers(0, 256, (32, 32), np.uint8)
        Image.fromarray(pixels).save(folder / f"{person}.png")
        rows.append(f"{person}.png,{'ab'[person % 2]},P{person}")
    (folder / "set.csv").write_text("\n".join(rows))
    return folder / "set.csv"


def recipe_of(source: Path, **data: Any) -> Recipe:
    return make_recipe({"task": "image-classification", "data": {"source": str(source), **data}})


def build(recipe: Recipe) -> Any:
    samples = IMAGES.read(recipe.data.source)
    return build_dataset(IMAGES, samples, IMAGES.preprocess(samples, {"size": 32, "channels": 1}), recipe)


def subjects(dataset: Any, split: str) -> set[str]:
    return set(dataset.subjects[dataset.where(split)].tolist())


def test_joined_rows_train_and_the_splits_of_the_source_stay(tmp_path: Path) -> None:
    source, more = write(tmp_path / "one", range(30)), write(tmp_path / "two", range(100, 120), seed=1)
    alone, joined = build(recipe_of(source)), build(recipe_of(source, more=[str(more)]))
    for split in ("val", "test"):
        assert subjects(alone, split) == subjects(joined, split) != set()
    assert subjects(joined, "train") == subjects(alone, "train") | {f"P{n}" for n in range(100, 120)}


def test_a_new_seed_of_the_run_leaves_a_split_with_its_own_seed(tmp_path: Path) -> None:
    source = write(tmp_path / "one", range(30))
    fixed = recipe_of(source, seed=4)
    other = fixed.model_copy(update={"seed": 9})
    assert split_seed(other) == 4
    assert (
        subjects(build(fixed), "test") == subjects(build(other), "test") != subjects(build(recipe_of(source)), "test")
    )


def test_somebody_who_is_tested_on_cannot_be_trained_on(tmp_path: Path) -> None:
    source = write(tmp_path / "one", range(30))
    tested = sorted(subjects(build(recipe_of(source)), "test"))[0]
    person = int(tested.removeprefix("P"))
    more = write(tmp_path / "two", range(person, person + 1), seed=1)
    with pytest.raises(LeakError, match=f"{tested}, test") as refused:
        build(recipe_of(source, more=[str(more)]))
    assert f"{person}.png" in refused.value.seen


def test_images_of_two_folders_with_one_name_are_two_images(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder, range(2))
        (tmp_path / folder / "set.csv").write_text("path,label\n0.png,a\n1.png,b\n")
    ids = [sample.id for name in ("one", "two") for sample in read_more(IMAGES, str(tmp_path / name / "set.csv"))]
    assert len(set(ids)) == 4
    assert all(sample.subject == sample.id for sample in read_more(IMAGES, str(tmp_path / "one" / "set.csv")))


def test_rows_that_name_a_split_go_there(tmp_path: Path) -> None:
    more = write(tmp_path / "two", range(4))
    more.write_text("path,label,split\n0.png,a,val\n1.png,b,train\n")
    assert [sample.split for sample in read_more(IMAGES, str(more))] == ["val", "train"]


def test_data_that_changed_since_are_noticed(tmp_path: Path) -> None:
    source = write(tmp_path / "one", range(30))
    dataset = build(recipe_of(source))
    run = Run(tmp_path / "run")
    write_seen(run, dataset)
    same_held_out(run, dataset)
    assert len(read_seen(run)["test"]) == len(dataset.where("test"))
    with pytest.raises(LeakError, match="trained or chose"):
        same_held_out(run, build(recipe_of(source, seed=1)))
    smaller = dataset.where("test")[1:]
    dataset.splits[np.setdiff1d(dataset.where("test"), smaller)] = "train"
    with pytest.raises(DataError, match="the test split"):
        same_held_out(run, dataset)
