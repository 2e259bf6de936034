"""`Engine`: what runs an encoder and its head, so that a Model need not be answered by torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Engine(Protocol):
    """Raw inputs in, logits and pooled features out. Everything before and after stays the Model's.

    Attributes:
        name: ``"onnx"``, as in ``--engine onnx``.
        threads: how many cores it uses.
    """

    name: str
    threads: int

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """One batch as the Model's preprocessing gives it → logits ``(B, …)`` and pooled ``(B, D)``, both float32."""
        ...
