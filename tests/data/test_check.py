"""The check tells what is in the data, refuses what spoils every figure, and says what else a reader should know."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from suwen.core.errors import DataError, LeakError
from suwen.core.sample import Sample
from suwen.data.check import DataCheck, check
from suwen.data.columns import Dataset, build
from suwen.data.preprocess import ImagePreprocess
from suwen.data.readers.npz import read_npz

SMALL = ImagePreprocess(size=24, channels=1)


@pytest.fixture
def sample_of(draw: Any) -> Any:
    """`sample_of(picture number, target, split, subject=…)`: one number, one picture."""
    made: list[Sample] = []

    def sample(number: int, target: Any = "a", split: Any = "train", subject: str = "") -> Sample:
        name = f"{len(made):03d}.png"
        made.append(
            Sample(id=name, source=draw(number), target=target, subject=subject or name, split=split, metadata={})
        )
        return made[-1]

    return sample


def built(samples: list[Sample], cache: Path, **options: Any) -> Dataset:
    return build(samples, SMALL, cache=cache, progress=False, **options)


@pytest.fixture
def sound(sample_of: Any) -> list[Sample]:
    """Two classes in three splits, all of them large enough, nothing repeated."""
    counts = {"train": 12, "val": 3, "test": 4}
    kinds = [(split, label) for split, count in counts.items() for label in "ab" for _ in range(count)]
    return [sample_of(number, label, split) for number, (split, label) in enumerate(kinds)]


def table(seen: DataCheck, title: str) -> dict[Any, list[Any]]:
    return {row[0]: row[1:] for found in seen.tables if found.title.startswith(title) for row in found.rows}


def test_sound_data_has_counts_and_no_warning(sound: list[Sample], cache: Path) -> None:
    seen = check(built(sound, cache))
    assert (seen.warnings, seen.leaks, seen.errors) == ([], [], [])
    assert table(seen, "Classes") == {"a": [12, 3, 4], "b": [12, 3, 4], "images": [24, 6, 8], "subjects": [24, 6, 8]}
    assert table(seen, "Pictures") == {"grey8": [38, "24 x 24", "24 x 24", "24 x 24"]}
    assert len(seen.tables) == 2


def test_pneumoniamnist_is_told_as_it_is(shared_data: Path, cache: Path) -> None:
    samples = read_npz(shared_data / "pneumoniamnist" / "pneumoniamnist.npz")
    seen = check(build(samples, ImagePreprocess(size=28, channels=1), cache=cache, progress=False))
    assert table(seen, "Classes")["0"] == [1214, 135, 234]
    assert table(seen, "Classes")["1"] == [3494, 389, 390]
    repeats = table(seen, "Repeated")
    assert {what: row[0] for what, row in repeats.items()} == {
        "repeated in train": 18,
        "repeated in test": 3,
        "val pictures also in train": 8,
    }
    assert any(line.startswith("8 val pictures are also in train: val[") for line in seen.warnings)
    assert seen.leaks == []


def test_it_is_json_and_a_table_on_the_console(sound: list[Sample], sample_of: Any, cache: Path) -> None:
    seen = check(built([*sound, sample_of(0, "a", "val")], cache))
    told = json.loads(json.dumps(seen.to_dict()))
    assert set(told) == {"tables", "warnings", "leaks"}
    assert told["tables"][0] == {
        "title": "Classes",
        "columns": ["class", "train", "val", "test"],
        "rows": [["a", 12, 4, 4], ["b", 12, 3, 4], ["images", 24, 7, 8], ["subjects", 24, 7, 8]],
    }
    console = Console(file=io.StringIO(), width=120)
    console.print(seen.render())
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "val pictures also in train" in printed
    assert "warning: 1 val pictures are also in train: 038.png" in printed


# Leaks


def test_a_test_picture_in_train_is_an_error_unless_allowed(sound: list[Sample], sample_of: Any, cache: Path) -> None:
    dataset = built([*sound, sample_of(0, "a", "test")], cache)
    with pytest.raises(LeakError, match=r"1 test pictures are also in train: 038\.png") as refusal:
        check(dataset)
    assert "tested on what it has seen" in refusal.value.why
    assert "--allow-leak" in refusal.value.fix
    seen = check(dataset, allow_leak=True)
    assert seen.leaks == ["1 test pictures are also in train: 038.png"]
    assert table(seen, "Repeated")["test pictures also in train"] == [1, "038.png"]


def test_a_test_picture_in_validation_is_a_leak_too(sound: list[Sample], sample_of: Any, cache: Path) -> None:
    with pytest.raises(LeakError, match="1 test pictures are also in val"):
        check(built([*sound, sample_of(25, "a", "test")], cache))


def test_the_same_picture_stored_differently_is_the_same_picture(sound: list[Sample], draw: Any, cache: Path) -> None:
    colour = Sample(id="rgb.png", source=np.stack([draw(0)] * 3, axis=-1), target="a", subject="x", split="test")
    with pytest.raises(LeakError, match=r"also in train: rgb\.png"):
        check(built([*sound, colour], cache))


@pytest.mark.parametrize("other", ["val", "test"])
def test_a_subject_in_two_splits_is_an_error_unless_allowed(
    sound: list[Sample], sample_of: Any, cache: Path, other: str
) -> None:
    samples = [*sound, sample_of(100, "a", "train", "P7"), sample_of(101, "a", other, "P7")]
    with pytest.raises(LeakError, match=f"1 subjects are in two splits: P7 in {min(other, 'train')} and") as refusal:
        check(built(samples, cache))
    assert "--allow-leak" in refusal.value.fix
    assert check(built(samples, cache), allow_leak=True).leaks[0].startswith("1 subjects are in two splits: P7")


# Classes


def test_one_class_only_is_an_error(sample_of: Any, cache: Path) -> None:
    with pytest.raises(DataError, match="all images are of one class, 'a'") as refusal:
        check(built([sample_of(number, "a", "train") for number in range(12)], cache))
    assert "two classes" in refusal.value.why
    assert "class folders" in refusal.value.fix


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_train_lacks_is_an_error(sound: list[Sample], sample_of: Any, cache: Path, split: str) -> None:
    with pytest.raises(DataError, match=f"{split} has images of the class 'c', and train has none"):
        check(built([*sound, sample_of(100, "c", split)], cache))


def test_unlabelled_images_cannot_be_trained_on(sound: list[Sample], sample_of: Any, cache: Path) -> None:
    with pytest.raises(DataError, match=r"1 of 39 images have no label, such as 038\.png"):
        check(built([*sound, sample_of(100, None, "train")], cache))


def test_an_evaluation_set_may_have_one_class_and_no_label(sample_of: Any, cache: Path) -> None:
    seen = check(built([sample_of(1, "a", "test"), sample_of(2, None, "test")], cache, labels=("a", "b")))
    assert table(seen, "Classes")["(no label)"] == [1]
    assert seen.warnings == ["test has no image of b: its score says nothing about that"]


def test_small_classes_and_missing_splits_are_warnings(sample_of: Any, cache: Path) -> None:
    samples = [sample_of(number, "a" if number < 12 else "b", "train") for number in range(15)]
    assert check(built(samples, cache)).warnings == [
        "few training images (under 10): b (3)",
        "there is no val and no test split",
    ]


def test_a_multi_label_set_is_counted_by_label_and_may_have_none(sample_of: Any, cache: Path) -> None:
    targets = [("a",), ("a", "b"), (), ("b",)] * 6
    seen = check(built([sample_of(number, target, "train") for number, target in enumerate(targets)], cache))
    assert table(seen, "Classes") == {"a": [12], "b": [12], "images": [24], "subjects": [24]}
    assert seen.errors == []


# What else a reader should know


def test_equal_pictures_with_different_labels_are_told(sound: list[Sample], sample_of: Any, cache: Path) -> None:
    warnings = check(built([*sound, sample_of(0, "b", "train")], cache)).warnings
    assert "1 pictures of train are repeats of another one there" in warnings
    assert any(line.startswith("1 pictures occur with different labels: 0") for line in warnings)


def test_look_alikes_across_splits_are_told_with_their_correlation(sound: list[Sample], draw: Any, cache: Path) -> None:
    near = (draw(0) * 0.9 + 10).astype(np.uint8)
    copy = Sample(id="near.png", source=near, target="a", subject="n", split="test")
    (line,) = check(built([*sound, copy], cache)).warnings
    assert line.startswith("1 pairs of pictures look alike, 1 of them across splits: ")
    assert "000.png" in line
    assert "near.png" in line
    assert "(0.9" in line


def test_16_bit_and_palette_pictures_mixed_are_read_and_told(tmp_path: Path, draw: Any, cache: Path) -> None:
    samples = []
    for number in range(24):
        deep = number % 2 == 0
        pixels = draw(number)
        image = Image.fromarray(pixels.astype(np.uint16) * 257) if deep else Image.fromarray(pixels).convert("P")
        path = tmp_path / f"{number:02d}.png"
        image.save(path)
        label = "ab"[number % 2]
        samples.append(Sample(id=path.name, source=path, target=label, subject=path.name, split="train"))
    seen = check(built(samples, cache))
    assert {mode: row[0] for mode, row in table(seen, "Pictures").items()} == {"grey16": 12, "palette": 12}
    warnings = "\n".join(seen.warnings)
    assert "stored in different ways (grey16, palette)" in warnings
    assert "all grey16 pictures are of the class 'a': a model may learn the file format instead" in warnings


def test_enlarged_pictures_are_told(sound: list[Sample], cache: Path) -> None:
    dataset = build(sound, ImagePreprocess(size=32, channels=1), cache=cache, progress=False)
    assert "38 pictures are smaller than 32 px and are enlarged" in check(dataset).warnings


def test_skipped_files_are_counted_and_listed(sound: list[Sample], tmp_path: Path, cache: Path) -> None:
    (tmp_path / "bad.png").touch()
    bad = Sample(id="bad.png", source=tmp_path / "bad.png", target="a", subject="bad", split="train")
    seen = check(built([*sound, bad], cache, skip_bad=True))
    assert "1 inputs cannot be decoded and were skipped" in seen.warnings
    assert "0 bytes" in table(seen, "Skipped")["bad.png"][0]
