"""Futures drawn event by event from a model that tells what comes next: the probability of anything is how often it
happens in them (ETHOS: Renc et al., npj Digit Med 2024;7:256).

For a code within a horizon the head ``event-rates`` says the same in one pass, and better; drawn futures are for what
no head tells, such as a sequence of events.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from suwen.data.records.token_kernels import BUCKETS, INTERVALS, MINUTES, MOST
from suwen.data.records.tokens import EventTokens
from suwen.encoders.event_cache import EventCache
from suwen.encoders.events import EventEncoder
from suwen.heads.next_event import NextEvent

DAY_MINUTES = 1440.0
LONGEST = 2.0 * MINUTES[-1]
"""The last interval has no end: twice its beginning is taken for one."""


@torch.inference_mode()
def draw_futures(
    encoder: EventEncoder,
    head: NextEvent,
    tokens: EventTokens,
    inputs: dict[str, Tensor],
    codes: Sequence[str],
    *,
    days: float,
    count: int = 20,
    most: int = 256,
    seed: int = 0,
) -> np.ndarray:
    """float64 (B,): the share of `count` futures of each history in which one of some codes happens within `days`.

    A future ends with the first of the codes, with the horizon, or after `most` events; what has not happened by then
    counts as not happening.

    Args:
        encoder, head: in evaluation mode.
        tokens: their vocabulary.
        inputs: a packed batch of B histories.
        codes: of the vocabulary.
        days: the horizon.
        count: futures of each history.
        most: events of each.
        seed: of the draws.

    Raises:
        KeyError: a code is not in the vocabulary.
    """
    wanted = torch.tensor([tokens.numbers[code] for code in codes])
    generator = torch.Generator().manual_seed(seed)
    cache = EventCache(encoder, inputs, most).repeated(count)
    ages = inputs["ages"][inputs["offsets"].long()[1:] - 1].repeat_interleave(count).double()
    ends = ages + days
    middles = _middles(tokens)
    open_ = torch.ones(len(ages), dtype=torch.bool)
    hit = torch.zeros(len(ages), dtype=torch.bool)
    for _ in range(most):
        event = _drawn(head, cache.states, ages, middles, generator)
        ages = event.pop("exact")
        open_ &= ages <= ends
        hit |= open_ & torch.isin(event["codes"], wanted)
        open_ &= ~hit
        if not open_.any():
            break
        cache.add(event)
    return hit.view(-1, count).double().mean(1).numpy()


def _drawn(
    head: NextEvent, states: Tensor, ages: Tensor, middles: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """One event of each, with its exact age."""
    logits = head.interval(states).float()
    logits[:, 0] = -torch.inf  # tokens without a time come before all others
    intervals = _one_of(logits, generator)
    codes = _one_of(head.codes_after(states, intervals).float(), generator)
    buckets = _one_of(head.buckets_of(states, intervals, codes).float(), generator)
    later = ages + _minutes(intervals, generator) / DAY_MINUTES
    return {
        "codes": codes,
        "buckets": buckets,
        "values": middles[codes, buckets],
        "ages": later.float(),
        "intervals": intervals,
        "exact": later,
    }


def _one_of(logits: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


def _minutes(intervals: Tensor, generator: torch.Generator) -> Tensor:
    """float64: evenly between the edges of each interval."""
    edges = torch.tensor([0.0, 0.0, *map(float, MINUTES), LONGEST], dtype=torch.float64)
    assert len(edges) == INTERVALS + 1
    low, high = edges[intervals], edges[intervals + 1]
    return low + (high - low) * torch.rand(len(intervals), generator=generator, dtype=torch.float64)


def _middles(tokens: EventTokens) -> Any:
    """float32 (V, 11): a standardised value within each decile; 0 where there is none."""
    found = torch.zeros(tokens.count, BUCKETS)
    for token, edges in enumerate(tokens.edges):
        if edges and tokens.deviation[token] > 0:
            scaled = [(edge - tokens.mean[token]) / tokens.deviation[token] for edge in edges]
            middle = [(low + high) / 2 for low, high in pairwise(scaled)]
            found[token, 1:] = torch.tensor([scaled[0], *middle, scaled[-1]]).clamp(-MOST, MOST)
    return found
