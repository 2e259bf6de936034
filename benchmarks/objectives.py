"""SimCLR and MAE as one would write them by hand, which the benchmark ``pretraining`` compares with suwen's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from benchmarks.loops import Setting, wait
from suwen.core.dataset import Dataset
from suwen.learn.augment import ImageAugment

WIDTH, DEPTH, HEADS = 128, 2, 4
"""Of the MAE decoder."""

PATCH, MASKED, TEMPERATURE, PROJECTED = 8, 0.75, 0.2, 128


class BareObjective(ABC, nn.Module):
    """Float tensors on the device, a permutation, transforms, forward, backward, clip, fused AdamW.

    Args:
        dataset: its pixels are made into float tensors in [0, 1] once, before any clock runs.
        allowed: the transforms of the recipe; the same pure functions as suwen calls.
        setting: precision and memory format.
        batch_size: images a step.
    """

    def __init__(self, dataset: Dataset, allowed: dict[str, dict[str, Any]], setting: Setting, batch_size: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bfloat16, self.batch_size = setting.precision == "bf16", batch_size
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        layout = torch.channels_last if setting.channels_last else torch.contiguous_format
        pixels = torch.from_numpy(dataset.take(np.arange(len(dataset)))).to(device)
        self.images = (pixels.float() / 255).contiguous(memory_format=layout)
        self.augment, self.draws = ImageAugment(allowed, 0), torch.Generator().manual_seed(0)
        self.build(*pixels.shape[1:3])
        self.to(device).to(memory_format=layout)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.05, fused=True)

    @abstractmethod
    def build(self, channels: int, size: int) -> None:
        """Make the layers."""

    @abstractmethod
    def loss(self, images: Tensor) -> Tensor:
        """Of one batch ``(B, C, H, W)`` in [0, 1]."""

    def rounds(self, images: int) -> None:
        """Train on so many images."""
        self.train()
        rows = torch.randperm(images).remainder(len(self.images)).to(self.images.device)
        for chosen in torch.split(rows, self.batch_size):
            with torch.autocast(self.images.device.type, torch.bfloat16, enabled=self.bfloat16):
                loss = self.loss(self.images[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
        wait(self.images.device)

    def view(self, images: Tensor) -> Tensor:
        """The images, changed at random."""
        changed: Tensor = self.augment({"inputs": images, "target": images}, self.draws)["inputs"]
        return changed


class BareContrastive(BareObjective):
    """SimCLR (Chen et al. 2020): ResNet-18 of half width, two views, NT-Xent as a cross-entropy over 2B images."""

    def build(self, channels: int, size: int) -> None:
        """See `BareObjective.build`."""
        self.network: Any = timm.create_model("resnet18", in_chans=channels, num_classes=0, channels=[32, 64, 128, 256])
        self.project = nn.Sequential(
            nn.Linear(256, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, PROJECTED, bias=False)
        )

    def loss(self, images: Tensor) -> Tensor:
        """See `BareObjective.loss`."""
        return self.contrast(torch.cat([self.view(images), self.view(images)]))

    def contrast(self, views: Tensor) -> Tensor:
        """Of ``(2 B, C, H, W)``: first all first views, then all second ones."""
        flat = F.normalize(self.project(self.network((views - 0.5) / 0.25)).float(), dim=-1)
        similarity = flat @ flat.T / TEMPERATURE
        similarity.fill_diagonal_(-torch.inf)
        return F.cross_entropy(similarity, torch.arange(len(flat), device=flat.device).roll(len(flat) // 2))


class BareMasked(BareObjective):
    """MAE (He et al. 2022): ViT-Ti of six layers on the visible quarter of the patches, and a small decoder."""

    def build(self, channels: int, size: int) -> None:
        """See `BareObjective.build`."""
        self.network: Any = timm.create_model(
            "vit_tiny_patch16_224", in_chans=channels, num_classes=0, img_size=size, patch_size=PATCH, depth=6
        )
        self.enter, self.hidden = nn.Linear(192, WIDTH), nn.Parameter(torch.randn(1, 1, WIDTH) * 0.02)
        self.decode = nn.Sequential(*(Block(WIDTH, HEADS, qkv_bias=True) for _ in range(DEPTH)))
        self.say = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, PATCH * PATCH * channels))
        self.register_buffer("positions", build_sincos2d_pos_embed([size // PATCH] * 2, dim=WIDTH)[None])

    def loss(self, images: Tensor) -> Tensor:
        """See `BareObjective.loss`."""
        return self.reconstruct(self.view(images))

    def reconstruct(self, images: Tensor) -> Tensor:
        """The mean squared error of the hidden patches, each of mean 0 and variance 1."""
        x = (images - 0.5) / 0.25
        embedded = self.network.patch_embed(x) + self.network.pos_embed[:, 1:]
        count = embedded.shape[1]
        visible = round(count * (1 - MASKED))
        shuffled = torch.rand(embedded.shape[:2]).argsort(1).to(x.device)
        seen = embedded.gather(1, shuffled[:, :visible, None].expand(-1, -1, embedded.shape[-1]))
        first = (self.network.cls_token + self.network.pos_embed[:, :1]).expand(len(x), -1, -1)
        seen = self.enter(self.network.norm(self.network.blocks(torch.cat([first, seen], 1)))[:, 1:])
        blank = self.hidden.to(seen.dtype).expand(len(x), count - visible, -1)
        full = torch.cat([seen, blank], 1).gather(1, shuffled.argsort(1)[..., None].expand(-1, -1, WIDTH))
        said = self.say(self.decode(full + self.positions)).float()
        patches = F.unfold(x, PATCH, stride=PATCH).mT.float()
        variance, mean = torch.var_mean(patches, -1, keepdim=True)
        target = (patches - mean) / (variance + 1e-6).sqrt()
        errors = (said - target).square().mean(-1)
        return errors.gather(1, shuffled[:, visible:]).mean()
