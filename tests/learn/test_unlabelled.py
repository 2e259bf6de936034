"""Labelled and unlabelled images side by side, dealt by place."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.learn.unlabelled import Deck, WithUnlabelled


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 100))
def test_a_deck_deals_every_row_equally_often(rows: int, hand: int, seed: int) -> None:
    """After any number of hands no row came twice more than another."""
    deck = Deck(np.arange(rows) + 100, hand, seed)
    counts: Counter[int] = Counter(dict.fromkeys(range(100, 100 + rows), 0))
    for number in range(10):
        dealt = deck.deal(number)
        assert len(dealt) == min(hand, rows)
        counts.update(dealt.tolist())
        assert max(counts.values()) - min(counts.values()) <= 1
    assert set(counts) == set(range(100, 100 + rows))


def test_a_hand_follows_from_its_place_alone() -> None:
    deck = Deck(np.arange(50), 7, 3)
    forwards = [deck.deal(number).tolist() for number in range(20)]
    assert [Deck(np.arange(50), 7, 3).deal(number).tolist() for number in reversed(range(20))] == forwards[::-1]
    assert [Deck(np.arange(50), 7, 4).deal(number).tolist() for number in range(20)] != forwards


def dataset_of(rows: int, splits: Any = None) -> Any:
    """Each input is its row number."""
    return SimpleNamespace(
        targets=np.arange(rows) % 2,
        take=lambda index: index[:, None].astype(np.float32),
        where=lambda split: np.flatnonzero(np.full(rows, "train") == split if splits is None else splits == split),
    )


def batches_of(labelled: int = 10, pool: int = 40, *, splits: Any = None, **keywords: Any) -> WithUnlabelled:
    def views(inputs: torch.Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"weak": inputs, "strong": inputs + torch.rand(inputs.shape, generator=generator) / 2}

    return WithUnlabelled(
        dataset_of(labelled),
        np.arange(labelled),
        **({"batch_size": 4, "seed": 0, "ratio": 3, "unlabelled": dataset_of(pool, splits), "views": views} | keywords),
    )


@pytest.mark.parametrize(("labelled", "pool", "count"), [(10, 40, 4), (10, 120, 10), (100, 12, 25), (2, 5, 1)], ids=str)
def test_an_epoch_goes_through_whichever_takes_longer(labelled: int, pool: int, count: int) -> None:
    batches = batches_of(labelled, pool)
    seen = [batch for _, batch in batches.epoch(0)]
    assert len(batches) == len(seen) == count
    assert {int(row) for batch in seen for row in batch["weak"]} == set(range(pool))
    assert {len(batch["index"]) for batch in seen} == {min(4, labelled)}
    assert {len(batch["weak"]) for batch in seen} == {min(12, pool)}
    if labelled >= 100:
        assert {row for batch in seen for row in batch["index"]} == set(range(labelled))


def test_index_and_target_are_those_of_the_labelled_rows() -> None:
    for _, batch in batches_of().epoch(0):
        assert batch["inputs"][:, 0].tolist() == batch["index"].tolist()
        assert batch["target"].tolist() == (batch["index"] % 2).tolist()
        assert torch.equal(batch["weak"].floor(), batch["strong"].floor())


def test_only_its_train_split_is_dealt() -> None:
    """What is held out, or was dropped, is never learned from."""
    splits = np.array(["train", "test", "", "train"] * 10)
    seen = {int(row) for _, batch in batches_of(splits=splits).epoch(0) for row in batch["weak"]}
    assert seen == {row for row in range(40) if row % 4 in (0, 3)}


@pytest.mark.parametrize("start", [1, 3])
def test_an_epoch_that_goes_on_in_its_middle_deals_the_same(start: int) -> None:
    whole, rest = ([batch for _, batch in batches_of().epoch(2, start=place)] for place in (0, start))
    for first, second in zip(whole[start:], rest, strict=True):
        assert all(np.array_equal(np.asarray(first[name]), np.asarray(second[name])) for name in first)
