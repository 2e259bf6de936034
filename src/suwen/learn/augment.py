"""Random changes of images that a radiologist would still read the same way.

Each transform is a row: what it draws, and a pure function of images and draws. Which are allowed, and how strong,
is part of the recipe: ``--set "augment={affine: {rotate: 10}, noise: {}}"``. Images are float ``(B, C, H, W)`` in
[0, 1]; draws come from a CPU generator, so that a seed gives the same ones on every device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from suwen.core.dataset import Batch
from suwen.core.errors import NameUnknown, RecipeError
from suwen.learn.processes import Part

Draws = dict[str, Tensor]


@dataclass(frozen=True)
class Transform:
    """One row.

    Attributes:
        defaults: settings and their values.
        draw: ``(B, settings, generator) → draws``.
        apply: ``(images, draws) → images``, pure.
        kept: ``(images, draws) → (B,)``, how much of each image is still its own, the rest being of ``partner`` (B,)
            in the draws; targets are mixed alike. None where images are not mixed.
        most: settings that may not exceed these; none may be negative.
    """

    defaults: dict[str, float]
    draw: Callable[[int, dict[str, float], Generator], Draws]
    apply: Callable[[Tensor, Draws], Tensor]
    kept: Callable[[Tensor, Draws], Tensor] | None = None
    most: dict[str, float] = field(default_factory=dict)


def _uniform(n: int, low: float, high: float, g: Generator) -> Tensor:
    return torch.rand(n, generator=g) * (high - low) + low


def _sometimes(n: int, p: float, g: Generator) -> Tensor:
    return torch.rand(n, generator=g) < p


def _column(values: Tensor, images: Tensor) -> Tensor:
    return values.to(images.device, images.dtype).reshape(-1, *[1] * (images.ndim - 1))


def _draw_flip(n: int, s: dict[str, float], g: Generator) -> Draws:
    return {"horizontal": _sometimes(n, s["horizontal"], g), "vertical": _sometimes(n, s["vertical"], g)}


def _flip(images: Tensor, d: Draws) -> Tensor:
    images = torch.where(d["horizontal"].to(images.device)[:, None, None, None], images.flip(-1), images)
    return torch.where(d["vertical"].to(images.device)[:, None, None, None], images.flip(-2), images)


def _draw_affine(n: int, s: dict[str, float], g: Generator) -> Draws:
    low, high = math.log(1 - s["scale"]), math.log(1 + s["scale"])
    aspect = _uniform(n, -s["stretch"], s["stretch"], g)
    scale = _uniform(n, low, high, g)
    return {
        "angle": _uniform(n, -s["rotate"], s["rotate"], g) * (math.pi / 180),
        "scale_x": (scale + aspect).exp(),
        "scale_y": (scale - aspect).exp(),
        "shear": _uniform(n, -s["shear"], s["shear"], g) * (math.pi / 180),
        "x": _uniform(n, -s["shift"], s["shift"], g) * 2,
        "y": _uniform(n, -s["shift"], s["shift"], g) * 2,
    }


def _affine(images: Tensor, d: Draws) -> Tensor:
    """Rotation, scale, stretch, shear and shift in one bilinear resampling; the edge is repeated outside."""
    theta = affine_matrix(d).to(images.device, images.dtype)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def affine_matrix(d: Draws) -> Tensor:
    """``(B, 2, 3)``: where each output pixel is read, both in coordinates from -1 to 1."""
    cos, sin, shear = d["angle"].cos(), d["angle"].sin(), d["shear"].tan()
    first = torch.stack([cos / d["scale_x"], (shear * cos - sin) / d["scale_x"], d["x"]], 1)
    second = torch.stack([sin / d["scale_y"], (shear * sin + cos) / d["scale_y"], d["y"]], 1)
    return torch.stack([first, second], 1)


def _draw_crop(n: int, s: dict[str, float], g: Generator) -> Draws:
    area, ratio = _uniform(n, 1 - s["away"], 1, g), _uniform(n, -s["aspect"], s["aspect"], g).exp().sqrt()
    width, height = (area.sqrt() * ratio).clamp(max=1), (area.sqrt() / ratio).clamp(max=1)
    return {
        "width": width,
        "height": height,
        "x": (1 - width) * _uniform(n, -1, 1, g),
        "y": (1 - height) * _uniform(n, -1, 1, g),
    }


def _crop(images: Tensor, d: Draws) -> Tensor:
    """A part of the image enlarged to the whole (Szegedy et al. 2015, section 6), in one bilinear resampling."""
    zero = torch.zeros_like(d["x"])
    first, second = torch.stack([d["width"], zero, d["x"]], 1), torch.stack([zero, d["height"], d["y"]], 1)
    theta = torch.stack([first, second], 1).to(images.device, images.dtype)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _draw_intensity(n: int, s: dict[str, float], g: Generator) -> Draws:
    return {
        "brightness": _uniform(n, -s["brightness"], s["brightness"], g),
        "contrast": _uniform(n, -s["contrast"], s["contrast"], g).exp(),
        "gamma": _uniform(n, -s["gamma"], s["gamma"], g).exp(),
    }


def _intensity(images: Tensor, d: Draws) -> Tensor:
    """Exposure and tone curve: gamma, then contrast about the image's mean, then brightness."""
    x = images.clamp(0, 1) ** _column(d["gamma"], images)
    mean = x.mean(tuple(range(1, x.ndim)), keepdim=True)
    return ((x - mean) * _column(d["contrast"], images) + mean + _column(d["brightness"], images)).clamp(0, 1)


