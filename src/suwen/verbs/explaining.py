"""Which explanation suits a model that was just trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from suwen.core.dataset import Dataset
from suwen.core.model import Model
from suwen.core.recipe import Recipe
from suwen.core.registry import PARTS
from suwen.verbs.explain import compare_some

POOL = 256
"""Validation inputs among which those to measure on are chosen."""


def compare_explanations(model: Model, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """What ``metrics.json`` holds under ``"explanations"``: methods measured on validation inputs answered rightly.

    Empty where the inputs cannot be taken apart, where the recipe asks for none, or where there is no validation split.
    """
    settings, targets = recipe.explanation, np.asarray(dataset.targets)
    rows = dataset.where("val")[:POOL]
    if not settings.examples or not len(rows) or model.task.reader not in PARTS or targets.ndim != 1:
        return {}
    inputs = torch.from_numpy(dataset.take(rows))
    answers = model.infer(dataset, rows)[0].argmax(1)
    right = torch.from_numpy(np.flatnonzero(answers == targets[rows]))
    measured = compare_some(
        model,
        inputs[right],
        torch.from_numpy(answers)[right],
        methods=settings.methods,
        examples=settings.examples,
        seed=recipe.seed,
    )
    return measured | {"split": "val"}


def in_short(explanations: dict[str, Any]) -> dict[str, Any]:
    """What travels with the model: which method is best, and whether it beats a random map."""
    return {name: explanations.get(name) for name in ("best", "beats_random")}


def warning_of(explanations: dict[str, Any]) -> str | None:
    """A sentence where no method was shown to be more faithful than a random map."""
    if not explanations or explanations["beats_random"]:
        return None
    if not explanations["methods"]:
        return (
            "No explanation was measured: taking everything away changed none of the answers looked at. "
            "Do not rely on the heat maps."
        )
    return (
        f"No explanation was shown to be more faithful than a random map on {explanations['examples']} inputs. "
        "Do not rely on the heat maps."
    )
