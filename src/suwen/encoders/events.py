"""``suwen:events-…``: a decoder over the events of a record, from codes, values and times to what comes next."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.data.records.token_kernels import BUCKETS, INTERVALS
from suwen.data.records.tokens import EventTokens
from suwen.encoders.packed import Layout, attend
from suwen.encoders.rotary import rotate, rotations

YEARS = 100.0
DAYS = 365.25


class Preset(NamedTuple):
    """Layers, width, attention heads."""

    depth: int
    width: int
    heads: int


PRESETS = {
    "events-1x64": Preset(1, 64, 2),
    "events-2x128": Preset(2, 128, 4),
    "events-4x256": Preset(4, 256, 8),
    "events-6x768": Preset(6, 768, 12),
}
"""The second is for two cores; the last is that of ETHOS and FEMR (field/records.md, section 5)."""


class EventEncoder(nn.Module):
    """A decoder-only transformer (`suwen.core.encoder.Encoder`) over packed sequences
    (`suwen.data.records.sequences.Inputs`): RMSNorm before each part (Zhang & Sennrich 2019), SwiGLU (Shazeer 2020),
    rotary embedding of the age in days.

    A token is the sum of its code's embedding and those of the codes above it (as in MOTOR: Steinberg et al. 2023), of
    its decile, of its standardised value times a direction of the code, of the interval since the token before, and of
    the age. `Features.pooled` is the state of a sequence's last token; `tokens` are all.

    Args:
        name: of `PRESETS`.
        tokens: the preprocessing, fitted: its vocabulary is that of the embeddings.
        dropout: on what attention and SwiGLU add.
        pooling: ``"last"``, or ``"attention"``: a learned average of all tokens is added to the last.
    """

    map_widths: tuple[int, ...] = ()
    licence: str | None = None

    def __init__(
        self,
        name: str,
        tokens: EventTokens,
        *,
        dropout: float = 0.0,
        pooling: str = "last",
    ) -> None:
        super().__init__()
        if not isinstance(tokens, EventTokens):
            raise RecipeError(
                f"the encoder suwen:{name} for {type(tokens).__name__}",
                why="it reads events of records, not pictures",
                fix="a task that reads records: suwen tasks",
            )
        if pooling not in ("last", "attention"):
            raise RecipeError(f"pooling {pooling!r}", why="known: last, attention", fix="pooling=last")
        depth, width, heads = PRESETS[name]
        self.config: dict[str, Any] = {"name": f"suwen:{name}", "dropout": dropout, "pooling": pooling}
        self.width, self.head_width = width, width // heads
        self.vocabulary = tokens.digest
        self.codes = nn.Embedding(tokens.count, width)
        self.slopes = nn.Embedding(tokens.count, width)
        self.buckets = nn.Embedding(BUCKETS, width)
        self.intervals = nn.Embedding(INTERVALS, width)
        self.age = nn.Linear(3, width, bias=False)
        self.register_buffer("above", _above(tokens), persistent=False)
        self.layers = nn.ModuleList(Layer(width, heads, dropout) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        self.pool = nn.Linear(width, 1) if pooling == "attention" else None
        self.apply(_start)

    above: Tensor

    def forward(self, inputs: dict[str, Tensor]) -> Features:
        """One packed batch → ``pooled (B, D)``, ``tokens (T, D)``, ``offsets (B + 1,)``."""
        states = self.embed(inputs)
        layout = Layout.of(inputs["offsets"])
        turns = rotations(inputs["ages"], self.head_width)
        for layer in self.blocks():
            states = layer(states, turns, layout)
        states = self.norm(states)
        offsets = inputs["offsets"].long()
        pooled = states[offsets[1:] - 1]
        if self.pool is not None:
            pooled = pooled + self._average(states, offsets)
        return Features(pooled, tokens=states, offsets=offsets)

    def blocks(self) -> list[Layer]:
        """The layers, from the input on."""
        return list(self.layers)  # type: ignore[arg-type]

    def embed(self, inputs: dict[str, Tensor]) -> Tensor:
        """``(T, D)`` tokens before the first layer."""
        table = self.table()
        codes, values = inputs["codes"], inputs["values"][:, None]
        offsets = inputs["offsets"].long()
        born = inputs["born"].repeat_interleave(offsets.diff(), output_size=len(codes))
        years = inputs["ages"] / DAYS / YEARS * born
        times = torch.stack([years, years**2, born], dim=-1)
        told = F.embedding(codes, table) + self.slopes(codes) * values
        states: Tensor = told + self.buckets(inputs["buckets"]) + self.intervals(inputs["intervals"]) + self.age(times)
        return states

    def table(self) -> Tensor:
        """``(V, D)``: each code's embedding with those of all codes above it."""
        padded = torch.cat([self.codes.weight, self.codes.weight.new_zeros(1, self.width)])
        return self.codes.weight + padded[self.above].sum(1)

    def depths(self) -> dict[str, int]:
        """Embeddings 0, layers from 1 on, the last norm after them."""
        found = {}
        for name, _ in self.named_parameters():
            parts = name.split(".")
            last = len(self.layers) + (parts[0] in ("norm", "pool"))
            found[name] = int(parts[1]) + 1 if parts[0] == "layers" else last if parts[0] in ("norm", "pool") else 0
        return found

    def cam_layer(self) -> nn.Module:
        """Grad-CAM weighs maps, and events have none.

        Raises:
            RecipeError: always.
        """
        raise RecipeError("Grad-CAM of records", why="events lie on no grid", fix="another explanation")

    def _average(self, states: Tensor, offsets: Tensor) -> Tensor:
        """``(B, D)``: a softmax over the tokens of each sequence, and what they have at these weights."""
        assert self.pool is not None
        count = len(offsets) - 1
        owner = torch.arange(count, device=states.device).repeat_interleave(offsets.diff(), output_size=len(states))
        scores = self.pool(states).float()[:, 0]
        highest = scores.new_full((count,), -torch.inf).scatter_reduce(0, owner, scores.detach(), "amax")
        weights = (scores - highest[owner]).exp()
        total = weights.new_zeros(count).index_add(0, owner, weights)
        share = (weights / total[owner])[:, None]
        return torch.zeros(count, self.width, device=states.device).index_add(0, owner, share * states.float())


