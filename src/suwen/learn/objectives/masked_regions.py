"""Masked autoencoding for convolutional networks: most cells of an input are blank, and the rest must tell what was
there."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.errors import RecipeError
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput
from suwen.encoders.pyramid import CONVOLUTIONS, MEAN
from suwen.heads.unet import UNetDecoder, enlarged
from suwen.learn.objectives.settings import Bounds, objective_settings
from suwen.learn.processes import uniform


class MaskedRegions(nn.Module):
    """A masked autoencoder around any encoder with maps, of images or volumes; the decoder is thrown away.

    As He et al. 2022, but what is hidden is blank (the grey that normalisation turns into 0) instead of left out: a
    convolution needs the whole grid. (Tian et al., ICLR 2023, leave it out by sparse convolutions.)

    Settings (``objective``): ``masked``, share of hidden cells; ``cell``, their side in voxels; ``width``, least
    channels of the decoder.
    """

    KNOWN: ClassVar[dict[str, Bounds]] = {
        "masked": (0.75, 0.05, 0.95),
        "cell": (8.0, 1.0, 64.0),
        "width": (16.0, 1.0, 512.0),
    }

    def __init__(self, encoder: Any, head: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        settings = objective_settings(recipe, self.KNOWN)
        if not encoder.map_widths:
            raise RecipeError(
                f"{recipe.task} with the encoder {encoder.config['name']}",
                why="what is hidden is told from maps, which this encoder does not give",
                fix="--encoder suwen:unet",
            )
        self.encoder, self.head = encoder, head
        self.masked, self.cell = settings["masked"], int(settings["cell"])
        dims = len(recipe.inputs["box"]) if "box" in recipe.inputs else 2
        self.decode = UNetDecoder(encoder.map_widths, int(settings["width"]), dims)
        self.read = CONVOLUTIONS[dims](self.decode.widths[-1], int(recipe.inputs.get("channels", 1)), 1)

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": mean squared error of the hidden voxels, "output": (B, C, *S) as told}``."""
        inputs = batch["inputs"]
        inputs = inputs.float() / 255 if inputs.dtype == torch.uint8 else inputs
        hidden = self.hide(inputs, batch)
        maps = self.encoder(torch.where(hidden, MEAN, inputs)).maps
        told = enlarged(self.read(self.decode(maps)[-1]).float(), inputs.shape[2:])
        wrong = (told - inputs).square() * hidden
        return {"loss": wrong.sum() / (hidden.sum() * inputs.shape[1]), "output": told}

    def after_step(self) -> None:
        """Nothing to do."""

    def hide(self, inputs: Tensor, batch: Batch) -> Tensor:
        """bool ``(B, 1, *S)``: `masked` of the cells, at least one and not all."""
        grid = [-(-side // self.cell) for side in inputs.shape[2:]]
        count = math.prod(grid)
        hidden = min(count - 1, max(1, round(count * self.masked)))
        found = uniform(len(inputs), count, batch).argsort(1).argsort(1) < hidden
        found = found.reshape(len(inputs), 1, *grid).to(inputs.device)
        for axis, side in enumerate(inputs.shape[2:], 2):
            found = found.repeat_interleave(self.cell, axis).narrow(axis, 0, side)
        return found
