"""Attention within each of many sequences that lie end to end, none of which sees another.

Two ways give the same. On a CPU each sequence is attended to by itself, one call after another. On a GPU, where a call
costs more than what it computes, sequences of like length are laid beside each other, filled up to the longest of them:
attention is causal, so that no token sees the filling, which comes after it, and no mask is needed. The rest of a
network works on the packed tokens and never on filling.

Of 32 sequences of 8 to 256 tokens (5,810 in all; 4 heads of 32; forward and backward in fp32 on one core of a busy Xeon
with AMX, median processor time): one call each 48 ms; like lengths together 65 ms; all filled up to the longest 64 ms;
one call with a block mask 1,023 ms. `python -m benchmarks record-model` measures it again. On a GPU nothing was
measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LIKE = 0.75
"""Sequences at least so long, as a share of the longest, are laid together: at most a quarter is filling."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Where packed sequences are.

    Attributes:
        lengths: of each, tokens.
        groups: of those laid together, how many they are, their filled length, and int64 (b · L,) the packed token at
            each place; none where each is attended to by itself.
        place: int64 (T,), where each packed token is among all places, group after group; None likewise.
    """

    lengths: list[int]
    groups: tuple[tuple[int, int, Tensor], ...] = ()
    place: Tensor | None = None

    @classmethod
    def of(cls, offsets: Tensor) -> Layout:
        """The layout that is faster where the offsets ``(B + 1,)`` are."""
        return cls.each(offsets) if offsets.device.type == "cpu" else cls.together(offsets)

    @classmethod
    def each(cls, offsets: Tensor) -> Layout:
        """Each sequence by itself."""
        return cls(offsets.diff().tolist())

    @classmethod
    def together(cls, offsets: Tensor, *, like: float = LIKE) -> Layout:
        """Those of like length together."""
        ends = offsets.cpu().numpy().astype(np.int64)
        starts, lengths = ends[:-1], np.diff(ends)
        order = np.argsort(-lengths, kind="stable")
        place, groups, begin, laid = np.empty(int(ends[-1]), np.int64), [], 0, 0
        while begin < len(order) and lengths[order[begin]] > 0:
            longest = int(lengths[order[begin]])
            count = int((lengths[order[begin:]] >= max(1.0, like * longest)).sum())
            some = order[begin : begin + count]
            inside = np.arange(longest)
            tokens = starts[some][:, None] + np.minimum(inside, lengths[some][:, None] - 1)
            there = inside < lengths[some][:, None]
            place[tokens[there]] = laid + np.flatnonzero(there)
            groups.append((count, longest, torch.from_numpy(tokens.reshape(-1)).to(offsets.device)))
            laid, begin = laid + count * longest, begin + count
        return cls(lengths.tolist(), tuple(groups), torch.from_numpy(place).to(offsets.device))


def attend(queries: Tensor, keys: Tensor, values: Tensor, layout: Layout) -> Tensor:
    """Causal attention within each sequence (Vaswani et al. 2017, section 3.2.1): ``(T, H, d)`` → ``(T, H, d)``."""
    if not len(values):
        return values
    if layout.place is None:
        return _one_by_one(queries, keys, values, layout.lengths)
    found = []
    for count, longest, tokens in layout.groups:
        laid = [
            part.index_select(0, tokens).view(count, longest, *part.shape[1:]).transpose(1, 2)
            for part in (queries, keys, values)
        ]
        seen = F.scaled_dot_product_attention(laid[0], laid[1], laid[2], is_causal=True)
        found.append(seen.transpose(1, 2).reshape(count * longest, *queries.shape[1:]))
    return torch.cat(found).index_select(0, layout.place)


def _one_by_one(queries: Tensor, keys: Tensor, values: Tensor, lengths: list[int]) -> Tensor:
    laid = [part.transpose(0, 1)[None] for part in (queries, keys, values)]
    parts = zip(*(part.split(lengths, 2) for part in laid), strict=True)  # type: ignore[no-untyped-call]
    seen = [F.scaled_dot_product_attention(q, k, v, is_causal=True) for q, k, v in parts if q.shape[2]]
    return torch.cat(seen, 2)[0].transpose(0, 1)
