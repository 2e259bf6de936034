"""What of an encoder learns from new data. A table: each row prepares an encoder and says what its training sees.

| name | learns | the Run keeps |
|---|---|---|
| full | every weight | every weight |
| head | the head, on features that are computed once | every weight |
| lora | the head, and low-rank changes of the encoder's layers | those and the head, beside the base Run |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from suwen.core.dataset import Dataset
from suwen.core.encoder import Encoder
from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.model import Model
from suwen.core.recipe import Recipe, TrainingSettings
from suwen.learn.batches import Augment
from suwen.learn.features import OnFeatures, PickView, cache_features, features_of, groups_of, logits_of, pooled_of
from suwen.learn.supervised import Supervised


@dataclass(frozen=True)
class Place:
    """Where a training computes: its device, and the autocast of its precision."""

    device: torch.device
    autocast: Callable[[], Any]
    precision: str


@dataclass(frozen=True)
class Lesson:
    """What `fit` is given.

    Attributes:
        module: the TaskModule.
        dataset: what its batches are sliced from.
        augment: the random changes of each batch.
        infer: row numbers → logits without test-time views.
    """

    module: nn.Module
    dataset: Dataset
    augment: Augment | None
    infer: Callable[[np.ndarray], np.ndarray]


Teach = Callable[[Model, nn.Module, Dataset, Recipe, "Augment | None", Place], Lesson]


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """One row.

    Attributes:
        summary: what learns, and what the Run keeps.
        prepare: changes an encoder in place, before the TaskModule is made of it: what shall not learn no longer
            requires a gradient.
        teach: what the loop then sees: images, or features.
        finish: the encoder that the Run keeps.
        lacks: what suwen does not have yet for this row; empty where it works.
    """

    summary: str
    prepare: Callable[[Encoder, TrainingSettings], None] = lambda encoder, settings: None
    teach: Teach
    finish: Callable[[Encoder], Encoder] = lambda encoder: encoder
    lacks: str = ""


def adaptation_of(recipe: Recipe) -> Adaptation:
    """The row that a recipe names.

    Raises:
        NameUnknown, RecipeError: there is no such row, or what it needs is not there yet.
    """
    name = recipe.training.adapt
    if name not in ADAPTATIONS:
        raise NameUnknown("adaptation", name, ADAPTATIONS, fix="--adapt full, --adapt head or --adapt lora")
    row = ADAPTATIONS[name]
    if row.lacks:
        raise RecipeError(f"--adapt {name}", why=row.lacks, fix="--adapt full, --adapt head or --adapt lora")
    return row


def on_images(
    model: Model, module: nn.Module, dataset: Dataset, recipe: Recipe, augment: Augment | None, place: Place
) -> Lesson:
    """Every epoch encodes the images anew. A head that is fitted at once has no epochs."""
    at_once = hasattr(model.head, "remember") or hasattr(model.head, "solve")
    if at_once and not any(True for _ in cast(nn.Module, model.encoder).parameters()):
        return on_features(model, module, dataset, recipe, augment, place)
    if at_once:
        raise RecipeError(
            f"the head {model.head.config['name']} with --adapt {recipe.training.adapt}",
            why="it is fitted at once to features and has nothing from which an encoder could learn",
            fix="--adapt head, or --head classify",
        )
    return Lesson(module, dataset, augment, lambda rows: model.infer(dataset, rows, views=())[0])


def on_features(
    model: Model, module: nn.Module, dataset: Dataset, recipe: Recipe, augment: Augment | None, place: Place
) -> Lesson:
    """The images are encoded once, into the cache, and the head is trained on that.

    A TaskModule whose loss is not the head's alone is trained on images as usual, and so are features that are larger
    than the cache may be.
    """
    encoder, head = cast(nn.Module, model.encoder).to(place.device), cast(Any, model.head).to(place.device)
    train, settings = dataset.where("train"), recipe.training.features
    if hasattr(head, "solve"):
        features, target = features_of(model, dataset, train, place.device, place.autocast)
        head.solve(features, target, groups_of(dataset, train), seed=recipe.seed)
        return Lesson(OnFeatures(head), dataset, None, lambda rows: model.infer(dataset, rows, views=())[0])
    if hasattr(head, "remember"):
        head.remember(*pooled_of(model, dataset, train, place.device, place.autocast))
        return Lesson(OnFeatures(head), dataset, None, lambda rows: model.infer(dataset, rows, views=())[0])
    # of inputs from which patches are drawn, every step sees others
    patches = hasattr(dataset, "patches")
    if not isinstance(module, Supervised) or not module.cacheable or settings.gib == 0 or patches:
        return on_images(model, module, dataset, recipe, augment, place)
    views = settings.views if augment is not None else 0
    shared: dict[str, Any] = {"limit": int(settings.gib * 2**30), "seed": recipe.seed, "place": place}
    seen = cache_features(encoder, head.needs, dataset, train, **shared, views=views, augment=augment, recipe=recipe)
    judged = cache_features(encoder, head.needs, dataset, dataset.where("val"), **shared)
    if seen is None or judged is None:
        return on_images(model, module, dataset, recipe, augment, place)
    pick = PickView()
    return Lesson(OnFeatures(head), seen, pick, lambda rows: logits_of(head, judged, rows, place.device))


def freeze(encoder: Encoder, settings: TrainingSettings) -> None:
    """No gradient reaches any weight."""
    cast(nn.Module, encoder).requires_grad_(False)


def add_lora(encoder: Encoder, settings: TrainingSettings) -> None:
    """Low-rank adapters in the layers that ``training.lora`` names; all else but norm layers stays as it is."""
    from suwen.encoders.lora import add_adapters

    add_adapters(encoder, **settings.lora.model_dump(exclude={"rate"}))


def keep_adapters(encoder: Encoder) -> Encoder:
    """The adapted encoder where a base Run holds its other weights, else one with the adapters merged into them."""
    adapter = cast(Any, encoder).adapter
    return encoder if adapter.base is not None else cast(Encoder, adapter.merged(encoder))


ADAPTATIONS: dict[str, Adaptation] = {
    "full": Adaptation(summary="every weight learns and is kept", teach=on_images),
    "head": Adaptation(
        summary="the head learns, on features of the frozen encoder that are computed once; every weight is kept",
        prepare=freeze,
        teach=on_features,
    ),
    "lora": Adaptation(
        summary="the head learns, and low-rank changes of the encoder's layers; these are kept beside the base Run",
        prepare=add_lora,
        teach=on_images,
        finish=keep_adapters,
    ),
    "prompt": Adaptation(
        summary="vectors put before a frozen text encoder's input learn (Li & Liang 2021; Lester et al. 2021)",
        teach=on_images,
        lacks="prompt and prefix tuning need an encoder of text, and no such family is registered yet",
    ),
}
"""Name → row: ``--adapt NAME``."""
