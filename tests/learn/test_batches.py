from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.dataset import Batch
from suwen.learn import batches
from suwen.learn.batches import Batches


def dataset_of(targets: Any, inputs: Any = None) -> Any:
    """The two things that Batches ask of a Dataset."""
    pixels = np.arange(len(targets), dtype=np.float32)[:, None]
    return SimpleNamespace(targets=targets, take=inputs or (lambda rows: pixels[rows]))


def batches_of(rows: int, **keywords: Any) -> Batches:
    return Batches(dataset_of(np.arange(rows)), np.arange(rows), **({"batch_size": 8, "seed": 0} | keywords))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 64), st.integers(0, 5))
def test_each_row_comes_once_an_epoch_in_batches_of_nearly_equal_size(rows: int, batch_size: int, epoch: int) -> None:
    batches = batches_of(rows, batch_size=batch_size)
    seen = [batch["index"] for _, batch in batches.epoch(epoch)]
    assert sorted(np.concatenate(seen)) == list(range(rows))
    sizes = [len(index) for index in seen]
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1 and len(sizes) == len(batches)


def test_inputs_and_targets_are_those_of_the_rows() -> None:
    rows = np.array([3, 5, 7, 11])
    batches = Batches(dataset_of(np.arange(20) * 10), rows, batch_size=2, seed=0)
    for _, batch in batches.epoch(0):
        assert set(batch["index"]) <= set(rows)
        assert batch["inputs"][:, 0].tolist() == batch["index"].tolist()
        assert batch["target"].tolist() == (batch["index"] * 10).tolist()


def order(batches: Batches, epoch: int, start: int = 0) -> list[list[int]]:
    return [batch["index"].tolist() for _, batch in batches.epoch(epoch, start=start)]


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    assert order(batches_of(40), 3) == order(batches_of(40), 3)
    assert order(batches_of(40), 3) != order(batches_of(40), 4)
    assert order(batches_of(40), 3) != order(batches_of(40, seed=1), 3)


def with_noise(batch: Batch, generator: torch.Generator) -> Batch:
    return batch | {"inputs": torch.rand(len(batch["index"]), generator=generator)}


@pytest.mark.parametrize("start", [0, 1, 4, 5])
def test_an_epoch_can_be_entered_at_any_batch(start: int) -> None:
    batches = batches_of(40, augment=with_noise)
    whole = list(batches.epoch(2))
    rest = list(batches.epoch(2, start=start))
    assert [number for number, _ in rest] == list(range(start, 5))
    for (_, first), (_, second) in zip(whole[start:], rest, strict=True):
        assert np.array_equal(first["index"], second["index"]) and torch.equal(first["inputs"], second["inputs"])


def test_augmentation_draws_anew_for_every_batch_and_epoch() -> None:
    batches = batches_of(16, augment=with_noise)
    draws = [batch["inputs"] for epoch in (0, 1) for _, batch in batches.epoch(epoch)]
    assert all(not torch.equal(first, second) for first, second in pairwise(draws))


def test_plain_batches_come_in_order_and_unchanged() -> None:
    batches = Batches(dataset_of(np.arange(20)), np.array([9, 2, 4]), batch_size=2, seed=0, augment=with_noise)
    assert [row for batch in batches.plain() for row in batch["index"]] == [9, 2, 4]
    assert [value for batch in batches.plain() for value in batch["inputs"][:, 0].tolist()] == [9, 2, 4]


def test_several_modalities_come_as_a_dict() -> None:
    def take(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"film": np.zeros((len(rows), 1, 4, 4), np.uint8), "events": rows[:, None]}

    batch = Batches(dataset_of(np.arange(6), take), np.arange(6), batch_size=6, seed=0).gather(np.array([1, 5]))
    assert batch["inputs"]["film"].shape == (2, 1, 4, 4) and batch["inputs"]["film"].dtype == torch.uint8
    assert batch["inputs"]["events"][:, 0].tolist() == [1, 5]


def test_targets_without_a_fixed_length_come_as_a_list() -> None:
    """Boxes, sentences: an object array holds one for each row."""
    targets = np.empty(3, object)
    for row in range(3):
        targets[row] = {"boxes": np.full((row, 4), row, np.float32), "report": f"film {row}"}
    batch = Batches(dataset_of(targets), np.arange(3), batch_size=3, seed=0).gather(np.array([0, 2]))
    first, second = batch["target"]
    assert first["boxes"].shape == (0, 4) and torch.equal(second["boxes"], torch.full((2, 4), 2.0))
    assert second["report"] == "film 2"


def test_channels_last_changes_the_layout_only() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 5), np.uint8)
    dataset = dataset_of(np.arange(4), lambda rows: images[rows])
    batches = Batches(dataset, np.arange(4), batch_size=4, seed=0, channels_last=True)
    inputs = batches.gather(np.arange(4))["inputs"]
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(inputs.numpy(), images)


@pytest.mark.parametrize(("free", "kept"), [(4 * 40 * 16, True), (4 * 40 * 16 - 1, False)])
def test_pixels_that_fit_are_copied_to_the_device_once(free: int, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of what is free; the batches are the same."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 4, 4), np.uint8)
    taken: list[int] = []

    def take(rows: np.ndarray) -> np.ndarray:
        taken.extend(rows)
        return pixels[rows]

    dataset: Any = SimpleNamespace(targets=np.arange(40), take=take, pixels=pixels)
    monkeypatch.setattr(batches, "free_memory", lambda device: free)
    seen = list(Batches(dataset, np.arange(40), batch_size=16, seed=0, channels_last=True).epoch(0))
    assert bool(taken) is not kept
    assert all(np.array_equal(batch["inputs"].numpy(), pixels[batch["index"]]) for _, batch in seen)
    assert all(batch["inputs"].dtype == torch.uint8 for _, batch in seen)


def test_a_processor_needs_no_copy() -> None:
    assert batches.free_memory(torch.device("cpu")) == 0
