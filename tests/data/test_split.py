"""Splits are by subject, have every class, and depend on content and seed alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from suwen.core.errors import DataError
from suwen.core.sample import Sample, Split
from suwen.data.split import assign_splits


def pixels(content: int) -> np.ndarray:
    return np.full((2, 2), content, np.uint16)


def sample(index: int, *, subject: str = "", target: Any = "a", split: Split | None = None) -> Sample:
    name = f"{index}.png"
    return Sample(id=name, source=pixels(index), target=target, subject=subject or name, split=split)


def by_content(samples: Sequence[Sample]) -> dict[bytes, Split | None]:
    return {np.asarray(sample.source).tobytes(): sample.split for sample in samples}


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=8, max_size=40), seed=st.integers(0, 9), shuffle=st.randoms())
def test_a_subject_is_in_one_split_whatever_the_order(sizes: list[int], seed: int, shuffle: random.Random) -> None:
    samples = [
        sample(10 * who + index, subject=f"P{who}", target="ab"[who % 2])
        for who, size in enumerate(sizes)
        for index in range(size)
    ]
    split = assign_splits(samples, seed=seed)
    assert len({(each.subject, each.split) for each in split}) == len(sizes)
    assert {each.split for each in split} == {"train", "val", "test"}
    shuffled = shuffle.sample(samples, len(samples))
    assert by_content(assign_splits(shuffled, seed=seed)) == by_content(split)


def test_fractions_hold_in_every_class() -> None:
    samples = [sample(index, target="rare" if index % 10 == 0 else "common") for index in range(1000)]
    counts = Counter((each.target, each.split) for each in assign_splits(samples, seed=0, fractions=(0.6, 0.1, 0.3)))
    assert [counts["rare", split] for split in ("train", "val", "test")] == [60, 10, 30]
    assert [counts["common", split] for split in ("train", "val", "test")] == [540, 90, 270]


def test_a_class_of_three_subjects_is_in_every_split_and_of_one_in_train() -> None:
    samples = [sample(index, target="abc"[0 if index < 20 else 1 if index < 23 else 2]) for index in range(24)]
    found = {(each.target, each.split) for each in assign_splits(samples, seed=3)}
    assert {("b", "train"), ("b", "val"), ("b", "test"), ("c", "train")} <= found
    assert ("c", "test") not in found


def test_another_seed_is_another_split() -> None:
    samples = [sample(index) for index in range(60)]
    assert by_content(assign_splits(samples, seed=0)) != by_content(assign_splits(samples, seed=1))


def test_a_multi_label_set_is_stratified_by_the_rarest_label() -> None:
    samples = [sample(index, target=("common", "rare") if index < 20 else ("common",)) for index in range(200)]
    counts = Counter((len(each.target), each.split) for each in assign_splits(samples, seed=0))
    assert [counts[2, split] for split in ("train", "val", "test")] == [14, 3, 3]


def test_given_splits_are_kept() -> None:
    samples = [sample(0, split="train"), sample(1, split="val"), sample(2, split="test")]
    assert list(assign_splits(samples, seed=0)) == samples
    only_test = [sample(index, split="test") for index in range(5)]
    assert list(assign_splits(only_test, seed=0)) == only_test


def test_where_validation_is_missing_it_is_cut_from_train_by_subject() -> None:
    samples = [sample(index, subject=f"P{index // 2}", split="train") for index in range(200)]
    samples += [sample(1000 + index, split="test") for index in range(30)]
    split = assign_splits(samples, seed=0, fractions=(0.7, 0.15, 0.15))
    assert Counter(each.split for each in split) == {"train": 164, "val": 36, "test": 30}
    assert not {e.subject for e in split if e.split == "train"} & {e.subject for e in split if e.split == "val"}
    assert [each.id for each in split if each.split == "test"] == [each.id for each in samples[200:]]


def test_a_subject_in_train_and_test_is_left_there_for_the_check_to_name() -> None:
    samples = [sample(index, subject=f"P{index}", split="train") for index in range(40)]
    samples += [sample(100 + index, subject=f"P{index}", split="test") for index in range(20)]
    split = assign_splits(samples, seed=0)
    assert [each.split for each in split[:20]] == ["train"] * 20
    assert "val" in {each.split for each in split[20:40]}


def test_train_alone_is_cut_three_ways() -> None:
    split = assign_splits([sample(index, split="train") for index in range(100)], seed=0)
    assert Counter(each.split for each in split) == {"train": 70, "val": 15, "test": 15}


def test_repeated_pictures_without_a_subject_stay_together() -> None:
    samples = [
        Sample(id=f"{copy}-{index}", source=pixels(index), target="a", subject=f"{copy}-{index}")
        for index in range(50)
        for copy in range(2)
    ]
    split = assign_splits(samples, seed=0)
    assert all(one.split == other.split for one, other in zip(split[::2], split[1::2], strict=True))


def test_files_and_arrays_of_equal_content_are_split_alike(tmp_path: Path, cache: Path, draw: Any) -> None:
    arrays, files = [], []
    for index in range(40):
        picture, name = draw(index), f"{random.Random(index).random()}.png"
        Image.fromarray(picture).save(tmp_path / name)
        arrays.append(Sample(id=f"train[{index}]", source=picture, target="a", subject=f"train[{index}]"))
        files.append(Sample(id=name, source=tmp_path / name, target="a", subject=name))
    of_arrays = [each.split for each in assign_splits(arrays, seed=5, cache=cache)]
    assert [each.split for each in assign_splits(files, seed=5, cache=cache)] == of_arrays


def test_a_bad_file_does_not_stop_the_split(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "bad.png").touch()
    bad = Sample(id="bad.png", source=tmp_path / "bad.png", target="a", subject="bad.png")
    split = assign_splits([bad, *(sample(index) for index in range(9))], seed=0, cache=cache)
    assert None not in {each.split for each in split}


def test_some_with_a_split_and_some_without_is_an_error() -> None:
    with pytest.raises(DataError, match=r"1 of 2 samples have no split, such as 1\.png") as refusal:
        assign_splits([sample(0, split="test"), sample(1)], seed=0)
    assert "a test image into training" in refusal.value.why
    assert refusal.value.fix


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_impossible_fractions_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="fractions"):
        assign_splits([sample(0)], seed=0, fractions=fractions)
