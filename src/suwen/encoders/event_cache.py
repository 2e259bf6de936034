"""Going on from a history one event at a time: keys and values of what was seen are kept, not computed again.

An event costs one pass over one token a sequence, whatever the length of the history; the loop of ETHOS, which has no
such cache, passes over the whole window for each (field/records.md, section 5).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from suwen.encoders.events import EventEncoder
from suwen.encoders.packed import Layout, attend
from suwen.encoders.rotary import rotations

Event = dict[str, Tensor]
"""One event of each of B sequences: codes, buckets, values, ages, intervals ``(B,)``, as in a packed batch."""


class EventCache:
    """What B sequences have been told so far.

    Args:
        encoder: in evaluation mode.
        inputs: a packed batch of B histories.
        room: how many events can be added to each.

    Attributes:
        states: ``(B, D)``, the state of the last token of each.
        lengths: int64 (B,), tokens of each.
    """

    def __init__(self, encoder: EventEncoder, inputs: dict[str, Tensor], room: int) -> None:
        self.encoder, self.born = encoder, inputs["born"]
        offsets = inputs["offsets"].long()
        self.lengths = offsets.diff()
        longest, count = int(self.lengths.max()) + room, len(self.lengths)
        owner = torch.arange(count, device=offsets.device).repeat_interleave(self.lengths)
        inside = torch.arange(len(owner), device=offsets.device) - offsets[:-1][owner]
        layout, turns = Layout.of(offsets), rotations(inputs["ages"], encoder.head_width)
        states = encoder.embed(inputs)
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        for layer in encoder.blocks():
            queries, keys, values = layer.heads_of(states, turns)
            for kept, part in ((self.keys, keys), (self.values, values)):
                laid = part.new_zeros(count, longest, *part.shape[1:])
                laid[owner, inside] = part
                kept.append(laid)
            states = layer.finish(states, attend(queries, keys, values, layout))
        self.states: Tensor = encoder.norm(states)[offsets[1:] - 1]

    def add(self, event: Event) -> Tensor:
        """One more event of each sequence; its state ``(B, D)``.

        Raises:
            IndexError: there is no room.
        """
        count = len(self.lengths)
        one = torch.arange(count + 1, device=self.lengths.device)
        states = self.encoder.embed({**event, "offsets": one, "born": self.born})
        turns = rotations(event["ages"], self.encoder.head_width)
        seen = torch.arange(self.keys[0].shape[1], device=one.device) <= self.lengths[:, None]
        for number, layer in enumerate(self.encoder.blocks()):
            queries, keys, values = layer.heads_of(states, turns)
            self.keys[number][one[:-1], self.lengths] = keys
            self.values[number][one[:-1], self.lengths] = values
            found = F.scaled_dot_product_attention(
                queries[:, :, None],
                self.keys[number].transpose(1, 2),
                self.values[number].transpose(1, 2),
                attn_mask=seen[:, None, None],
            )
            states = layer.finish(states, found[:, :, 0])
        self.lengths = self.lengths + 1
        self.states = self.encoder.norm(states)
        return self.states

    def repeated(self, times: int) -> EventCache:
        """Each sequence so many times, one after another: futures that are drawn apart."""
        found = object.__new__(EventCache)
        found.encoder = self.encoder
        for name in ("born", "lengths", "states"):
            setattr(found, name, getattr(self, name).repeat_interleave(times, 0))
        found.keys, found.values = (
            [part.repeat_interleave(times, 0) for part in kept] for kept in (self.keys, self.values)
        )
        return found
