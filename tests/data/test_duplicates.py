"""Equal pictures are all found, look-alikes nearly all, and chest films at 28 px are not taken for one another."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from suwen.core.sample import Sample
from suwen.data import duplicates
from suwen.data.columns import Dataset, build
from suwen.data.duplicates import exact_groups, near_pairs
from suwen.data.preprocess import ImagePreprocess
from suwen.data.readers.npz import read_npz


def dataset_of(pictures: list[np.ndarray], cache: Path, size: int = 32) -> Dataset:
    samples = [
        Sample(id=str(index), source=picture, target="a", subject=str(index), split="train")
        for index, picture in enumerate(pictures)
    ]
    return build(samples, ImagePreprocess(size=size, channels=1), cache=cache, progress=False)


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def groups_by_id(dataset: Dataset, groups: np.ndarray) -> list[set[str]]:
    members = [{str(id) for id in dataset.ids[groups == group]} for group in np.unique(groups)]
    return sorted((group for group in members if len(group) > 1), key=min)


def test_equal_pictures_form_groups_however_they_are_stored(draw: Any, cache: Path) -> None:
    a, b = draw(1, 32, 32), draw(2, 32, 32)
    pictures = [a, b, a, np.stack([a] * 3, axis=-1), draw(3, 32, 32), b]
    dataset = dataset_of(pictures, cache)
    assert groups_by_id(dataset, exact_groups(dataset)) == [{"0", "2", "3"}, {"1", "5"}]


def test_pictures_of_one_shade_are_equal_only_if_the_shade_is(cache: Path) -> None:
    dataset = dataset_of([np.full((32, 32), shade, np.uint8) for shade in (0, 0, 9, 9, 200)], cache)
    groups = exact_groups(dataset)
    assert groups_by_id(dataset, groups) == [{"0", "1"}, {"2", "3"}]
    assert near_pairs(dataset, groups).pairs == []


def test_copies_that_were_saved_again_or_made_brighter_are_found(draw: Any, cache: Path) -> None:
    pictures = [draw(seed, 64, 64) for seed in range(30)]
    copies = [jpeg(pictures[0], 70), (pictures[1] * 0.9 + 20).astype(np.uint8)]
    dataset = dataset_of([*pictures, *copies], cache)
    near = near_pairs(dataset, exact_groups(dataset))
    assert near.complete
    assert {frozenset((dataset.ids[one], dataset.ids[other])) for one, other, _ in near.pairs} == {
        frozenset({"0", "30"}),
        frozenset({"1", "31"}),
    }
    assert all(0.98 < correlation <= 1.0001 for _, _, correlation in near.pairs)


def test_every_pair_within_the_distance_is_a_candidate() -> None:
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 1 << 63, 300, dtype=np.uint64)
    for copy in range(150, 300):  # the second half: the first with up to 6 bits flipped
        flips = generator.choice(64, generator.integers(0, 7), replace=False)
        hashes[copy] = int(hashes[copy - 150]) ^ sum(1 << int(flip) for flip in flips)
    hashes[100:150] = hashes[0]  # a crowd in one place
    left, right, complete = duplicates._close(hashes)
    expected = {
        (one, other)
        for one in range(300)
        for other in range(one + 1, 300)
        if (int(hashes[one]) ^ int(hashes[other])).bit_count() <= duplicates.DISTANCE
    }
    assert complete
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == expected
    assert len(expected) > 1000


def test_too_much_work_is_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_CANDIDATES", 100)
    *_, complete = duplicates._close(np.zeros(50, np.uint64))
    assert not complete


def test_pneumoniamnist_has_its_known_repeats_and_no_false_alarm(shared_data: Path, cache: Path) -> None:
    samples = read_npz(shared_data / "pneumoniamnist" / "pneumoniamnist.npz")
    dataset = build(samples, ImagePreprocess(size=28, channels=1), cache=cache, progress=False)
    groups = exact_groups(dataset)
    of_split = {split: groups[dataset.where(split)] for split in ("train", "val", "test")}
    repeated = {split: len(numbers) - len(np.unique(numbers)) for split, numbers in of_split.items()}
    assert repeated == {"train": 18, "val": 0, "test": 3}
    assert np.isin(of_split["val"], of_split["train"]).sum() == 8
    assert near_pairs(dataset, groups).pairs == []


def test_saved_again_chest_films_are_found_at_28_px(shared_data: Path, cache: Path) -> None:
    films = np.load(shared_data / "pneumoniamnist" / "pneumoniamnist.npz")["train_images"][:200]
    dataset = dataset_of([*films, *(jpeg(film, 80) for film in films)], cache, size=28)
    near = near_pairs(dataset, exact_groups(dataset)).pairs
    apart = [abs(int(dataset.ids[one]) - int(dataset.ids[other])) for one, other, _ in near]
    assert set(apart) == {200}
    assert len(near) >= 190
