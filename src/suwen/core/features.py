"""`Features`: what an encoder gives, `Z = C(X)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(slots=True)
class Features:
    """One batch of features.

    Attributes:
        pooled: ``(B, D)``, one vector an input.
        tokens: ``(B, N, D)``, one vector a patch, word or event; None where the encoder has none. Of packed sequences
            ``(T, D)``, one after another, with `offsets`.
        maps: grids ``(B, C, H, W)`` from fine to coarse; None where the encoder has none. The coarsest is always
            given by encoders that have maps; the finer ones only when the head asked for them (``Head.needs``).
        size: height and width (and depth) of the inputs, to which a map of answers is brought; None without maps.
        offsets: ``(B + 1,)``: the tokens of input b are ``offsets[b]`` to ``offsets[b + 1]``; None where not packed.
    """

    pooled: Tensor
    tokens: Tensor | None = None
    maps: tuple[Tensor, ...] | None = None
    size: tuple[int, ...] | None = None
    offsets: Tensor | None = None
