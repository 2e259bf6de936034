from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.errors import DataError, NameUnknown, RecipeError, RunError
from suwen.core.recipe import Recipe, make_recipe
from suwen.core.run import Run
from suwen.learn.progress import Progress
from suwen.learn.train import Trained, build_model, make_augment, make_views

Tiny = Callable[..., Recipe]
Train = Callable[..., Trained]


class Interrupt:
    """A Log that presses Ctrl-C at an optimizer step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def begin(self, progress: Progress, epochs: int, batches: int) -> None:
        pass

    def step(self, progress: Progress) -> None:
        if progress.step == self.at:
            raise KeyboardInterrupt

    def row(self, row: dict[str, Any]) -> None:
        pass

    def end(self, progress: Progress) -> None:
        pass


def weights(found: Trained) -> dict[str, Tensor]:
    return {
        f"{part}.{key}": value
        for part, module in found.model.parts().items()
        for key, value in module.state_dict().items()
    }


def assert_same(first: Trained, second: Trained) -> None:
    """The same weights and the same history to the last bit; only the seconds differ."""
    assert weights(first).keys() == weights(second).keys()
    assert all(torch.equal(value, weights(second)[key]) for key, value in weights(first).items())
    rows = [[{**row, "seconds": 0} for row in found.progress.history] for found in (first, second)]
    assert rows[0] == rows[1]
    places = [
        (found.progress.epoch, found.progress.step, found.progress.samples, found.progress.best)
        for found in (first, second)
    ]
    assert places[0] == places[1]


def test_it_learns_what_is_to_be_learned(tiny: Tiny, trained: Train) -> None:
    history = trained(tiny(training={"epochs": 8}, augment={})).progress.history
    assert history[-1]["train_loss"] < 0.5 * history[0]["train_loss"]
    assert history[-1]["val_loss"] < 0.3


def test_a_seed_gives_the_same_model_and_another_seed_another(tiny: Tiny, trained: Train) -> None:
    first, same, other = (trained(tiny(seed=seed)) for seed in (3, 3, 4))
    assert_same(first, same)
    assert any(not torch.equal(value, weights(other)[key]) for key, value in weights(first).items())


VARIANTS: dict[str, tuple[int, dict[str, Any]]] = {
    "adamw": (5, {}),
    "average": (6, {"training": {"average": 0.9}}),
    "accumulated sgd": (3, {"training": {"optimizer": "sgd", "accumulate": 2, "layer_decay": 0.8}}),
    "transformer": (
        4,
        {"encoder": {"name": "timm:test_vit", "options": {"proj_drop_rate": 0.1, "drop_path_rate": 0.1}}},
    ),
    "head only": (9, {"training": {"adapt": "head"}}),
    "last weights": (5, {"training": {"keep": "last", "average": 0.5}}),
}
"""Name → the optimizer step at which Ctrl-C comes (of four an epoch, or two where batches share one), and settings."""


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_training_that_was_interrupted_ends_like_one_that_was_not(
    tiny: Tiny, trained: Train, tmp_path: Path, variant: str
) -> None:
    """With dropout, drop path and every kind of augmentation."""
    step, settings = VARIANTS[variant]
    recipe = make_recipe(
        tiny(
            training={"checkpoint_seconds": 0},
            head={"options": {"dropout": 0.3}},
            augment={"affine": {}, "intensity": {}, "noise": {}, "erase": {}, "mixup": {}, "cutmix": {}},
        ).model_dump(),
        settings,
    )
    whole = trained(recipe)
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, folder=tmp_path, logs=[Interrupt(step)])
    assert (tmp_path / "last.safetensors").is_file()
    assert_same(trained(recipe, folder=tmp_path), whole)


@pytest.mark.parametrize("step", [3, 7])
def test_an_interrupted_training_with_unlabelled_images_ends_like_one_that_was_not(
    tiny: Tiny, trained: Train, squares_of: Callable[..., Any], tmp_path: Path, step: int
) -> None:
    """In the middle of an epoch, with its count of pseudo-labels, and from the second epoch on (five steps each)."""
    recipe = tiny(
        training={"checkpoint_seconds": 0, "average": 0.9},
        head={"options": {"dropout": 0.3}},
        augment={"affine": {}, "mixup": {}},
        unlabelled={"ratio": 2, "threshold": 0.6},
    )
    pool = squares_of(111, seed=7)
    whole = trained(recipe, unlabelled=pool)
    assert all(0 <= row["sure"] <= 1 for row in whole.progress.history) and whole.progress.history[-1]["sure"] > 0
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, folder=tmp_path, logs=[Interrupt(step)], unlabelled=pool)
    assert (tmp_path / "last.safetensors").is_file()
    assert_same(trained(recipe, folder=tmp_path, unlabelled=pool), whole)


def test_unlabelled_images_help_where_few_are_labelled(tiny: Tiny, trained: Train, squares_of: Any) -> None:
    """Four labelled squares, eighty more without labels, and validation images that neither holds; as many steps."""
    few = squares_of(96)
    few.splits = np.where(np.arange(96) < 4, "train", np.where(np.arange(96) < 48, "", "val"))

    def loss(epochs: int, unlabelled: Any) -> float:
        recipe = tiny(
            training={"epochs": epochs, "keep": "last", "learning_rate": 1e-2},
            augment={"affine": {"shift": 0.05, "rotate": 0, "scale": 0}},
            unlabelled={"ratio": 4, "strong": {"affine": {"shift": 0.1, "rotate": 5}, "noise": {}}, "threshold": 0.8},
        )
        return float(trained(recipe, dataset=few, unlabelled=unlabelled).progress.history[-1]["val_loss"])

    assert loss(8, squares_of(120, seed=5)) < 0.5 * loss(24, None)


def test_a_task_without_views_of_unlabelled_inputs_says_so(tiny: Tiny) -> None:
    with pytest.raises(RecipeError, match="unlabelled"):
        make_views(replace(IMAGE_CLASSIFICATION, unlabelled=None), tiny(), 2)


@pytest.mark.parametrize("which", ["dataset", "unlabelled"])
def test_a_checkpoint_of_other_data_is_not_gone_on_from(
    tiny: Tiny, trained: Train, squares_of: Callable[..., Any], tmp_path: Path, which: str
) -> None:
    recipe = tiny(training={"epochs": 1, "checkpoint_seconds": 0})
    data = {"dataset": squares_of(12), "unlabelled": squares_of(12)}
    trained(recipe, folder=tmp_path, **data)
    data[which].fingerprint = "changed since"
    with pytest.raises(RunError, match="other data") as refused:
        trained(recipe, folder=tmp_path, **data)
    assert f"rm {tmp_path / 'last.safetensors'}" in refused.value.fix


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import make_tiny_recipe, train_squares
class Kill:
    def begin(self, *_): pass
    def row(self, row): pass
    def end(self, progress): pass
    def step(self, progress):
        if progress.step == 7:
            os.kill(os.getpid(), signal.SIGKILL)
recipe = make_tiny_recipe(training={"checkpoint_seconds": 0, "average": 0.9})
train_squares(recipe, folder=Path(sys.argv[2]), logs=[Kill()])
"""


