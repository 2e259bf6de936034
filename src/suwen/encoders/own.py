"""``suwen:NAME``: architectures chosen for few labels and two cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suwen.core.encoder import Encoder
from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.preprocess import Preprocess
from suwen.encoders.image import TimmEncoder
from suwen.encoders.pyramid import UNetEncoder
from suwen.encoders.stems import SMALL
from suwen.encoders.table import TableEncoder
from suwen.encoders.tabular_transformer import TabularTransformer


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


BUILT: dict[str, Callable[..., Encoder]] = {
    "unet": UNetEncoder,
    "table": TableEncoder,
    "tabular-transformer": TabularTransformer,
}
"""Name → architecture that is suwen's own."""


EVENTS = ("events-1x64", "events-2x128", "events-4x256", "events-6x768")
"""Those of `suwen.encoders.events.PRESETS`: what it imports, encoders of pictures need not wait for."""


def _events(
    name: str,
    preprocess: Any,
    *,
    weights: str | None = None,
    needs: frozenset[str] = frozenset(),
    **options: Any,
) -> Encoder:
    if weights is not None:
        raise RecipeError(
            f"suwen:{name} with --weights {weights}",
            why="weights of events belong to a vocabulary, which a Run holds",
            fix="--encoder run:PRETRAINED",
        )
    from suwen.encoders.events import EventEncoder

    return EventEncoder(name, preprocess, **options)


def own_encoder(name: str, preprocess: Preprocess, **options: Any) -> Encoder:
    """Build the encoder ``suwen:name``; arguments as of `TimmEncoder`, which its Model records, or of its own class."""
    if name in BUILT:
        return BUILT[name](preprocess, **options)
    if name in EVENTS:
        return _events(name, preprocess, **options)
    if name not in OWN:
        raise NameUnknown("suwen encoder", name, [*OWN, *BUILT, *EVENTS], fix="suwen encoders")
    model, settings = OWN[name](int(getattr(preprocess, "size", 224)))
    return TimmEncoder(model, preprocess, **(settings | options))
