"""Foreign patches: a part of another patient's image is blended in, and the features must tell where and how much.

What a lesion is among films, a foreign part is here: something that does not belong where it lies. Features that find
it without labels (Tan et al., Detecting outliers with foreign patch interpolation, 2020) need few labels to find
lesions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.encoder import Encoder
from suwen.core.errors import RecipeError
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput
from suwen.learn.objectives.settings import Bounds, objective_settings
from suwen.learn.processes import uniform

VISIBLE = 0.02
"""Change of grey, of a range of 1, below which a part looks the same as before and counts as its own: 5 of 255."""


REACH = 0.8
"""Centres lie within this share of the way from the middle to an edge: the rim shows little of the patient."""

THERE = 0.5
"""Probability of each patch, so that a quarter of the images with two are left as they are."""


class ForeignPatches(nn.Module):
    """Foreign patch interpolation around any encoder with maps; what reads the maps is thrown away.

    ``x' = x + α m (y - x)``, with y another image of the batch, m a soft-edged ellipse (1 inside, 0 outside) and α how
    much of y is blended in. The coarsest map must give ``α m`` on a finer grid, by one linear layer, so that the
    features themselves hold what was found and where. Where several processes share a batch, y is of the same part.

    Settings (``objective``): ``patches``, most an image; ``least`` and ``most``, half-axes as shares of the side;
    ``faintest``, the least α; ``detail``, cells of the answer to a side of one cell of the coarsest map.
    """

    KNOWN: ClassVar[dict[str, Bounds]] = {
        "patches": (2.0, 1.0, 8.0),
        "least": (0.04, 0.01, 0.5),
        "most": (0.25, 0.02, 0.5),
        "faintest": (0.25, 0.01, 1.0),
        "detail": (8.0, 1.0, 64.0),
    }

    def __init__(self, encoder: Encoder, head: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.settings = objective_settings(recipe, self.KNOWN)
        if not encoder.map_widths:
            raise RecipeError(
                f"{recipe.task} with the encoder {encoder.config['name']}",
                why="it is told where a patch lies, and this encoder gives no maps",
                fix="--encoder suwen:resnet18-narrow, or image-contrastive",
            )
        self.encoder, self.head = encoder, head
        detail = int(self.settings["detail"])
        self.read = nn.Sequential(nn.Conv2d(encoder.map_widths[-1], detail**2, 1), nn.PixelShuffle(detail))

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": mean binary cross-entropy of the grid, "output": (B, 1, G, G) its logits}``."""
        images = batch["inputs"]
        images = images.float() / 255 if images.dtype == torch.uint8 else images
        changed, share = blend(images, self._draw(images, batch))
        maps = self.encoder(changed).maps
        assert maps is not None
        logits: Tensor = self.read(maps[-1]).float()
        target = F.interpolate(share, logits.shape[-2:], mode="area")
        return {"loss": F.binary_cross_entropy_with_logits(logits, target), "output": logits}

    def after_step(self) -> None:
        """Nothing to do."""

    def _draw(self, images: Tensor, batch: Batch) -> Patches:
        """For each image up to ``patches`` ellipses, and whose parts they are filled with."""
        settings, count = self.settings, int(self.settings["patches"])
        drawn = uniform(len(images), 7 * count, batch).reshape(-1, count, 7).to(images.device)
        low, high = math.log(settings["least"]), math.log(settings["most"])
        return Patches(
            partner=_another(len(images)).to(images.device),
            centre=(drawn[..., :2] * 2 - 1) * REACH,
            axes=2 * (drawn[..., 2:4] * (high - low) + low).exp(),
            angle=drawn[..., 4] * math.pi,
            alpha=drawn[..., 5] * (1 - settings["faintest"]) + settings["faintest"],
            there=drawn[..., 6] < THERE,
        )


@dataclass(frozen=True)
class Patches:
    """What is drawn for B images with K ellipses each.

    Attributes:
        partner: ``(B,)`` the image whose part is blended in.
        centre: ``(B, K, 2)`` x and y, in [-1, 1] from edge to edge.
        axes: ``(B, K, 2)`` half-axes in the same unit.
        angle: ``(B, K)`` radians.
        alpha: ``(B, K)`` α.
        there: ``(B, K)`` whether the patch is blended in at all.
    """

    partner: Tensor
    centre: Tensor
    axes: Tensor
    angle: Tensor
    alpha: Tensor
    there: Tensor


def blend(images: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """The images with foreign parts, and how much of each pixel is foreign: 0 where nothing visible changed.

    Args:
        images: ``(B, C, H, W)`` in [0, 1].
        patches: what to blend in.

    Returns:
        ``(B, C, H, W)`` and ``(B, 1, H, W)``.
    """
    weight = soft_ellipses(patches, images.shape[-2:]).amax(1, keepdim=True)
    changed = images + weight * (images[patches.partner] - images)
    visible = (changed - images).abs().amax(1, keepdim=True) > VISIBLE
    return changed, weight * visible


def soft_ellipses(patches: Patches, size: tuple[int, int] | torch.Size) -> Tensor:
    """``(B, K, H, W)``: α inside, falling to 0 over the outer half of each ellipse; 0 where it is not there."""
    rows, columns = (torch.linspace(-1, 1, side, device=patches.angle.device) for side in size)
    x, y = (
        columns[None, None, None] - patches.centre[..., 0, None, None],
        rows[:, None] - patches.centre[..., 1, None, None],
    )
    cos, sin = patches.angle.cos()[..., None, None], patches.angle.sin()[..., None, None]
    first = (x * cos + y * sin) / patches.axes[..., 0, None, None]
    second = (y * cos - x * sin) / patches.axes[..., 1, None, None]
    inside = (2 - 2 * (first**2 + second**2).sqrt()).clamp(0, 1)
    return inside * (patches.alpha * patches.there)[..., None, None]


def _another(count: int) -> Tensor:
    """``(count,)``: for each image another one, by lot; itself where it is alone."""
    order = torch.randperm(count)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return partner
