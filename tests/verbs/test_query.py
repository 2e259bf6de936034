"""Which images to label next, from files to query.csv and back into training."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import suwen
from suwen.core.errors import DataError, LeakError, NameUnknown, RecipeError
from suwen.core.registry import STRATEGIES
from suwen.data.readers.manifest import read_manifest

SHORT = ("training.epochs=1", "evaluation.resamples=20")


def film(number: int, *, disc: bool = False) -> np.ndarray:
    rng = np.random.default_rng(1000 + number)
    image = rng.normal(90, 12, (32, 32))
    if disc:
        rows, columns = np.mgrid[:32, :32]
        y, x = rng.uniform(7, 12, 2)
        image[(rows - y) ** 2 + (columns - x) ** 2 < 16] += 90
    return np.clip(image, 0, 255).astype(np.uint8)


def write_pool(root: Path, count: int = 20) -> Path:
    root.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(film(number, disc=number % 2 == 1)).save(root / f"{number:02d}.png")
    return root


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "pool")


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def fill(file: Path, label: str | None = None) -> list[dict[str, str]]:
    """As an annotator would: odd numbers show a disc."""
    rows = rows_of(file)
    for row in rows:
        row["label"] = label or ("disc" if int(Path(row["path"]).stem[-2:]) % 2 else "clear")
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return rows


@pytest.mark.parametrize("strategy", STRATEGIES.names())
def test_every_strategy_says_what_to_label_and_why(strategy: str, run: Path, pool: Path, tmp_path: Path) -> None:
    out = tmp_path / "query"
    found = suwen.query(run, pool, budget=5, strategy=strategy, out=out, quiet=True)
    again = suwen.query(run, pool, budget=5, strategy=strategy, out=None, quiet=True)
    assert found.to_json() == again.to_json() == json.loads((out / "query.json").read_text(encoding="utf-8"))
    rows = rows_of(out / "query.csv")
    assert list(rows[0]) == ["path", "subject", "label", "score", "reason"]
    assert len({row["path"] for row in rows}) == 5
    for row, sample in zip(rows, found.samples, strict=True):
        assert (out / row["path"]).resolve() == (pool / sample.id).resolve()
        assert row["reason"] == sample.reason and not row["label"]
        assert sum(sample.probabilities.values()) == pytest.approx(1)
    page = (out / "query.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 5 and "http" not in page.replace("http-equiv", "")
    assert all(sample.id in page for sample in found.samples)


def test_scores_are_those_of_the_probabilities_the_model_predicts(run: Path, pool: Path) -> None:
    found = suwen.query(run, pool, budget=20, strategy="margin", out=None, quiet=True)
    said = {Path(answer.input).name: answer.probabilities["disc"] for answer in suwen.load(run).predict(pool)}
    assert [sample.id for sample in found.samples][:5] == sorted(said, key=lambda name: abs(said[name] - 0.5))[:5]
    for sample in found.samples:
        assert sample.score == pytest.approx(1 - abs(2 * said[sample.id] - 1), abs=1e-5)


def test_a_budget_larger_than_the_pool_is_refused_with_what_there_is(run: Path, films: Path, pool: Path) -> None:
    shutil.copy(films / "train" / "disc" / "000.png", pool / "known.png")
    with pytest.raises(DataError, match="a budget of 21, and 20 images can be chosen") as refused:
        suwen.query(run, pool, budget=21, out=None, quiet=True)
    assert "1 seen by the Run" in refused.value.seen and "--budget 20" in refused.value.fix
    with pytest.raises(RecipeError, match="budget 0"):
        suwen.query(run, pool, budget=0, out=None, quiet=True)


def test_an_unknown_strategy_offers_the_nearest(run: Path, pool: Path) -> None:
    with pytest.raises(NameUnknown, match="entropy"):
        suwen.query(run, pool, strategy="entropi", out=None, quiet=True)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_what_the_run_knows_is_left_out_and_counted(split: str, run: Path, films: Path, pool: Path) -> None:
    """Test images too: once labelled and trained on they could no longer test."""
    for number in range(3):
        shutil.copy(films / split / "disc" / f"{number:03d}.png", pool / f"known-{number}.png")
    found = suwen.query(run, pool, budget=20, out=None, quiet=True)
    assert found.counts["images in the pool"] == 23 and found.counts["seen by the Run, left out"] == 3
    assert not any("known" in sample.id for sample in found.samples)


def test_equal_and_nearly_equal_images_take_one_place(run: Path, pool: Path) -> None:
    shutil.copy(pool / "03.png", pool / "equal.png")
    brighter = np.clip(np.asarray(Image.open(pool / "05.png")).astype(int) + 2, 0, 255).astype(np.uint8)
    Image.fromarray(brighter).save(pool / "brighter.png")
    found = suwen.query(run, pool, budget=20, out=None, quiet=True)
    assert found.counts["equal or nearly equal to another, left out"] == 2
    chosen = {sample.id for sample in found.samples}
    assert len(chosen & {"03.png", "equal.png"}) == 1 and len(chosen & {"05.png", "brighter.png"}) == 1


def test_strangers_are_set_apart_and_named(run: Path, pool: Path) -> None:
    Image.fromarray(np.tile(np.array([[0, 255], [255, 0]], np.uint8), (16, 16))).save(pool / "chequers.png")
    found = suwen.query(run, pool, budget=10, out=None, quiet=True)
    assert "chequers.png" in found.foreign
    assert found.counts["unlike the training data, set apart"] == len(found.foreign)
    assert "chequers.png" not in {sample.id for sample in found.samples}


def test_of_one_subject_only_so_many(run: Path, pool: Path) -> None:
    lines = ["path,subject", *(f"{file.name},person {n // 5}" for n, file in enumerate(sorted(pool.glob("*.png"))))]
    (pool / "manifest.csv").write_text("\n".join(lines))
    found = suwen.query(run, pool, budget=4, per_subject=1, out=None, quiet=True)
    assert len({sample.subject for sample in found.samples}) == 4
    with pytest.raises(DataError, match="at most 1 of a subject"):
        suwen.query(run, pool, budget=5, per_subject=1, out=None, quiet=True)


def test_people_it_is_tested_on_are_not_proposed(tmp_path: Path) -> None:
    rows = ["path,label,subject"]
    for number in range(40):
        file = tmp_path / f"{number:02d}.png"
        Image.fromarray(film(number, disc=number % 2 == 1)).save(file)
        rows.append(f"{file.name},{'disc' if number % 2 else 'clear'},person {number}")
    (tmp_path / "set.csv").write_text("\n".join(rows))
    out = tmp_path / "run"
    suwen.finetune(
        "image-classification", tmp_path / "set.csv", encoder="timm:test_resnet", set=SHORT, out=out, quiet=True
    )
    (tmp_path / "pool").mkdir()
    lines = ["path,subject"]
    for number in range(40):
        Image.fromarray(film(100 + number)).save(tmp_path / "pool" / f"{number:02d}.png")
        lines.append(f"{number:02d}.png,person {number}")
    (tmp_path / "pool" / "manifest.csv").write_text("\n".join(lines))
    held_out = json.loads((out / "metrics.json").read_text())["splits"]
    expected = held_out["val"]["subjects"] + held_out["test"]["subjects"]
    found = suwen.query(out, tmp_path / "pool", budget=5, strategy="random", out=tmp_path / "q", quiet=True)
    assert found.counts["of subjects it is validated or tested on, left out"] == expected > 0

    (tmp_path / "set.csv").rename(tmp_path / "moved.csv")
    unknown = suwen.query(out, tmp_path / "pool", budget=5, out=None, quiet=True)
    assert any("not where they were" in note for note in unknown.notes)


def test_labels_that_were_filled_in_are_not_written_over(run: Path, pool: Path, tmp_path: Path) -> None:
    out = tmp_path / "query"
    suwen.query(run, pool, budget=3, out=out, quiet=True)
    suwen.query(run, pool, budget=4, out=out, quiet=True)
    fill(out / "query.csv")
    with pytest.raises(DataError, match="4 labels") as refused:
        suwen.query(run, pool, budget=3, out=out, quiet=True)
    assert "--out" in refused.value.fix and len(rows_of(out / "query.csv")) == 4


def test_a_filled_query_is_a_manifest_and_an_empty_one_is_refused_by_row(run: Path, pool: Path, tmp_path: Path) -> None:
    suwen.query(run, pool, budget=3, out=tmp_path / "query", quiet=True)
    with pytest.raises(DataError, match="row 2"):
        read_manifest(tmp_path / "query" / "query.csv")
    fill(tmp_path / "query" / "query.csv")
    samples = read_manifest(tmp_path / "query" / "query.csv")
    assert len(samples) == 3 and all(Path(str(sample.source)).is_file() for sample in samples)


def test_pixels_of_an_npz_are_written_as_the_same_pictures(run: Path, tmp_path: Path) -> None:
    images = np.stack([film(number) for number in range(12)])
    np.savez(tmp_path / "pool.npz", train_images=images, train_labels=np.full(12, 7))
    found = suwen.query(run, tmp_path / "pool.npz", budget=4, out=tmp_path / "query", quiet=True)
    for row, sample in zip(rows_of(tmp_path / "query" / "query.csv"), found.samples, strict=True):
        number = int(sample.id.removeprefix("train[").removesuffix("]"))
        assert np.array_equal(np.asarray(Image.open(tmp_path / "query" / row["path"])), images[number])


def test_an_unreadable_file_stops_it_or_is_counted(run: Path, pool: Path) -> None:
    (pool / "empty.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.png"):
        suwen.query(run, pool, budget=3, out=None, quiet=True)
    found = suwen.query(run, pool, budget=3, out=None, skip_bad=True, quiet=True)
    assert found.counts["unreadable, skipped"] == 1


def test_a_model_without_its_folder_says_that_it_knows_nothing_of_its_data(run: Path, pool: Path) -> None:
    found = suwen.query(suwen.load(run), pool, budget=3, strategy="coreset", out=None, quiet=True)
    assert any("nothing was left out" in note for note in found.notes)
    assert any("nothing labelled" in note for note in found.notes)


def test_coreset_names_neighbours_among_the_training_images(run: Path, pool: Path) -> None:
    found = suwen.query(run, pool, budget=3, strategy="coreset", out=None, quiet=True)
    assert any(
        (sample.neighbour or "").startswith("train/") and "(labelled)" in sample.reason for sample in found.samples
    )


def test_the_command_prints_json_and_writes_the_same(run: Path, pool: Path, tmp_path: Path) -> None:
    words = ("query", str(run), str(pool), "--budget", "2", "--out", str(tmp_path / "q"), "--json")
    said = subprocess.run([sys.executable, "-m", "suwen", *words], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == json.loads((tmp_path / "q" / "query.json").read_text(encoding="utf-8"))


def annotate(run: Path, pool: Path, out: Path, **options: Any) -> Path:
    suwen.query(run, pool, budget=6, strategy="random", out=out, quiet=True, **options)
    fill(out / "query.csv")
    return out / "query.csv"


def test_annotate_and_continue_keeps_validation_and_test(run: Path, pool: Path, tmp_path: Path) -> None:
    labels = annotate(run, pool, tmp_path / "query")
    second = tmp_path / "second"
    suwen.finetune(extend=run, labels=[labels], seed=5, set=SHORT, out=second, quiet=True)
    before, after = (json.loads((each / "metrics.json").read_text())["data"]["counts"] for each in (run, second))
    assert sum(after["train"].values()) == sum(before["train"].values()) + 6
    assert (after["val"], after["test"]) == (before["val"], before["test"])

    third = annotate(second, write_pool(tmp_path / "more", 40), tmp_path / "again")
    known = suwen.query(second, tmp_path / "more", budget=1, out=None, quiet=True)
    assert known.counts["seen by the Run, left out"] == 6  # the first twenty of them are the first pool's
    suwen.finetune(
        extend=second, labels=[third], encoder=f"run:{second}", set=SHORT, out=tmp_path / "third", quiet=True
    )
    counts = json.loads((tmp_path / "third" / "metrics.json").read_text())["data"]["counts"]
    assert sum(counts["train"].values()) == sum(before["train"].values()) + 12


def test_a_misspelt_label_does_not_become_a_class(run: Path, pool: Path, tmp_path: Path) -> None:
    labels = annotate(run, pool, tmp_path / "query")
    fill(labels, "dics")
    with pytest.raises(DataError, match="'dics'"):
        suwen.finetune(extend=run, labels=[labels], set=SHORT, out=tmp_path / "second", quiet=True)


def test_a_test_image_among_the_labels_is_a_leak(run: Path, films: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"path,label\n{films / 'test' / 'disc' / '000.png'},disc\n")
    with pytest.raises(LeakError):
        suwen.finetune(extend=run, labels=[tmp_path / "labels.csv"], set=SHORT, out=tmp_path / "second", quiet=True)


def test_a_run_brings_its_recipe(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--extend and --recipe"):
        suwen.finetune(extend=run, recipe=run / "recipe.yaml", out=tmp_path / "second", quiet=True)
