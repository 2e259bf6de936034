"""Masked autoencoding: most patches are hidden, and the rest must tell what was there (MAE)."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Protocol, cast

import torch
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.errors import RecipeError
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput
from suwen.learn.objectives.settings import Bounds, objective_settings
from suwen.learn.processes import uniform

HEAD_WIDTH = 32
"""Width of an attention head of the decoder."""


class PatchEncoder(Protocol):
    """What an `Encoder` must offer besides: it can be given only some of its patches."""

    grid: tuple[int, int]
    patch: tuple[int, int]

    def prepare(self, images: Tensor) -> Tensor:
        """Images as they are cut into patches: normalised, of the size that the network reads."""
        ...

    def tokenize(self, prepared: Tensor) -> Tensor:
        """``(B, N, D)`` patches with their positions."""
        ...

    def contextualise(self, tokens: Tensor) -> Tensor:
        """``(B, n, D)`` some patches → ``(B, n, D)`` after all layers."""
        ...


class MaskedPatches(nn.Module):
    """A masked autoencoder (He et al. 2022) around any encoder of patches; the decoder is thrown away.

    Only the visible patches go through the encoder, so that a step costs about ``1 - masked`` of a whole one.

    Settings (``objective``): ``masked``, share of hidden patches; ``depth`` and ``width`` of the decoder;
    ``normalise``, 1 to predict patches of mean 0 and variance 1 (section 4.2, "reconstruction target").
    """

    KNOWN: ClassVar[dict[str, Bounds]] = {
        "masked": (0.75, 0.05, 0.95),
        "depth": (2.0, 1.0, 12.0),
        "width": (128.0, 32.0, 1024.0),
        "normalise": (1.0, 0.0, 1.0),
    }
    positions: Tensor

    def __init__(self, encoder: Any, head: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        settings = objective_settings(recipe, self.KNOWN)
        if getattr(encoder, "grid", None) is None:
            raise RecipeError(
                f"{recipe.task} with the encoder {encoder.config['name']}",
                why="hiding patches needs a network that reads patches one by one: a vision transformer",
                fix="--encoder suwen:vit-narrow, --encoder timm:vit_small_patch16_224, or image-contrastive",
            )
        self.encoder, self.head = encoder, head
        self.masked, self.normalise = settings["masked"], bool(settings["normalise"])
        patches: PatchEncoder = encoder
        width = HEAD_WIDTH * max(1, round(settings["width"] / HEAD_WIDTH))
        self.enter = nn.Linear(encoder.width, width)
        self.hidden = nn.Parameter(torch.zeros(1, 1, width))
        self.decode = nn.Sequential(
            *(Block(width, width // HEAD_WIDTH, qkv_bias=True) for _ in range(int(settings["depth"]))),
            nn.LayerNorm(width),
            nn.Linear(width, math.prod(patches.patch) * encoder.mean.shape[1]),
        )
        self.register_buffer("positions", sincos_positions(patches.grid, width))
        nn.init.normal_(self.hidden, std=0.02)

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": mean squared error of the hidden patches, "output": (B, N, P) all patches as predicted}``."""
        patches = cast(PatchEncoder, self.encoder)
        prepared = patches.prepare(batch["inputs"])
        tokens = patches.tokenize(prepared)
        shuffled, back, visible = self._draw(tokens, batch)
        seen = patches.contextualise(_pick(tokens, shuffled[:, :visible]))
        predicted = self._restore(seen, back).float()
        hidden = back >= visible
        target = cut(prepared, patches.patch).float()
        if self.normalise:
            target = normalised(target)
        return {"loss": ((predicted - target) ** 2).mean(-1)[hidden].mean(), "output": predicted}

    def after_step(self) -> None:
        """Nothing to do."""

    def _draw(self, tokens: Tensor, batch: Batch) -> tuple[Tensor, Tensor, int]:
        """A random order of each input's patches, its inverse, and how many of them are visible: at least one."""
        count = tokens.shape[1]
        visible = min(count - 1, max(1, round(count * (1 - self.masked))))
        shuffled = uniform(len(tokens), count, batch).argsort(1).to(tokens.device)
        return shuffled, shuffled.argsort(1), visible

    def _restore(self, seen: Tensor, back: Tensor) -> Tensor:
        """Every patch from the visible ones; in the place of a hidden one stands one learned token."""
        entered = self.enter(seen)
        blank = self.hidden.to(entered.dtype).expand(len(entered), back.shape[1] - entered.shape[1], -1)
        full = _pick(torch.cat([entered, blank], 1), back)
        restored: Tensor = self.decode(full + self.positions.to(full.dtype))
        return restored


def sincos_positions(grid: tuple[int, int], width: int) -> Tensor:
    """``(1, N, width)`` fixed sine-cosine positions of a grid (He et al. 2022, section A.1)."""
    return build_sincos2d_pos_embed(list(grid), dim=width)[None]


def cut(images: Tensor, patch: tuple[int, int]) -> Tensor:
    """``(B, C, H, W)`` → ``(B, N, p·q·C)`` patches, row by row."""
    (batch, channels, rows, columns), (height, width) = images.shape, patch
    parts = images.reshape(batch, channels, rows // height, height, columns // width, width)
    return parts.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def normalised(patches: Tensor) -> Tensor:
    """Each patch with mean 0 and variance 1; a patch of one shade becomes 0."""
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()


def _pick(tokens: Tensor, order: Tensor) -> Tensor:
    """``(B, N, D)`` and ``(B, n)`` → ``(B, n, D)``."""
    return tokens.gather(1, order[..., None].expand(-1, -1, tokens.shape[-1]))
