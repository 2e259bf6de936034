from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.core.recipe import Recipe
from suwen.learn.batches import Batches
from suwen.learn.fisher import Importance, fisher
from suwen.learn.keep import KEEP, NEW_DECAY, Keeping, keeping
from suwen.learn.objectives.pseudo_labels import PseudoLabels, with_pseudo_labels
from suwen.learn.train import build_model, train


@pytest.fixture
def first(trained: Callable[..., Any], tiny: Callable[..., Any]) -> Model:
    return trained(tiny(training={"epochs": 2})).model


@pytest.fixture
def importance(first: Model, squares: Any) -> Importance:
    return fisher(first, squares, np.arange(4))


def bound(
    recipe: Recipe, first: Model, squares: Any, importance: Importance | None = None, labels: tuple[str, ...] = ()
) -> Keeping:
    """A module that starts from copies of the first model's weights, with a new head."""
    new = build_model(IMAGE_CLASSIFICATION, squares, recipe)
    encoder = copy.deepcopy(first.encoder)
    if labels:
        new.head.labels = labels
    return Keeping(encoder, new.head, recipe, first, importance)  # type: ignore[arg-type]


def shift(module: Keeping, by: float = 0.1) -> dict[str, torch.Tensor]:
    """Move every weight away, and say where it was."""
    then = {name: p.detach().clone() for name, p in module.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p += by * torch.randn(p.shape, generator=generator)
    return then


def test_l2sp_is_half_alpha_times_the_squared_way_from_the_start(first: Model, squares: Any, tiny: Any) -> None:
    module = bound(tiny(first={"keep": "l2sp", "strength": 0.3}), first, squares)
    assert float(module.penalty()) == 0
    then = shift(module)
    naive = sum(float(((p - then[name]) ** 2).sum()) for name, p in module.named_parameters())
    assert float(module.penalty()) == pytest.approx(0.3 / 2 * naive, rel=1e-4)


def test_ewc_weighs_the_way_by_the_fisher_information(
    first: Model, squares: Any, tiny: Any, importance: Importance
) -> None:
    module = bound(tiny(first={"keep": "ewc", "strength": 50.0}), first, squares, importance)
    assert float(module.penalty()) == 0
    then = shift(module)
    naive = sum(float((importance[name] * (p - then[name]) ** 2).sum()) for name, p in module.named_parameters())
    assert float(module.penalty()) == pytest.approx(50 / 2 * naive, rel=1e-4)


def test_unlabelled_images_start_from_the_first_head_too(first: Model, squares: Any, tiny: Any) -> None:
    recipe = tiny(first={"keep": "plain"})
    new = build_model(IMAGE_CLASSIFICATION, squares, recipe)
    module = with_pseudo_labels(keeping(IMAGE_CLASSIFICATION, first)).bind(new.encoder, new.head, recipe)
    assert isinstance(module, PseudoLabels)
    assert torch.equal(module.head.linear.weight, first.head.linear.weight)  # type: ignore[union-attr, attr-defined]


def test_a_new_head_decays_to_zero_and_is_pulled_nowhere_else(first: Model, squares: Any, tiny: Any) -> None:
    module = bound(tiny(first={"keep": "l2sp"}), first, squares, labels=("up", "down"))
    new = float(module.head.linear.weight.square().sum())  # type: ignore[union-attr, operator]
    assert float(module.penalty()) == pytest.approx(NEW_DECAY / 2 * new, rel=1e-5)


@pytest.mark.parametrize("keep", KEEP)
def test_the_first_head_is_the_start_where_the_labels_are_equal(
    keep: str, first: Model, squares: Any, tiny: Any, importance: Importance
) -> None:
    module = bound(tiny(first={"keep": keep}), first, squares, importance)
    assert torch.equal(module.head.linear.weight, first.head.linear.weight)  # type: ignore[union-attr, attr-defined]
    other = bound(tiny(first={"keep": keep}), first, squares, importance, labels=("up", "down"))
    assert not torch.equal(other.head.linear.weight, first.head.linear.weight)  # type: ignore[union-attr, attr-defined]


@pytest.mark.parametrize(("keep", "still"), [("l2sp", True), ("ewc", True), ("rehearsal", False), ("plain", False)])
def test_under_a_penalty_batch_statistics_stay(
    keep: str, still: bool, first: Model, squares: Any, tiny: Any, importance: Importance
) -> None:
    module = bound(tiny(first={"keep": keep}), first, squares, importance)
    before = {name: value.clone() for name, value in module.state_dict().items() if "running" in name}
    assert before
    module.train()
    (batch, *_) = Batches(squares, squares.where("train"), batch_size=8, seed=0).plain()
    module(batch)
    assert all(torch.equal(before[name], module.state_dict()[name]) for name in before) == still
    assert module.head.training


def test_the_penalty_is_in_the_training_loss_only_and_not_in_checkpoints(first: Model, squares: Any, tiny: Any) -> None:
    module = bound(tiny(first={"keep": "l2sp", "strength": 1.0}), first, squares)
    shift(module, 0.01)
    (batch, *_) = Batches(squares, squares.where("train"), batch_size=8, seed=0).plain()
    module.eval()
    plain = float(module(batch)["loss"])
    module.train()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    assert float(module(batch)["loss"]) == pytest.approx(plain + float(module.penalty()), rel=1e-4)
    assert not any("then" in name for name in module.state_dict())


def test_missing_or_foreign_fisher_information_is_refused(first: Model, squares: Any, tiny: Any) -> None:
    with pytest.raises(RecipeError, match="Fisher") as refused:
        bound(tiny(first={"keep": "ewc"}), first, squares)
    assert "--also" in refused.value.fix


def test_it_is_for_supervised_tasks(first: Model) -> None:
    other = replace(IMAGE_CLASSIFICATION, module="elsewhere:Pretraining")
    with pytest.raises(RecipeError, match="keep"):
        keeping(other, first)


def test_a_stronger_pull_ends_nearer_the_first_weights(first: Model, squares: Any, tiny: Any, tmp_path: Path) -> None:
    from suwen.core.run import Run

    Run(tmp_path / "first").save(first)
    ends = []
    for strength in (0.0, 10.0):
        recipe = tiny(
            encoder={"name": f"run:{tmp_path / 'first'}"},
            first={"keep": "l2sp", "strength": strength},
            training={"epochs": 4, "weight_decay": 0.0, "learning_rate": 1e-3},
        )
        squares.targets = 1 - squares.targets  # the second site says the opposite
        model = train(keeping(IMAGE_CLASSIFICATION, first), squares, recipe).model
        squares.targets = 1 - squares.targets
        then = dict(first.encoder.named_parameters())
        ends.append(sum(float((p - then[name]).square().sum()) for name, p in model.encoder.named_parameters()))
    assert ends[1] < 0.5 * ends[0]
