from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.core.views import VIEWS
from suwen.learn.query import look as looking
from suwen.learn.query.look import look
from suwen.learn.query.uncertainty import entropy_of


@pytest.fixture
def model(trained: Callable[..., Any], tiny: Callable[..., Any]) -> Model:
    return trained(tiny(training={"epochs": 1})).model


@pytest.fixture
def dropping(trained: Callable[..., Any], tiny: Callable[..., Any]) -> Model:
    return trained(tiny(training={"epochs": 1}, head={"options": {"dropout": 0.5}})).model


def test_answers_and_features_are_the_models_own_in_whatever_batches(
    model: Model, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "BATCH", 7)
    rows = np.arange(5, 40)
    seen = look(model, squares, rows, tmp_path / "features")
    logits, features = model.infer(squares, rows)
    assert np.allclose(seen.features, features, atol=1e-6)
    p = model.head.probabilities(torch.from_numpy(logits).double(), model.calibration).numpy()
    assert np.allclose(seen.probabilities, p, atol=1e-6)
    assert seen.posterior is None
    assert isinstance(seen.features, np.memmap)


def test_dropout_samples_are_drawn_by_the_seed_and_summed_up_rightly(
    dropping: Model, squares: Any, tmp_path: Path
) -> None:
    rows = np.arange(20)
    first, again, other = (
        look(dropping, squares, rows, tmp_path / "f", posterior=True, seed=seed).posterior for seed in (1, 1, 2)
    )
    assert first is not None and again is not None and other is not None
    assert "dropout" in first.how and first.samples == looking.DRAWS
    assert np.array_equal(first.mean, again.mean) and not np.array_equal(first.mean, other.mean)

    dropping.encoder.eval(), dropping.head.eval()  # type: ignore[attr-defined]
    draws, _ = looking.draws_of(dropping, looking.derive(1, 0))
    with torch.inference_mode():
        logits = list(draws(torch.from_numpy(squares.take(rows))))
    p = np.stack([dropping.head.probabilities(each.double(), dropping.calibration).numpy() for each in logits])
    assert np.allclose(first.mean, p.mean(0)) and np.allclose(first.entropy, entropy_of(p).mean(0))
    assert (entropy_of(first.mean) - first.entropy).max() > 0
    assert not any(part.training for part in dropping.head.modules())  # type: ignore[attr-defined]


def test_only_dropout_is_awake_while_sampling(dropping: Model, squares: Any, tmp_path: Path) -> None:
    """Batch statistics must not move: the model is asked, not trained."""
    before = {name: value.clone() for name, value in dropping.encoder.state_dict().items()}  # type: ignore[attr-defined]
    look(dropping, squares, np.arange(10), tmp_path / "f", posterior=True)
    after = dropping.encoder.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_without_dropout_views_stand_in_and_that_is_said(model: Model, squares: Any, tmp_path: Path) -> None:
    seen = look(model, squares, np.arange(10), tmp_path / "f", posterior=True).posterior
    assert seen is not None and "no dropout" in seen.how
    assert seen.samples == 1 + len(VIEWS["shift"])


def test_without_dropout_and_without_images_it_is_refused(model: Model) -> None:
    draws, _ = looking.draws_of(model, 0)
    with pytest.raises(RecipeError, match="without dropout") as refused:
        list(draws(torch.zeros(2, 1, 100)))
    assert "head.options.dropout" in refused.value.fix


def test_no_rows_give_nothing(model: Model, squares: Any, tmp_path: Path) -> None:
    seen = look(model, squares, np.arange(0), tmp_path / "f")
    assert seen.probabilities.shape == (0, 2) and len(seen.features) == 0
    assert isinstance(model.encoder, nn.Module)
