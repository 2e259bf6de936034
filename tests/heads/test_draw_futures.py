from __future__ import annotations

import numpy as np
import pytest
import torch

from suwen.data.records.token_kernels import INTERVALS
from suwen.data.records.tokens import EventTokens
from suwen.encoders.events import EventEncoder
from suwen.heads.draw_futures import draw_futures
from suwen.heads.next_event import NextEvent

TOKENS = EventTokens(
    codes=("<unknown>", "A", "STOP"), subjects=(0, 2, 1), above=((),) * 3, edges=((),) * 3, mean=(0.0,) * 3,
    deviation=(0.0,) * 3,
)  # fmt: skip
DAY = 12
"""The interval of one to two days."""

INPUTS = {
    "codes": torch.tensor([1, 1, 1]),
    "buckets": torch.zeros(3, dtype=torch.int64),
    "values": torch.zeros(3),
    "ages": torch.tensor([100.0, 101.0, 300.0]),
    "intervals": torch.ones(3, dtype=torch.int64),
    "offsets": torch.tensor([0, 2, 3], dtype=torch.int32),
    "born": torch.ones(2),
}


def model(stop: float) -> tuple[EventEncoder, NextEvent]:
    """Whatever was before, an event comes after one to two days, and is the STOP with this probability."""
    torch.manual_seed(0)
    encoder, head = EventEncoder("events-1x64", TOKENS).eval(), NextEvent(64, codes=list(TOKENS.codes)).eval()
    with torch.no_grad():
        head.interval.weight.zero_()
        head.interval.bias.copy_(torch.where(torch.arange(INTERVALS) == DAY, 0.0, -60.0))
        head.code[1].weight.zero_()
        head.code[1].bias.copy_(torch.tensor([1e-30, 1 - stop + 1e-30, stop + 1e-30]).log())
    return encoder, head


def test_the_share_of_futures_is_the_probability_of_the_process() -> None:
    """One event each 1.5 days on average with probability 0.2: within 3 days there is one, two, or rarely three."""
    found = draw_futures(*model(0.2), TOKENS, INPUTS, ["STOP"], days=3.0, count=3000, most=4)
    rng = np.random.default_rng(0)
    gaps = rng.uniform(1, 2, (100_000, 3)).cumsum(1) <= 3.0
    expected = 1 - (0.8 ** gaps.sum(1)).mean()
    assert found == pytest.approx([expected] * 2, abs=0.03)


def test_nothing_happens_within_no_time_and_everything_that_must() -> None:
    assert draw_futures(*model(1.0), TOKENS, INPUTS, ["STOP"], days=0.5, count=10, most=8).tolist() == [0, 0]
    assert draw_futures(*model(1.0), TOKENS, INPUTS, ["STOP"], days=5.0, count=10, most=8).tolist() == [1, 1]


def test_the_same_seed_draws_the_same_futures() -> None:
    options = {"days": 4.0, "count": 50, "most": 8}
    first = draw_futures(*model(0.3), TOKENS, INPUTS, ["STOP"], seed=3, **options)
    assert np.array_equal(first, draw_futures(*model(0.3), TOKENS, INPUTS, ["STOP"], seed=3, **options))
