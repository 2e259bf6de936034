"""Grad-CAM: the last feature maps, weighed by how much the label's logit rises with each."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.model import Model, evaluating


def grad_cam(model: Model, images: Tensor, labels: Tensor) -> Tensor:
    """Attributions of one label an image.

    ``relu(Σ_k α_k A_k)`` with ``α_k`` the mean over the grid of ``∂ logit / ∂ A_k`` (Selvaraju et al. 2017,
    equations 1 and 2), at the layer that the encoder names (`cam_layer`), enlarged linearly to the image.

    Args:
        model: any encoder with maps or patch tokens, and its head.
        images: ``(B, C, *S)``, uint8 or float in [0, 1].
        labels: ``(B,)`` label numbers.

    Returns:
        ``(B, *S)`` in [0, 1]; all 0 where nothing speaks for the label.

    Raises:
        RecipeError: the encoder has neither maps nor patch tokens.
    """
    held: list[Tensor] = []
    hook = model.encoder.cam_layer().register_forward_hook(lambda _module, _inputs, output: _hold(held, output))
    try:
        with evaluating(model.parts().values()), torch.enable_grad():
            inputs = images.float().div(255) if images.dtype == torch.uint8 else images.detach()
            logits = model.logits(inputs.requires_grad_(True))
            chosen = logits.gather(1, labels[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, held)
    finally:
        hook.remove()
    grid, slope = _as_grid(held[0].detach(), model), _as_grid(gradient, model)
    axes = tuple(range(2, grid.ndim))
    weighed = F.relu((slope.mean(axes, keepdim=True) * grid).sum(1, keepdim=True))
    peak = weighed.amax((1, *axes), keepdim=True)
    scaled = torch.where(peak > 0, weighed / peak.clamp_min(1e-12), torch.zeros_like(weighed))
    mode = "bilinear" if grid.ndim == 4 else "trilinear"
    return F.interpolate(scaled, size=images.shape[2:], mode=mode)[:, 0]


def _hold(held: list[Tensor], output: Tensor) -> Tensor:
    # parameters may be frozen, so the map itself is made a leaf of the graph where it is none yet
    output = output if output.requires_grad else output.requires_grad_(True)
    held.append(output)
    return output


def _as_grid(values: Tensor, model: Model) -> Tensor:
    """``(B, C, *S)`` from maps, channels-last maps, or class-and-patch tokens."""
    if values.ndim == 5:
        return values
    inner = cast(nn.Module, getattr(model.encoder, "model", model.encoder))
    if values.ndim == 4:
        return values.permute(0, 3, 1, 2) if getattr(inner, "output_fmt", "NCHW") == "NHWC" else values
    if values.ndim != 3:
        raise RecipeError(
            f"the encoder's last layer gives {values.ndim} axes",
            why="Grad-CAM needs a grid",
            fix="choose another method",
        )
    patches = values[:, int(getattr(inner, "num_prefix_tokens", 0)) :]
    side = int(patches.shape[1] ** 0.5)
    return patches.transpose(1, 2).reshape(len(values), -1, side, side)
