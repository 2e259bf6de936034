"""Attention rollout: attention multiplied through the layers of a vision transformer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.model import Model, evaluating
from suwen.explanation.parts import parts_of


def attention_rollout(model: Model, images: Tensor, labels: Tensor) -> Tensor:
    """Which patches the answer could draw on: the same for every label, so it never says *why this label*.

    ``Ã = ½ A + ½ I``, rows made to add up to 1, multiplied from the first layer to the last (Abnar & Zuidema 2020,
    section 3), A averaged over heads; then the row of the class token, or the mean over patches where these are pooled.

    Args:
        model: a timm vision transformer with one sequence of patches throughout, and its head.
        images: ``(B, C, H, W)``, uint8 or float in [0, 1].
        labels: ``(B,)``; not used.

    Returns:
        ``(B, H, W)`` in [0, 1].

    Raises:
        RecipeError: the encoder is no such transformer.
    """
    inner: Any = getattr(model.encoder, "model", model.encoder)
    attentions = _attentions(inner, str(model.encoder.config["name"]) if hasattr(model.encoder, "config") else "it")
    with evaluating(model.parts().values()), torch.inference_mode(), _watching(attentions) as seen:
        read = parts_of(model).read(images)
        model.encoder(read.to(model.device))
    flow = rollout([attention.float().mean(1).cpu() for attention in seen])
    first = int(getattr(inner, "num_prefix_tokens", 0))
    pools_class = first > 0 and str(getattr(inner, "global_pool", "token")) in ("token", "")
    patches = (flow[:, 0] if pools_class else flow[:, first:].mean(1))[:, first:]
    grid = patches.reshape(len(patches), 1, *inner.patch_embed.grid_size)
    grid = grid / grid.amax((2, 3), keepdim=True).clamp_min(1e-12)
    return F.interpolate(grid, size=images.shape[-2:], mode="bilinear")[:, 0]


def rollout(attentions: list[Tensor]) -> Tensor:
    """Layers of ``(B, N, N)`` → ``(B, N, N)``: how much of each token of the input is in each token of the output."""
    flow = torch.eye(attentions[0].shape[-1]).expand_as(attentions[0])
    for attention in attentions:
        mixed = attention + torch.eye(attention.shape[-1])
        flow = (mixed / mixed.sum(-1, keepdim=True)) @ flow
    return flow


def _attentions(inner: Any, name: str) -> list[nn.Module]:
    found = [getattr(block, "attn", None) for block in getattr(inner, "blocks", ())]
    fits = found and all(hasattr(one, "attn_drop") and hasattr(one, "fused_attn") for one in found)
    if not fits or not hasattr(getattr(inner, "patch_embed", None), "grid_size"):
        raise RecipeError(
            f"{name} has no attention over one sequence of patches",
            why="attention rollout multiplies the attention of the layers of a plain vision transformer (ViT, DeiT)",
            fix="--method occlusion, which fits any encoder; or --encoder timm:vit_small_patch16_224",
        )
    return [one for one in found if one is not None]


@contextmanager
def _watching(attentions: list[nn.Module]) -> Iterator[list[Tensor]]:
    """Collect each layer's attention ``(B, heads, N, N)``. Fused kernels never show it, so they are off meanwhile."""
    seen: list[Tensor] = []
    fused = [bool(one.fused_attn) for one in attentions]
    hooks = [
        one.get_submodule("attn_drop").register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        for one in attentions
    ]
    try:
        for one in attentions:
            one.fused_attn = False  # type: ignore[assignment]
        yield seen
    finally:
        for one, was, hook in zip(attentions, fused, hooks, strict=True):
            one.fused_attn = was  # type: ignore[assignment]
            hook.remove()
