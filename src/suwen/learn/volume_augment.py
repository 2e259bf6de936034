"""Random changes of volumes together with their masks. Volumes are float ``(B, C, X, Y, Z)`` in [0, 1]."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from suwen.learn.augment import TRANSFORMS, Draws
from suwen.learn.mask_augment import LABELLED, SHADING, MaskAugment, moved

AXES = {"right": -3, "front": -2, "head": -1}
"""Of the body, and where they are in a batch."""

KNOWN: dict[str, dict[str, float]] = {
    "flip": dict.fromkeys(AXES, 0.0),
    "affine": {"rotate": 10, "scale": 0.15},
    **{name: row.defaults for name, row in LABELLED.items()},
    **{name: TRANSFORMS[name].defaults for name in SHADING},
}

DEFAULT: dict[str, dict[str, float]] = {
    "affine": {"rotate": 10, "scale": 0.15},
    "fade": {},
    "intensity": {"brightness": 0.05, "contrast": 0.15, "gamma": 0.1},
    "noise": {"level": 0.03},
}
"""What is allowed when a recipe does not say: no flips, since a liver on the left is another patient."""


class VolumeAugment(MaskAugment):
    """As `MaskAugment`. ``rotate`` is the largest angle in degrees about each axis of the body."""

    known = KNOWN
    default = DEFAULT

    def most(self, name: str) -> dict[str, float]:
        """Settings of a transform that may not exceed these."""
        if name == "flip":
            return dict.fromkeys(AXES, 1.0)
        return {"rotate": 180, "scale": 0.9} if name == "affine" else super().most(name)

    def draw(self, name: str, count: int, settings: dict[str, float], generator: Generator) -> Draws:
        """What one transform draws for so many patches."""
        if name == "flip":
            return {axis: torch.rand(count, generator=generator) < settings[axis] for axis in AXES}
        if name == "affine":
            return _draw_affine(count, settings, generator)
        return super().draw(name, count, settings, generator)

    def move(self, images: Tensor, codes: Tensor, draws: dict[str, Draws]) -> tuple[Tensor, Tensor]:
        """Everything that moves voxels."""
        if "affine" in draws:
            images, codes = moved(images, codes, rotation(draws["affine"]), self.reach)
        for axis, place in AXES.items():
            if "flip" in draws:
                chosen = draws["flip"][axis].to(images.device)
                images = torch.where(chosen.reshape(-1, 1, 1, 1, 1), images.flip(place), images)
                codes = torch.where(chosen.reshape(-1, 1, 1, 1), codes.flip(place), codes)
        return images, codes

    def reach_of(self, affine: dict[str, float]) -> float:
        """A cube turned by up to φ about each axis needs at most cos φ + 2 sin φ of its side, and never over √3."""
        angle = math.radians(min(affine["rotate"], 45.0))
        turned = min(math.sqrt(3), math.cos(angle) + 2 * math.sin(angle))
        return turned / (1 - affine["scale"])


def _draw_affine(count: int, s: dict[str, float], g: Generator) -> Draws:
    angles = (torch.rand(count, 3, generator=g) * 2 - 1) * math.radians(s["rotate"])
    low, high = math.log(1 - s["scale"]), math.log(1 + s["scale"])
    return {"angles": angles, "scale": (torch.rand(count, generator=g) * (high - low) + low).exp()}


def rotation(d: Draws) -> Tensor:
    """``(B, 3, 4)``: rotations about the three axes, one after the other, over the scale."""
    found = torch.eye(3).expand(len(d["scale"]), 3, 3)
    for axis, (one, other) in enumerate(((1, 2), (0, 2), (0, 1))):
        turn = torch.eye(3).repeat(len(found), 1, 1)
        cos, sin = d["angles"][:, axis].cos(), d["angles"][:, axis].sin()
        turn[:, one, one], turn[:, one, other], turn[:, other, one], turn[:, other, other] = cos, -sin, sin, cos
        found = found @ turn
    found = found / d["scale"][:, None, None]
    return torch.cat([found, torch.zeros(len(found), 3, 1)], 2)
