"""Random changes of images together with their masks: what moves a pixel moves its label too.

Images are float ``(B, C, H, W)`` in [0, 1], codes ``(B, H, W)``. Settings and draws are those of `suwen.learn.augment`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from suwen.core.dataset import Batch
from suwen.core.errors import NameUnknown, RecipeError
from suwen.learn import fade
from suwen.learn.augment import TRANSFORMS, Draws, affine_matrix, check_settings
from suwen.learn.processes import Part


@dataclass(frozen=True)
class Together:
    """A transform of pixels that knows their labels.

    Attributes:
        defaults: settings and their values.
        draw: ``(B, settings, generator) → draws``.
        apply: ``(images, codes, draws) → images, codes``.
        most: settings that may not be larger.
    """

    defaults: dict[str, float]
    draw: Callable[[int, dict[str, float], Generator], Draws]
    apply: Callable[[Tensor, Tensor, Draws], tuple[Tensor, Tensor]]
    most: dict[str, float] = field(default_factory=lambda: {"p": 1.0})


def _flip(images: Tensor, codes: Tensor, d: Draws) -> tuple[Tensor, Tensor]:
    for name, axis in (("horizontal", -1), ("vertical", -2)):
        chosen = d[name].to(images.device)
        images = torch.where(chosen[:, None, None, None], images.flip(axis), images)
        codes = torch.where(chosen[:, None, None], codes.flip(axis), codes)
    return images, codes


def _draw_turn(n: int, s: dict[str, float], g: Generator) -> Draws:
    often = torch.rand(n, generator=g) < s["p"]
    return {"quarters": torch.randint(4, (n,), generator=g) * often}


def _turn(images: Tensor, codes: Tensor, d: Draws) -> tuple[Tensor, Tensor]:
    """By quarter turns, which lose nothing."""
    turned = [
        (x.rot90(q, (-2, -1)), y.rot90(q, (-2, -1)))
        for x, y, q in zip(images, codes, d["quarters"].tolist(), strict=True)
    ]
    return torch.stack([x for x, _ in turned]), torch.stack([y for _, y in turned])


MOVING: dict[str, Together] = {
    "flip": Together(TRANSFORMS["flip"].defaults, TRANSFORMS["flip"].draw, _flip),
    "turn": Together({"p": 1.0}, _draw_turn, _turn),
}
LABELLED: dict[str, Together] = {
    "fade": Together(
        fade.DEFAULTS, fade.draw_fade, lambda images, codes, d: (fade.fade(images, codes, d), codes), fade.MOST
    )
}
"""Transforms that leave every pixel in its place, and treat labelled ones differently."""

SHADING = ("intensity", "sharpness", "noise")
"""Rows of `suwen.learn.augment.TRANSFORMS` that leave every pixel in its place."""

KNOWN: dict[str, dict[str, float]] = {
    **{name: row.defaults for name, row in MOVING.items()},
    "affine": TRANSFORMS["affine"].defaults,
    **{name: row.defaults for name, row in LABELLED.items()},
    **{name: TRANSFORMS[name].defaults for name in SHADING},
}

MOST_REACH = 4.0

DEFAULT: dict[str, dict[str, float]] = {
    "affine": {"rotate": 15, "shift": 0.0, "scale": 0.25, "stretch": 0.1, "shear": 5},
    "intensity": {"brightness": 0.1, "contrast": 0.2, "gamma": 0.2},
    "noise": {"level": 0.02},
}
"""What is allowed when a recipe does not say: no flips, since left and right mean something in a body."""


class MaskAugment:
    """The transforms a recipe allows.

    Patches come larger than they are wanted, by `reach`, so that a turned one has no empty corners.

    Args:
        allowed: name → settings that differ from the defaults; None for `DEFAULT`.
        labels: number of labels.

    Raises:
        NameUnknown, RecipeError: an unknown transform or setting.
    """

    mixes = False
    known: ClassVar[dict[str, dict[str, float]]] = KNOWN
    default: ClassVar[dict[str, dict[str, float]]] = DEFAULT

    def __init__(self, allowed: dict[str, dict[str, Any]] | None, labels: int) -> None:
        chosen = self.default if allowed is None else allowed
        for name, settings in chosen.items():
            if name not in self.known:
                raise NameUnknown("transform of masks", name, self.known, fix="--set 'augment={affine: {rotate: 10}}'")
            check_settings(name, settings or {}, self.known[name], self.most(name))
        self.settings = {name: self.known[name] | (chosen[name] or {}) for name in self.known if name in chosen}
        self.reach = self.reach_of(self.settings["affine"]) if "affine" in self.settings else 1.0
        if self.reach > MOST_REACH:
            raise RecipeError(
                f"augment.affine = {self.settings['affine']}",
                why=f"patches would have to be read {self.reach:.0f} times as wide as they are used",
                fix="--set 'augment={affine: {rotate: 180, scale: 0.3}}'",
            )

    def __call__(self, batch: Batch, generator: Generator, part: Part | None = None) -> Batch:
        """A batch whose inputs and codes are changed alike."""
        images, codes = batch["inputs"], batch["target"]
        images = images.float().div_(255) if images.dtype == torch.uint8 else images
        count = len(images) if part is None else len(part.whole)
        draws = {name: self.draw(name, count, settings, generator) for name, settings in self.settings.items()}
        if part is not None:
            draws = {name: {key: values[part.rows] for key, values in each.items()} for name, each in draws.items()}
        images, codes = self.move(images, codes, draws)
        for name, row in LABELLED.items():
            if name in draws:
                images, codes = row.apply(images, codes, draws[name])
        for name in SHADING:
            if name in draws:
                images = TRANSFORMS[name].apply(images, draws[name])
        return {**batch, "inputs": images, "target": codes}

    def most(self, name: str) -> dict[str, float]:
        """Settings of a transform that may not exceed these."""
        row = (MOVING | LABELLED).get(name)
        return TRANSFORMS[name].most if row is None else row.most

    def draw(self, name: str, count: int, settings: dict[str, float], generator: Generator) -> Draws:
        """What one transform draws for so many patches."""
        row = (MOVING | LABELLED).get(name)
        draw = TRANSFORMS[name].draw if row is None else row.draw
        return draw(count, settings, generator)

    def move(self, images: Tensor, codes: Tensor, draws: dict[str, Draws]) -> tuple[Tensor, Tensor]:
        """Everything that moves pixels."""
        if "affine" in draws:  # the exact moves are part of the same resampling, which costs no more for them
            return moved(images, codes, affine_matrix(_composed(draws)), self.reach)
        for name, row in MOVING.items():
            if name in draws:
                images, codes = row.apply(images, codes, draws[name])
        return images, codes

    def reach_of(self, affine: dict[str, float]) -> float:
        """How much larger a patch must be than what is left of it when it is turned and made smaller.

        A square turned by φ needs |cos φ| + |sin φ| of its side, at most √2; one made smaller by s needs 1 / (1 - s).
        """
        angle = math.radians(min(affine["rotate"], 45.0))
        turned = math.cos(angle) + math.sin(angle)
        lean = math.tan(math.radians(affine["shear"]))
        return turned * (1 + lean) * math.exp(affine["stretch"]) / (1 - affine["scale"]) + 2 * affine["shift"]


def _composed(draws: dict[str, Draws]) -> Draws:
    """The affine draws with mirroring as a negative scale, and quarter turns added to the angle."""
    found = dict(draws["affine"])
    if "turn" in draws:
        found["angle"] = found["angle"] + draws["turn"]["quarters"] * (math.pi / 2)
    for name, scale in (("horizontal", "scale_x"), ("vertical", "scale_y")):
        if "flip" in draws:
            found[scale] = torch.where(draws["flip"][name], -found[scale], found[scale])
    return found


def moved(images: Tensor, codes: Tensor, theta: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """The middle of larger patches, resampled: images linearly, codes by the nearest pixel.

    Args:
        images, codes: ``(B, C, *S)`` and uint8 ``(B, *S)``.
        theta: ``(B, d, d + 1)``, where each output pixel is read, in coordinates from -1 to 1 over what is left.
        reach: how much longer a side of S is than what is left of it.
    """
    sides = [round_down(side / reach) for side in images.shape[2:]]
    size = [len(images), images.shape[1], *sides]
    theta = theta.to(images.device, images.dtype)
    # coordinates run from -1 to 1 over the whole patch, of which the wanted part is the middle; the last axis is first
    shares = [left / side for left, side in zip(reversed(sides), reversed(images.shape[2:]), strict=True)]
    theta = torch.cat([theta[:, :, :-1] * torch.tensor(shares, device=images.device), theta[:, :, -1:]], 2)
    grid = F.affine_grid(theta, size, align_corners=False)
    seen = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    # 8 bits wrap round: IGNORED + 1 is 0, which is also what lies outside, and 0 - 1 is IGNORED again
    raised = (codes + 1).to(images.dtype)[:, None]
    nearest = F.grid_sample(raised, grid, mode="nearest", padding_mode="zeros", align_corners=False)[:, 0]
    return seen, nearest.round_().to(torch.uint8) - 1


def round_down(value: float) -> int:
    """The whole number below, but for rounding errors."""
    return int(value + 1e-6)
