from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from suwen.data.records.tokens import EventTokens
from suwen.encoders.event_cache import EventCache
from suwen.encoders.events import EventEncoder

TOKENS = EventTokens(
    codes=("<unknown>", "A", "B"), subjects=(0, 2, 1), above=((), (), (1,)), edges=((),) * 3, mean=(0.0,) * 3,
    deviation=(0.0,) * 3,
)  # fmt: skip
LENGTHS, MORE = [7, 3, 5], 4


def histories() -> list[dict[str, Tensor]]:
    """Three, each with `MORE` events after the ones that are seen at first."""
    rng, found = np.random.default_rng(0), []
    for length in LENGTHS:
        n = length + MORE
        found.append(
            {
                "codes": torch.from_numpy(rng.integers(0, 3, n)),
                "buckets": torch.from_numpy(rng.integers(0, 11, n)),
                "values": torch.from_numpy(rng.normal(size=n).astype(np.float32)),
                "ages": torch.from_numpy(np.sort(rng.uniform(100, 900, n)).astype(np.float32)),
                "intervals": torch.from_numpy(rng.integers(0, 24, n)),
            }
        )
    return found


def packed(parts: list[dict[str, Tensor]], lengths: list[int]) -> dict[str, Tensor]:
    found = {name: torch.cat([part[name][:n] for part, n in zip(parts, lengths, strict=True)]) for name in parts[0]}
    offsets = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    return found | {"offsets": offsets, "born": torch.tensor([1.0, 0.0, 1.0])}


@torch.inference_mode()
def test_states_added_one_by_one_are_those_of_the_whole() -> None:
    torch.manual_seed(0)
    encoder, parts = EventEncoder("events-1x64", TOKENS).eval(), histories()
    cache = EventCache(encoder, packed(parts, LENGTHS), MORE)
    torch.testing.assert_close(cache.states, encoder(packed(parts, LENGTHS)).pooled, atol=1e-5, rtol=0)
    for step in range(MORE):
        event = {
            name: torch.stack([part[name][n + step] for part, n in zip(parts, LENGTHS, strict=True)])
            for name in parts[0]
        }
        whole = encoder(packed(parts, [n + step + 1 for n in LENGTHS])).pooled
        torch.testing.assert_close(cache.add(event), whole, atol=1e-5, rtol=0)
    with pytest.raises(IndexError):
        cache.add({name: torch.stack([part[name][-1] for part in parts]) for name in parts[0]})


@torch.inference_mode()
def test_repeated_futures_start_alike_and_go_apart() -> None:
    torch.manual_seed(0)
    encoder, parts = EventEncoder("events-1x64", TOKENS).eval(), histories()
    cache = EventCache(encoder, packed(parts, LENGTHS), MORE).repeated(2)
    assert torch.equal(cache.states[0], cache.states[1])
    event = {name: torch.stack([part[name][-1] for part in parts for _ in range(2)]) for name in parts[0]}
    event["codes"] = torch.tensor([0, 1, 0, 1, 0, 1])
    states = cache.add(event)
    assert not torch.allclose(states[0], states[1])
