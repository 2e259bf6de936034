from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from suwen.core.errors import RecipeError, RunError
from suwen.core.model import Model
from suwen.learn.fisher import fisher, load_fisher, parameters_of, save_fisher, some_rows


@pytest.fixture
def model(trained: Callable[..., Any], tiny: Callable[..., Any]) -> Model:
    return trained(tiny(training={"epochs": 1})).model


def naive(model: Model, images: np.ndarray) -> dict[str, torch.Tensor]:
    """Σ over images and labels of p(y|x) times the squared gradient of log p(y|x), each gradient taken by itself."""
    named = parameters_of(model.parts())
    total = {name: torch.zeros_like(p) for name, p in named.items()}
    for image in images:
        for label in range(len(model.head.labels)):
            log_p = model.logits(torch.from_numpy(image[None])).log_softmax(-1)[0, label]
            gradients = torch.autograd.grad(log_p, list(named.values()), allow_unused=True)
            for name, gradient in zip(named, gradients, strict=True):
                if gradient is not None:
                    total[name] += float(log_p.detach().exp()) * gradient**2 / len(images)
    return total


def test_it_is_the_mean_square_of_the_score_over_the_models_own_answers(model: Model, squares: Any) -> None:
    rows = np.array([0, 3, 7])
    found, expected = fisher(model, squares, rows), naive(model, squares.take(rows))
    assert found.keys() == expected.keys()
    for name in found:
        scale = expected[name].max().clamp_min(1e-12)
        assert torch.allclose(found[name] / scale, expected[name] / scale, atol=1e-4), name


def test_of_a_linear_classifier_it_has_a_closed_form(model: Model, squares: Any) -> None:
    """F of W_kd is the mean of p_k (1 - p_k) z_d²: multinomial logistic regression."""
    rows = np.arange(12)
    found = fisher(model, squares, rows)
    logits, z = model.infer(squares, rows)
    p = torch.from_numpy(logits).softmax(-1).numpy()
    expected = np.einsum("nk,nd->kd", p * (1 - p), z.astype(np.float64) ** 2) / len(rows)
    assert np.allclose(found["head.linear.weight"].numpy(), expected, rtol=1e-3, atol=1e-8)


def test_of_several_labels_each_is_a_question_of_its_own(model: Model, squares: Any) -> None:
    model.head.multi_label = True  # type: ignore[attr-defined]
    rows = np.arange(6)
    found = fisher(model, squares, rows)
    logits, z = model.infer(squares, rows)
    p = 1 / (1 + np.exp(-logits))
    expected = np.einsum("nk,nd->kd", p * (1 - p), z.astype(np.float64) ** 2) / len(rows)
    assert np.allclose(found["head.linear.weight"].numpy(), expected, rtol=1e-3, atol=1e-8)


def test_labels_of_the_images_play_no_part_and_the_model_stays_as_it_was(model: Model, squares: Any) -> None:
    before = {name: p.clone() for name, p in parameters_of(model.parts()).items()}
    first = fisher(model, squares, np.arange(4))
    squares.targets = 1 - squares.targets
    assert all(torch.equal(first[name], again) for name, again in fisher(model, squares, np.arange(4)).items())
    assert all(torch.equal(before[name], p) and p.grad is None for name, p in parameters_of(model.parts()).items())


def test_a_head_without_labels_is_refused(model: Model, squares: Any) -> None:
    del model.head.multi_label  # type: ignore[attr-defined]
    with pytest.raises(RecipeError, match="Fisher") as refused:
        fisher(model, squares, np.arange(2))
    assert "l2sp" in refused.value.fix


def test_it_travels_as_a_file_that_fits_its_weights_only(model: Model, squares: Any, tmp_path: Path) -> None:
    found = fisher(model, squares, np.arange(2))
    save_fisher(tmp_path / "fisher.safetensors", found, samples=2, weights="abc")
    back = load_fisher(tmp_path / "fisher.safetensors", weights="abc")
    assert back.keys() == found.keys() and all(torch.equal(back[name], found[name]) for name in found)
    with pytest.raises(RunError, match="not of def"):
        load_fisher(tmp_path / "fisher.safetensors", weights="def")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "fisher.safetensors").read_bytes()[:500])
    with pytest.raises(RunError, match="truncated"):
        load_fisher(tmp_path / "cut.safetensors", weights="abc")


def test_weights_that_were_frozen_count_and_stay_frozen(model: Model, squares: Any) -> None:
    expected = fisher(model, squares, np.arange(3))
    model.encoder.requires_grad_(False)  # type: ignore[attr-defined]
    found = fisher(model, squares, np.arange(3))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not any(p.requires_grad for _, p in model.encoder.named_parameters())


def test_rows_are_drawn_by_the_seed() -> None:
    rows = np.arange(100, 200)
    assert np.array_equal(some_rows(rows, 10, 1), some_rows(rows, 10, 1))
    assert not np.array_equal(some_rows(rows, 10, 1), some_rows(rows, 10, 2))
    assert np.array_equal(some_rows(rows, 500, 1), rows)
