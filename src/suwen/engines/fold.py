"""Batch normalisation worked into the convolution before it."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module, inputs: Tensor) -> nn.Module:
    """A copy of `network` in which each batch normalisation that reads just one convolution is part of it.

    In evaluation mode ``BN(w * x + b) = (γ/σ)w * x + (γ/σ)(b - μ) + β``: one pass over the grid instead of two. Which
    belongs to which is seen by running `inputs` through the network, so any architecture will do. That no one else
    reads a convolution's output cannot be seen so: compare the answers.
    """
    folded = copy.deepcopy(network).eval()
    for before, after in _pairs(folded, inputs):
        conv, norm = folded.get_submodule(before), folded.get_submodule(after)
        _put(folded, before, fuse_conv_bn_eval(conv, norm))  # type: ignore[type-var,arg-type]
        _put(folded, after, _what_is_left(norm))
    return folded


def _pairs(network: nn.Module, inputs: Tensor) -> list[tuple[str, str]]:
    """Names of convolutions and of the normalisations that read them; each is called once, and by no other."""
    gave: list[tuple[str, Tensor]] = []
    read: list[tuple[str, Tensor]] = []
    hooks = []
    for name, module in network.named_modules():
        if type(module) is nn.Conv2d:
            hooks.append(module.register_forward_hook(lambda _m, _i, out, name=name: gave.append((name, out))))
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            hooks.append(module.register_forward_hook(lambda _m, given, _o, name=name: read.append((name, given[0]))))
    try:
        with torch.inference_mode():
            network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    calls = Counter(name for name, _ in gave + read)
    readers = Counter(id(tensor) for _, tensor in read)
    givers = {id(tensor): name for name, tensor in gave if calls[name] == 1 and readers[id(tensor)] == 1}
    return [(givers[id(tensor)], name) for name, tensor in read if id(tensor) in givers and calls[name] == 1]


def _what_is_left(norm: Any) -> nn.Module:
    """timm's normalisations hold an activation too."""
    left = [part for part in (getattr(norm, "drop", None), getattr(norm, "act", None)) if part is not None]
    return nn.Sequential(*left) if left else nn.Identity()


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, module)
