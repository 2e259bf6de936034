"""What happens inside a network while one input passes: which modules run, in which order, and what they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Call:
    """A module that gave a tensor: its name, its class, the tensor's shape."""

    name: str
    kind: str
    shape: torch.Size


@dataclass(frozen=True)
class Trace:
    """One pass.

    Attributes:
        output: what came out at the end.
        calls: modules that gave a tensor, in the order in which they finished.
        blocks: block (see `block_of`) → its place in the order in which blocks were first entered.
    """

    output: Any
    calls: list[Call]
    blocks: dict[str, int]


def block_of(name: str) -> str:
    """The block that a parameter or module belongs to: its name up to the second number in it.

    Up to the first if there is one only, else its first part: ``layers.3.mlp.fc1`` → ``layers.3``,
    ``stages.0.layers.1.conv`` → ``stages.0.layers.1``, ``layernorm.weight`` → ``layernorm``.
    """
    parts = name.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdigit()][:2]
    return ".".join(parts[: numbers[-1] + 1]) if numbers else parts[0]


def trace(whole: nn.Module, inner: nn.Module, inputs: Tensor) -> Trace:
    """Pass `inputs` through `whole` in evaluation mode without gradients, watching the modules of `inner`."""
    calls: list[Call] = []
    blocks: dict[str, int] = {}
    hooks = []
    for name, module in inner.named_modules():
        if not name:
            continue
        if next(module.parameters(recurse=False), None) is not None:
            hooks.append(module.register_forward_pre_hook(_entering(name, blocks)))
        hooks.append(module.register_forward_hook(_leaving(name, calls)))
    mode = whole.training
    whole.eval()
    try:
        with torch.no_grad():
            output = whole(inputs)
    finally:
        for hook in hooks:
            hook.remove()
        whole.train(mode)
    return Trace(output, calls, blocks)


def _entering(name: str, blocks: dict[str, int]) -> Any:
    def note(_module: nn.Module, _inputs: Any) -> None:
        blocks.setdefault(block_of(name), len(blocks))

    return note


def _leaving(name: str, calls: list[Call]) -> Any:
    def note(module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            calls.append(Call(name, type(module).__name__, output.shape))

    return note