class Layer(nn.Module):
    """Attention and SwiGLU, each added to what comes in."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        hidden = 64 * -(-8 * width // (3 * 64))  # Shazeer 2020: two thirds of four widths, here in steps of 64
        self.before, self.after = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.rise = nn.Linear(width, 2 * hidden, bias=False)
        self.fall = nn.Linear(hidden, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, turns: tuple[Tensor, Tensor], layout: Layout) -> Tensor:
        """``(T, D)`` → ``(T, D)``."""
        queries, keys, values = self.heads_of(states, turns)
        return self.finish(states, attend(queries, keys, values, layout))

    def heads_of(self, states: Tensor, turns: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values ``(T, H, d)``; the first two turned."""
        parts = self.attention(self.before(states)).view(len(states), 3, self.heads, -1)
        queries, keys, values = parts.unbind(1)
        return rotate(queries, *turns), rotate(keys, *turns), values

    def finish(self, states: Tensor, seen: Tensor) -> Tensor:
        """What was seen is added, then what SwiGLU makes of it."""
        states = states + self.dropout(self.out(seen.reshape(len(states), -1)))
        gate, value = self.rise(self.after(states)).chunk(2, dim=-1)
        changed: Tensor = states + self.dropout(self.fall(F.silu(gate) * value))
        return changed


def _above(tokens: EventTokens) -> Tensor:
    """int64 (V, most): the tokens above each, filled with V."""
    most = max(1, *map(len, tokens.above))
    filled = [[*above, *[tokens.count] * (most - len(above))] for above in tokens.above]
    return torch.tensor(filled, dtype=torch.int64)


def _start(module: nn.Module) -> None:
    """Weights of deviation 0.02, as in GPT-2 (Radford et al. 2019); slopes at 0, so that a value says nothing at first
    but by its decile."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, EventEncoder):
        nn.init.zeros_(module.slopes.weight)
