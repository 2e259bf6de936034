from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.recipe import Recipe, make_recipe
from suwen.heads.classify import Classify
from suwen.learn.objectives.pseudo_labels import PseudoLabels, pseudo_label_loss, pseudo_labels

LABELS = ("a", "b", "c")


def by_the_formula(weak: np.ndarray, strong: np.ndarray, threshold: float) -> float:
    """Equation 4 of the paper, one input at a time."""
    total = 0.0
    for said, asked in zip(weak, strong, strict=True):
        q = np.exp(said) / np.exp(said).sum()
        if q.max() >= threshold:
            p = np.exp(asked) / np.exp(asked).sum()
            total -= math.log(p[q.argmax()])
    return total / len(weak)


def for_each_class(weak: np.ndarray, strong: np.ndarray, threshold: float) -> float:
    """The same for questions that are answered with yes or no, one at a time."""
    total = 0.0
    for said, asked in zip(weak.ravel(), strong.ravel(), strict=True):
        q, p = 1 / (1 + math.exp(-said)), 1 / (1 + math.exp(-asked))
        if q >= threshold:
            total -= math.log(p)
        elif q <= 1 - threshold:
            total -= math.log(1 - p)
    return total / weak.size


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(2, 5), st.floats(0.5, 0.99), st.booleans(), st.integers(0, 10_000))
def test_the_loss_is_that_of_the_paper(rows: int, classes: int, threshold: float, several: bool, seed: int) -> None:
    weak, strong = 3 * np.random.default_rng(seed).normal(size=(2, rows, classes))
    found = pseudo_label_loss(
        torch.from_numpy(strong), *pseudo_labels(torch.from_numpy(weak), threshold, multi_label=several)
    )
    naive = (for_each_class if several else by_the_formula)(weak, strong, threshold)
    assert float(found) == pytest.approx(naive, rel=1e-6, abs=1e-12)


def made_of(**unlabelled: Any) -> Recipe:
    return make_recipe({"task": "image-classification", "unlabelled": unlabelled})


def batch_of(flat: Any, rows: int = 4, pool: int = 12) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    return {
        "inputs": torch.rand(rows, 16, generator=generator),
        "target": torch.arange(rows) % 3,
        "weak": torch.rand(pool, 16, generator=generator),
        "strong": torch.rand(pool, 16, generator=generator),
        "index": np.arange(rows),
    }


def head_of(**options: Any) -> Classify:
    torch.manual_seed(1)
    return Classify(6, LABELS, **options)


def test_it_is_the_labelled_loss_and_lambda_times_the_other(flat: Any) -> None:
    head, batch = head_of(), batch_of(flat)
    with torch.no_grad():
        head.linear.weight *= 5
        known = float(head.loss(head(flat(batch["inputs"])), batch["target"]))
        weak, strong = (head(flat(batch[name])).double().numpy() for name in ("weak", "strong"))
    said = (np.exp(weak) / np.exp(weak).sum(1, keepdims=True)).max(1)
    threshold = float(np.median(said))  # sure of half of them
    module = PseudoLabels(flat, head, made_of(threshold=threshold, weight=0.7))
    found = module(batch)
    assert found["loss"].item() == pytest.approx(known + 0.7 * by_the_formula(weak, strong, threshold), rel=1e-5)
    assert found["output"].shape == (4, 3)
    assert module.figures() == {"sure": 0.5}


def test_no_gradient_flows_through_the_weak_view(flat: Any) -> None:
    batch = batch_of(flat)
    batch["weak"].requires_grad_()
    batch["strong"].requires_grad_()
    module = PseudoLabels(flat, head_of(), made_of(threshold=0.51))
    with torch.no_grad():
        module.head.linear.weight *= 50  # type: ignore[union-attr, operator]
    module(batch)["loss"].backward()
    assert batch["weak"].grad is None and batch["strong"].grad.abs().sum() > 0


def test_pseudo_labels_are_neither_smoothed_nor_weighed(flat: Any) -> None:
    """What the head's own loss does to labels that people gave is not done to those that nobody gave."""
    batch = batch_of(flat)
    recipe = made_of(threshold=0.501)
    other = {"label_smoothing": 0.3, "class_weights": [1.0, 5.0, 9.0], "focal_gamma": 2.0}
    differences = []
    for options in ({}, other):
        head = head_of(**options)
        with torch.no_grad():
            head.linear.weight *= 50
        module = PseudoLabels(flat, head, recipe)
        alone = head.loss(head(flat(batch["inputs"])), batch["target"])
        differences.append((module(batch)["loss"] - alone).item())
    assert differences[0] > 0 and differences[0] == pytest.approx(differences[1], rel=1e-4)


def test_without_unlabelled_views_it_is_supervised(flat: Any) -> None:
    head, batch = head_of(), batch_of(flat)
    del batch["weak"], batch["strong"]
    module = PseudoLabels(flat, head, made_of())
    assert torch.equal(module(batch)["loss"], head.loss(head(flat(batch["inputs"])), batch["target"]))
    assert module.figures() == {}


def test_bytes_and_augmented_views_share_one_pass(flat: Any) -> None:
    """Labelled images that no transform touched are still bytes, strong views never are."""
    module, batch = PseudoLabels(flat, head_of(), made_of()), batch_of(flat)
    whole = torch.randint(0, 256, (4, 16), dtype=torch.uint8)
    as_bytes = module({**batch, "inputs": whole})["output"]
    torch.testing.assert_close(as_bytes, module({**batch, "inputs": whole / 255})["output"])


def test_the_count_of_sure_ones_starts_anew_each_time_and_outlives_an_interruption(flat: Any) -> None:
    module = PseudoLabels(flat, head_of(), made_of(threshold=0.501))
    with torch.no_grad():
        module.head.linear.weight *= 1000  # type: ignore[union-attr, operator]
    module(batch_of(flat))
    other = PseudoLabels(flat, head_of(), made_of())
    other.load_state_dict(module.state_dict())
    assert other.figures() == module.figures() == {"sure": 1.0}
    assert module.figures() == {}
