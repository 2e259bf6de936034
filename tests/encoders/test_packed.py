from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from suwen.encoders.packed import Layout, attend
from suwen.encoders.rotary import rotate, rotations


def one_by_one(queries: Tensor, keys: Tensor, values: Tensor, lengths: list[int]) -> Tensor:
    """Scaled dot-product attention as its formula says, a sequence and a token at a time."""
    found, start = [], 0
    for length in lengths:
        for last in range(start, start + length):
            seen = slice(start, last + 1)
            scores = torch.einsum("hd,nhd->nh", queries[last], keys[seen]) / math.sqrt(queries.shape[-1])
            found.append(torch.einsum("nh,nhd->hd", scores.softmax(0), values[seen]))
        start += length
    return torch.stack(found)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.floats(0.0, 1.0), st.integers(0, 1000))
def test_attention_over_packed_sequences_is_that_of_each_alone(lengths: list[int], like: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    queries, keys, values = (torch.randn(sum(lengths), 2, 4, generator=generator) for _ in range(3))
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)
    for layout in (Layout.each(offsets), Layout.together(offsets, like=like)):
        found = attend(queries, keys, values, layout)
        torch.testing.assert_close(found, one_by_one(queries, keys, values, lengths), atol=1e-5, rtol=0)


@pytest.mark.parametrize("layout", [Layout.each, Layout.together])
def test_no_gradient_passes_between_sequences_or_backwards_in_time(layout: Callable[[Tensor], Layout]) -> None:
    values = torch.randn(9, 2, 4, requires_grad=True)
    keys, queries = torch.randn(9, 2, 4, requires_grad=True), torch.randn(9, 2, 4)
    found = attend(queries, keys, values, layout(torch.tensor([0, 4, 9])))
    found[5].sum().backward()  # the second token of the second sequence
    for part in (values, keys):
        assert part.grad is not None
        touched = part.grad.abs().sum((1, 2)) > 0
        assert touched.tolist() == [False] * 4 + [True, True] + [False] * 3


def test_at_most_a_quarter_is_filling() -> None:
    lengths = torch.randint(1, 300, (64,), generator=torch.Generator().manual_seed(0))
    layout = Layout.together(torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]))
    assert sum(count * longest for count, longest, _ in layout.groups) <= int(lengths.sum()) / 0.75


def test_rotation_keeps_lengths_and_depends_on_differences_alone() -> None:
    states = torch.randn(2, 3, 8)
    turned = rotate(states, *rotations(torch.tensor([3.0, 17.5]), 8))
    torch.testing.assert_close(turned.norm(dim=-1), states.norm(dim=-1), atol=1e-5, rtol=1e-5)
    later = rotate(states, *rotations(torch.tensor([103.0, 117.5]), 8))
    torch.testing.assert_close((turned[0] * turned[1]).sum(-1), (later[0] * later[1]).sum(-1), atol=1e-4, rtol=0)
