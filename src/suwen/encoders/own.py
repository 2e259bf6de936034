"""``suwen:NAME``: architectures chosen for few labels and two cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suwen.core.encoder import Encoder
from suwen.core.errors import NameUnknown
from suwen.core.preprocess import Preprocess
from suwen.encoders.image import TimmEncoder
from suwen.encoders.pyramid import UNetEncoder
from suwen.encoders.stems import SMALL


def _narrow_resnet(size: int) -> tuple[str, dict[str, Any]]:
    """Half the channels of ResNet-18 are a quarter of its work; on PneumoniaMNIST's 4,708 training images it measured
    no worse."""
    return "resnet18", {"channels": [32, 64, 128, 256], "stem": "half" if size < SMALL else "plain"}


def _narrow_vit(size: int) -> tuple[str, dict[str, Any]]:
    """ViT-Ti (Touvron et al. 2021, table 1) with half its layers, and 49 to 196 patches whatever the size."""
    patch = next(side for least, side in ((128, 16), (64, 8), (0, 4)) if size >= least)
    fitting = -(-size // patch) * patch
    options = {"depth": 6, "patch_size": patch, "stem": "plain", "resize": None if fitting == size else fitting}
    return "vit_tiny_patch16_224", options


OWN: dict[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
    "resnet18-narrow": _narrow_resnet,
    "vit-narrow": _narrow_vit,
}
"""Name → side of the images in pixels → timm model and its options."""


BUILT: dict[str, Callable[..., Encoder]] = {"unet": UNetEncoder}
"""Name → architecture that is suwen's own."""


def own_encoder(name: str, preprocess: Preprocess, **options: Any) -> Encoder:
    """Build the encoder ``suwen:name``; arguments as of `TimmEncoder`, which its Model records, or of its own class."""
    if name in BUILT:
        return BUILT[name](preprocess, **options)
    if name not in OWN:
        raise NameUnknown("suwen encoder", name, [*OWN, *BUILT], fix="suwen encoders")
    model, settings = OWN[name](int(getattr(preprocess, "size", 224)))
    return TimmEncoder(model, preprocess, **(settings | options))