@pytest.mark.slow
def test_a_training_killed_in_another_process_goes_on_here(tiny: Tiny, trained: Train, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path)]
    assert (
        subprocess.run(command, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, check=False).returncode
        == -signal.SIGKILL
    )
    assert [path.name for path in tmp_path.iterdir()] == ["last.safetensors"]
    recipe = tiny(training={"average": 0.9})
    assert_same(trained(recipe, folder=tmp_path), trained(recipe))


def test_an_interrupted_last_epoch_is_still_evaluated(tiny: Tiny, trained: Train, tmp_path: Path) -> None:
    """Killed after the last step and before its evaluation."""
    recipe = tiny(training={"epochs": 2, "checkpoint_seconds": 0})
    whole = trained(recipe)

    class StopAtRow(Interrupt):
        def row(self, row: dict[str, Any]) -> None:
            if row["epoch"] == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(recipe, folder=tmp_path, logs=[StopAtRow(0)])
    assert_same(trained(recipe, folder=tmp_path), whole)


def test_adapting_the_head_leaves_the_encoder_as_it_was(tiny: Tiny, trained: Train, squares: Any) -> None:
    recipe = tiny(training={"adapt": "head"})
    before = build_model(IMAGE_CLASSIFICATION, squares, recipe).parts()
    after = trained(recipe).model.parts()
    assert all(
        torch.equal(value, after["encoder"].state_dict()[key]) for key, value in before["encoder"].state_dict().items()
    )
    assert not torch.equal(before["head"].state_dict()["linear.weight"], after["head"].state_dict()["linear.weight"])


@pytest.mark.parametrize("encoder", ["timm:test_resnet", "timm:test_convnext"])
def test_a_trained_model_answers_the_same_after_saving_and_loading(
    tiny: Tiny, trained: Train, squares: Any, tmp_path: Path, encoder: str
) -> None:
    """Also where training laid its weights out channels-last."""
    model = trained(tiny(encoder={"name": encoder}, training={"epochs": 1, "channels_last": True})).model
    Run(tmp_path / "run").save(model)
    rows = np.arange(len(squares))
    here, there = model.infer(squares, rows), Run(tmp_path / "run").load().infer(squares, rows)
    assert np.array_equal(here[0], there[0]) and np.array_equal(here[1], there[1])


def test_without_validation_the_last_weights_are_kept(tiny: Tiny, trained: Train, squares: Any) -> None:
    squares.splits = np.where(squares.splits == "val", "test", squares.splits)
    found = trained(tiny(), dataset=squares)
    assert (
        found.progress.best is None
        and [row.keys() for row in found.progress.history] == [{"epoch", "train_loss", "learning_rate", "seconds"}] * 3
    )


def test_no_training_rows_are_an_error(tiny: Tiny, trained: Train, squares: Any) -> None:
    squares.splits = np.full(len(squares), "test")
    with pytest.raises(DataError, match="no training samples"):
        trained(tiny(), dataset=squares)


def test_an_option_that_the_head_does_not_have_is_refused(tiny: Tiny, squares: Any) -> None:
    with pytest.raises(RecipeError, match="head classify does not take these options"):
        build_model(IMAGE_CLASSIFICATION, squares, tiny(head={"options": {"layers": 3}}))


def test_the_recipe_says_which_transforms_are_allowed(tiny: Tiny) -> None:
    assert make_augment(IMAGE_CLASSIFICATION, tiny(augment={}), 2) is None
    assert make_augment(IMAGE_CLASSIFICATION, tiny(), 2) is not None
    with pytest.raises(NameUnknown):
        make_augment(IMAGE_CLASSIFICATION, tiny(augment={"rotation": {}}), 2)


def test_training_leaves_a_model_that_is_ready_to_be_asked(tiny: Tiny, trained: Train) -> None:
    found = trained(tiny(training={"epochs": 1, "precision": "bf16"}))
    assert found.precision == "bf16"
    assert not any(part.training for part in found.model.parts().values())
    assert all(value.dtype != torch.bfloat16 for value in weights(found).values())