def _draw_noise(n: int, s: dict[str, float], g: Generator) -> Draws:
    return {"level": _uniform(n, 0, s["level"], g), "seed": torch.randint(2**31, (n,), generator=g)}


def _noise(images: Tensor, d: Draws) -> Tensor:
    """White Gaussian noise with a standard deviation drawn for each image."""
    g = torch.Generator()
    white = torch.stack([torch.randn(images.shape[1:], generator=g.manual_seed(seed)) for seed in d["seed"].tolist()])
    white = white.to(images.device, images.dtype)
    return (images + white * _column(d["level"], images)).clamp(0, 1)


def _draw_sharpness(n: int, s: dict[str, float], g: Generator) -> Draws:
    return {"amount": _uniform(n, -s["blur"], s["sharpen"], g)}


def _sharpness(images: Tensor, d: Draws) -> Tensor:
    """Between blurred (-1: a 3×3 binomial filter) and sharpened (+1: twice the detail): detectors differ in it."""
    soft = F.pad(images, (1, 1) * (images.ndim - 2), mode="replicate")
    for dim in range(
        2 - images.ndim, 0
    ):  # sums of shifted images: a depthwise convolution takes ten times as long on a CPU
        middle = soft.narrow(dim, 1, soft.shape[dim] - 2)
        soft = (soft.narrow(dim, 0, soft.shape[dim] - 2) + soft.narrow(dim, 2, soft.shape[dim] - 2)) / 4 + middle / 2
    return (images + (images - soft) * _column(d["amount"], images)).clamp(0, 1)


def _draw_erase(n: int, s: dict[str, float], g: Generator) -> Draws:
    side = _uniform(n, 0, s["side"], g) * _sometimes(n, s["p"], g)
    return {
        "side": side,
        "x": torch.rand(n, generator=g),
        "y": torch.rand(n, generator=g),
        "grey": torch.rand(n, generator=g),
    }


