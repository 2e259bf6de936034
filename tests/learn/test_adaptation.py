"""What of an encoder learns, and what its Run keeps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.errors import NameUnknown, RecipeError, RunError
from suwen.core.recipe import Recipe, make_recipe
from suwen.core.run import Run, load
from suwen.encoders.image import TimmEncoder
from suwen.learn.adaptation import ADAPTATIONS, adaptation_of
from suwen.learn.average import learned
from suwen.learn.keep import keeping
from suwen.learn.supervised import Supervised
from suwen.learn.train import Trained, train

Tiny = Callable[..., Recipe]
Train = Callable[..., Trained]
ROWS = np.arange(48)


@pytest.fixture
def base(tiny: Tiny, trained: Train, tmp_path: Path) -> Path:
    """A fully trained Run."""
    Run(tmp_path / "base").save(trained(tiny(training={"epochs": 2})).model)
    return tmp_path / "base"


@pytest.fixture
def adapt(base: Path, tiny: Tiny, trained: Train) -> Callable[..., Trained]:
    """`adapt("lora", …)`: another training, from that Run."""

    def adapted(how: str, **settings: Any) -> Trained:
        training = {"adapt": how, "lora": {"rank": 2}} | settings.pop("training", {})
        return trained(tiny(encoder={"name": f"run:{base}"}, training=training, **settings))

    return adapted


def test_an_unknown_adaptation_offers_the_nearest(tiny: Tiny) -> None:
    with pytest.raises(NameUnknown, match="did you mean lora"):
        adaptation_of(tiny(training={"adapt": "lorra"}))


def test_a_row_that_does_not_work_yet_says_what_it_lacks(tiny: Tiny) -> None:
    with pytest.raises(RecipeError, match="encoder of text") as refused:
        adaptation_of(tiny(training={"adapt": "prompt"}))
    assert "--adapt lora" in refused.value.fix
    assert all(row.summary for row in ADAPTATIONS.values())


class TestHead:
    def test_features_computed_once_train_the_head_that_images_would(
        self, squares: Any, adapt: Any, base: Path
    ) -> None:
        """Without augmentation the two ways see the same features."""
        once = adapt("head", augment={}, training={"channels_last": False})
        anew = adapt("head", augment={}, training={"channels_last": False, "features": {"gib": 0}})
        for first, second in zip(once.progress.history, anew.progress.history, strict=True):
            assert first["train_loss"] == pytest.approx(second["train_loss"], abs=1e-4)
            assert first["val_loss"] == pytest.approx(second["val_loss"], abs=1e-4)
        here, there = once.model.infer(squares, ROWS)[0], anew.model.infer(squares, ROWS)[0]
        np.testing.assert_allclose(here, there, atol=1e-3)

    def test_a_penalty_on_the_head_is_not_lost(self, squares: Any, base: Path, tiny: Tiny) -> None:
        """Cached features have a loss of their own, and what is to be kept would be forgotten there."""
        moved = {}
        for strength in (0.0, 1000.0):
            recipe = tiny(
                encoder={"name": f"run:{base}"},
                training={"adapt": "head", "weight_decay": 0.0},
                first={"keep": "l2sp", "strength": strength},
                augment={},
            )
            first = Run(base).load()
            found = train(keeping(IMAGE_CLASSIFICATION, first), squares, recipe).model
            way = found.head.linear.weight - first.head.linear.weight  # type: ignore[attr-defined]
            moved[strength] = float(way.detach().norm())
        assert moved[1000.0] < 0.2 * moved[0.0]

    def test_each_image_is_encoded_once_however_many_epochs(self, adapt: Any, encoded: list[int]) -> None:
        adapt("head", training={"epochs": 7})
        assert sum(encoded) == len(ROWS) + _building(encoded)

    def test_the_run_is_like_any_other(self, squares: Any, adapt: Any, base: Path, tmp_path: Path) -> None:
        model = adapt("head").model
        Run(tmp_path / "head").save(model)
        shutil.rmtree(base)
        assert np.array_equal(load(tmp_path / "head").infer(squares, ROWS)[0], model.infer(squares, ROWS)[0])

    def test_an_interrupted_training_ends_like_one_that_was_not(
        self, adapt: Any, base: Path, tiny: Tiny, trained: Train, tmp_path: Path
    ) -> None:
        recipe = tiny(
            encoder={"name": f"run:{base}"},
            training={"adapt": "head", "checkpoint_seconds": 0, "features": {"views": 3}, "average": 0.9},
            head={"options": {"dropout": 0.3}},
        )
        whole = trained(recipe)
        with pytest.raises(KeyboardInterrupt):
            trained(recipe, folder=tmp_path / "half", logs=[_Interrupt(5)])
        again = trained(recipe, folder=tmp_path / "half")
        for name, value in whole.model.head.state_dict().items():  # type: ignore[attr-defined]
            assert torch.equal(value, again.model.head.state_dict()[name])  # type: ignore[attr-defined]

    def test_mixing_images_cannot_be_cached(self, adapt: Any) -> None:
        with pytest.raises(RecipeError, match="mix images"):
            adapt("head", augment={"mixup": {}}, training={"features": {"views": 2}})

    def test_neighbours_are_remembered_and_judged_once(self, squares: Any, adapt: Any, tmp_path: Path) -> None:
        found = adapt("head", head={"name": "knn", "options": {"k": 3}})
        assert [row["epoch"] for row in found.progress.history] == [1] and found.progress.best is not None
        assert found.model.head.config["stored"] == 32
        assert not any(part.training for part in found.model.parts().values())
        Run(tmp_path / "knn").save(found.model)
        assert np.array_equal(load(tmp_path / "knn").infer(squares, ROWS)[0], found.model.infer(squares, ROWS)[0])

    @pytest.mark.parametrize("how", ["full", "lora"])
    def test_neighbours_cannot_teach_an_encoder(self, adapt: Any, how: str) -> None:
        with pytest.raises(RecipeError, match="--adapt head"):
            adapt(how, head={"name": "knn"})


class TestLora:
    def test_only_small_changes_and_the_head_are_kept(
        self, squares: Any, adapt: Any, base: Path, tmp_path: Path
    ) -> None:
        model = adapt("lora").model
        Run(tmp_path / "lora").save(model)
        small, large = ((path / "model.safetensors").stat().st_size for path in (tmp_path / "lora", base))
        assert small < 0.06 * large
        again = load(tmp_path / "lora")
        assert np.array_equal(again.infer(squares, ROWS)[0], model.infer(squares, ROWS)[0])
        assert again.name.startswith("lora@")

    @pytest.mark.parametrize("norms", [True, False])
    def test_the_base_is_left_as_it_was(self, adapt: Any, base: Path, norms: bool) -> None:
        """But for norm layers where these learn, in weights and in batch statistics."""
        before = load(base).encoder.state_dict()  # type: ignore[attr-defined]
        model = adapt("lora", training={"average": 0.9, "lora": {"rank": 2, "norms": norms}}).model
        moved = set()
        for name, value in model.encoder.state_dict().items():
            plain = name.replace(".base_layer", "")
            if ".lora_" not in name and not torch.equal(value, before[plain]):
                moved.add(name)
            assert ".lora_B" not in name or value.any()
        assert moved <= model.encoder.adapter.kept(model.encoder).keys()
        assert norms == any(name.endswith("running_mean") for name in moved) == any("weight" in name for name in moved)

    def test_runs_on_one_base_share_its_tensors_in_memory(
        self, squares: Any, adapt: Any, base: Path, tmp_path: Path
    ) -> None:
        for seed in (0, 1):
            Run(tmp_path / f"task-{seed}").save(adapt("lora", seed=seed).model)
        first, second = (load(tmp_path / f"task-{seed}") for seed in (0, 1))
        ours, theirs = dict(first.encoder.named_parameters()), dict(second.encoder.named_parameters())
        own = first.encoder.adapter.kept(first.encoder)  # type: ignore[attr-defined]
        shared = ours.keys() - own.keys()
        assert len(shared) > 10 and all(ours[name] is theirs[name] for name in shared)
        assert not any(ours[name] is theirs[name] for name in ours.keys() - shared)
        assert not np.array_equal(first.infer(squares, ROWS)[0], second.infer(squares, ROWS)[0])

    def test_merged_it_gives_the_same_logits_and_needs_no_base(
        self, squares: Any, adapt: Any, base: Path, tmp_path: Path
    ) -> None:
        model = adapt("lora").model
        Run(tmp_path / "lora").save(model)
        loaded = load(tmp_path / "lora")
        plain = loaded.merged()
        Run(tmp_path / "merged").save(plain)
        shutil.rmtree(base)
        merged = load(tmp_path / "merged")
        expected = model.infer(squares, ROWS)[0]
        np.testing.assert_allclose(merged.infer(squares, ROWS)[0], expected, atol=1e-5)
        assert merged.encoder.config["name"] == "timm:test_resnet"
        assert np.array_equal(loaded.infer(squares, ROWS)[0], expected), "merging changed the shared base"
        assert merged.merged() is merged

    def test_another_base_is_refused_by_its_fingerprint(
        self, adapt: Any, base: Path, tiny: Tiny, trained: Train, tmp_path: Path
    ) -> None:
        Run(tmp_path / "lora").save(adapt("lora").model)
        wanted = Run(base).fingerprint()
        Run(base).save(trained(tiny(seed=9, training={"epochs": 1})).model)
        with pytest.raises(RunError, match="adapters for the base Run 'base'") as refused:
            load(tmp_path / "lora")
        assert wanted in refused.value.fix and Run(base).fingerprint()[:12] in refused.value.seen

    def test_a_missing_base_is_named(self, adapt: Any, base: Path, tmp_path: Path) -> None:
        Run(tmp_path / "lora").save(adapt("lora").model)
        shutil.rmtree(base)
        with pytest.raises(RunError, match="no Run is there") as refused:
            load(tmp_path / "lora")
        assert str(base) in refused.value.fix

    def test_a_base_and_its_adapters_can_be_moved_together(
        self, squares: Any, adapt: Any, base: Path, tmp_path: Path
    ) -> None:
        model = adapt("lora").model
        Run(tmp_path / "lora").save(model)
        assert json.loads((tmp_path / "lora" / "model.json").read_text())["encoder"]["base"]["path"] == "../base"
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        for name in ("base", "lora"):
            shutil.move(tmp_path / name, elsewhere / name)
        assert np.array_equal(load(elsewhere / "lora").infer(squares, ROWS)[0], model.infer(squares, ROWS)[0])

    def test_without_a_base_run_it_is_merged_and_stands_alone(
        self, squares: Any, tiny: Tiny, trained: Train, tmp_path: Path
    ) -> None:
        model = trained(tiny(training={"adapt": "lora", "lora": {"rank": 2}})).model
        assert model.encoder.config["name"] == "timm:test_resnet" and not hasattr(model.encoder, "adapter")
        Run(tmp_path / "alone").save(model)
        assert np.array_equal(load(tmp_path / "alone").infer(squares, ROWS)[0], model.infer(squares, ROWS)[0])

    def test_adapters_can_be_the_base_of_further_ones(
        self, adapt: Any, tiny: Tiny, trained: Train, tmp_path: Path
    ) -> None:
        """Merged first, and then there is no Run that holds such weights: the new one stands alone."""
        Run(tmp_path / "first").save(adapt("lora").model)
        recipe = tiny(encoder={"name": f"run:{tmp_path / 'first'}"}, training={"adapt": "lora", "lora": {"rank": 1}})
        assert not hasattr(trained(recipe).model.encoder, "adapter")

    def test_an_interrupted_training_ends_like_one_that_was_not(
        self, base: Path, tiny: Tiny, trained: Train, tmp_path: Path
    ) -> None:
        recipe = tiny(
            encoder={"name": f"run:{base}"},
            training={
                "adapt": "lora",
                "lora": {"rank": 2, "dropout": 0.2},
                "average": 0.9,
                "checkpoint_seconds": 0,
                "layer_decay": 0.8,
            },
        )
        whole = trained(recipe)
        with pytest.raises(KeyboardInterrupt):
            trained(recipe, folder=tmp_path / "half", logs=[_Interrupt(5)])
        again = trained(recipe, folder=tmp_path / "half")
        state = again.model.encoder.state_dict()  # type: ignore[attr-defined]
        for name, value in whole.model.encoder.state_dict().items():  # type: ignore[attr-defined]
            assert torch.equal(value, state[name]), name

    def test_a_checkpoint_holds_no_frozen_weights(self, squares: Any, tiny: Tiny) -> None:
        encoder = TimmEncoder("test_resnet", squares.preprocess)
        settings = tiny(training={"adapt": "lora", "lora": {"rank": 2}}).training
        ADAPTATIONS["lora"].prepare(encoder, settings)
        module = Supervised(encoder, torch.nn.Linear(1, 1), make_recipe({"task": ""}))
        kept = learned(module)
        assert not any("base_layer.weight" in name for name in kept) and any(".lora_A" in name for name in kept)
        assert any("running_mean" in name for name in kept)


class _Interrupt:
    """A Log that presses Ctrl-C at an optimizer step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def begin(self, *_: Any) -> None:
        pass

    def step(self, progress: Any) -> None:
        if progress.step == self.at:
            raise KeyboardInterrupt

    def row(self, row: dict[str, Any]) -> None:
        pass

    def end(self, progress: Any) -> None:
        pass


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many images each pass through a timm encoder had."""
    seen: list[int] = []
    forward = TimmEncoder.forward

    def counted(self: TimmEncoder, images: Any) -> Any:
        seen.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(TimmEncoder, "forward", counted)
    yield seen


def _building(encoded: list[int]) -> int:
    """Passes of one black image, with which an encoder learns its own shape."""
    return sum(count for count in encoded if count == 1)