def _boxes(images: Tensor, side: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(B, 1, H, W) true inside square boxes of `side` (share of the image) centred at (x, y)."""
    height, width = images.shape[-2:]
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    inside = ((rows - y[:, None]).abs() < side[:, None] / 2)[:, :, None] & (
        (columns - x[:, None]).abs() < side[:, None] / 2
    )[:, None, :]
    return inside[:, None].to(images.device)


def _erase(images: Tensor, d: Draws) -> Tensor:
    """A square painted grey (Zhong et al. 2020)."""
    return torch.where(_boxes(images, d["side"], d["x"], d["y"]), _column(d["grey"], images), images)


def _draw_mixup(n: int, s: dict[str, float], g: Generator) -> Draws:
    return {"partner": torch.randperm(n, generator=g), "share": _beta(n, s["alpha"], g)}


def _mixup(images: Tensor, d: Draws) -> Tensor:
    """Convex combinations of pairs (Zhang et al. 2018)."""
    share = _column(d["share"], images)
    return images * share + images[d["partner"].to(images.device)] * (1 - share)


def _draw_cutmix(n: int, s: dict[str, float], g: Generator) -> Draws:
    side = (1 - _beta(n, s["alpha"], g)).sqrt() * _sometimes(n, s["p"], g)
    x, y = torch.rand(n, generator=g), torch.rand(n, generator=g)
    return {"partner": torch.randperm(n, generator=g), "side": side, "x": x, "y": y}


def _cutmix(images: Tensor, d: Draws) -> Tensor:
    """A square of another image pasted in (Yun et al. 2019)."""
    return torch.where(_boxes(images, d["side"], d["x"], d["y"]), images[d["partner"].to(images.device)], images)


def _uncut(images: Tensor, d: Draws) -> Tensor:
    """The share of pixels outside the square."""
    return 1 - _boxes(images, d["side"], d["x"], d["y"]).float().mean((1, 2, 3))


def _beta(n: int, alpha: float, g: Generator) -> Tensor:
    """Beta(α, α) draws as a ratio of gamma draws, from the generator; 1 for α = 0, which mixes nothing."""
    if alpha == 0:
        return torch.ones(n)
    first, second = (torch._standard_gamma(torch.full((n,), alpha).double(), generator=g) for _ in range(2))
    return (first / (first + second).clamp_min(1e-300)).float()


TRANSFORMS: dict[str, Transform] = {
    "flip": Transform({"horizontal": 0.5, "vertical": 0.0}, _draw_flip, _flip, most={"horizontal": 1, "vertical": 1}),
    "crop": Transform({"away": 0.6, "aspect": 0.28}, _draw_crop, _crop, most={"away": 0.99}),
    "affine": Transform(
        {"rotate": 10, "shift": 0.06, "scale": 0.12, "stretch": 0.0, "shear": 0.0},
        _draw_affine,
        _affine,
        most={"rotate": 180, "shift": 1, "scale": 0.9, "shear": 80},
    ),
    "intensity": Transform(
        {"brightness": 0.1, "contrast": 0.2, "gamma": 0.2}, _draw_intensity, _intensity, most={"brightness": 1}
    ),
    "sharpness": Transform({"blur": 1.0, "sharpen": 1.0}, _draw_sharpness, _sharpness, most={"blur": 1}),
    "noise": Transform({"level": 0.03}, _draw_noise, _noise, most={"level": 1}),
    "erase": Transform({"p": 0.5, "side": 0.4}, _draw_erase, _erase, most={"p": 1, "side": 1}),
    "mixup": Transform({"alpha": 0.2}, _draw_mixup, _mixup, kept=lambda images, d: d["share"]),
    "cutmix": Transform({"alpha": 1.0, "p": 0.5}, _draw_cutmix, _cutmix, kept=_uncut, most={"p": 1}),
}
"""Name → transform; units: degrees (rotate, shear), shares of the side (shift, erase side), of the range (brightness,
noise level), of the area (crop: the most that is cut away), natural-log factors (scale is a share; contrast, gamma,
stretch, crop aspect)."""

DEFAULT: dict[str, dict[str, float]] = {
    "affine": {"rotate": 10, "shift": 0.08, "scale": 0.2, "stretch": 0.1, "shear": 5},
    "intensity": {"brightness": 0.05, "contrast": 0.1, "gamma": 0.0},
}
"""What is allowed when a recipe does not say: no flips, since left and right mean something in a body."""


class ImageAugment:
    """The transforms a recipe allows, in the order of `TRANSFORMS`.

    Args:
        allowed: name → settings that differ from the defaults; None for `DEFAULT`.
        labels: number of labels, for mixing targets.

    Raises:
        NameUnknown, RecipeError: an unknown transform or setting.
    """

    def __init__(self, allowed: dict[str, dict[str, Any]] | None, labels: int) -> None:
        chosen = DEFAULT if allowed is None else allowed
        for name, settings in chosen.items():
            if name not in TRANSFORMS:
                raise NameUnknown("transform", name, TRANSFORMS, fix="--set 'augment={affine: {rotate: 10}}'")
            check_settings(name, settings or {}, TRANSFORMS[name].defaults, TRANSFORMS[name].most)
        self.rows = [(row, row.defaults | (chosen[name] or {})) for name, row in TRANSFORMS.items() if name in chosen]
        self.labels = labels

    @property
    def mixes(self) -> bool:
        """Whether an image is changed by others of its batch."""
        return any(row.kept is not None for row, _ in self.rows)

    def __call__(self, batch: Batch, generator: Generator, part: Part | None = None) -> Batch:
        """A batch whose inputs (and, where images are mixed, targets) are changed.

        Of a batch that processes share it has the rows of `part` alone, each changed as in the whole batch.
        """
        if not self.rows:
            return batch
        images, target = batch["inputs"], batch["target"]
        images = images.float().div_(255) if images.dtype == torch.uint8 else images
        for transform, settings in self.rows:
            draws = transform.draw(len(images) if part is None else len(part.whole), settings, generator)
            if part is not None:
                draws = {name: values[part.rows] for name, values in draws.items()}
            images = transform.apply(images, draws)
            if transform.kept is not None:
                target = self._mix(target, draws["partner"], transform.kept(images, draws))
        return {**batch, "inputs": images, "target": target}

    def _mix(self, target: Tensor, partner: Tensor, kept: Tensor) -> Tensor:
        if target.is_floating_point() and target.ndim == 1:  # numbers are mixed as they are
            share = kept.to(target.device, target.dtype)
            return target * share + target[partner.to(target.device)] * (1 - share)
        shares = target if target.ndim == 2 else F.one_hot(target, self.labels)
        shares = shares.float()
        kept = kept.to(shares.device)[:, None]
        return shares * kept + shares[partner.to(shares.device)] * (1 - kept)


def check_settings(name: str, settings: dict[str, Any], defaults: dict[str, float], most: dict[str, float]) -> None:
    """Refuse settings that a transform does not have, or that are too large.

    Raises:
        RecipeError: one of them is.
    """
    for setting, value in settings.items():
        if setting not in defaults:
            raise RecipeError(
                f"augment.{name}.{setting}", why=f"{name} takes {', '.join(defaults)}", fix="rename or drop it"
            )
        limit = most.get(setting, math.inf)
        if not isinstance(value, (int, float)) or not 0 <= value <= limit:
            raise RecipeError(
                f"augment.{name}.{setting} = {value!r}",
                why=f"it is a number from 0 (no change) {f'to {limit}' if limit < math.inf else 'up'}",
                fix=f"--set 'augment={{{name}: {{{setting}: {defaults[setting]}}}}}'",
            )
