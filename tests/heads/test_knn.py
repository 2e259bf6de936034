from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from suwen.core.calibration import Calibration
from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.heads.knn import LEAST, Neighbours

LABELS = ("clear", "nodule", "opacity")


def memory(n: int = 60, width: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    target = torch.arange(n) % len(LABELS)
    return torch.randn(n, width, generator=g) + 2 * torch.eye(len(LABELS), width)[target], target


def make(**options: Any) -> Neighbours:
    head = Neighbours(8, LABELS, **options)
    head.remember(*memory())
    return head


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (5, 0.07), (20, 0.5), (60, 0.1)])
def test_shares_of_votes_are_those_of_scikit_learn(k: int, temperature: float) -> None:
    stored, target = memory()
    asked = torch.randn(30, 8, generator=torch.Generator().manual_seed(1))
    oracle = KNeighborsClassifier(
        k, metric="cosine", algorithm="brute", weights=lambda distance: np.exp((1 - distance) / temperature)
    ).fit(stored.numpy(), target.numpy())
    shares = make(k=k, temperature=temperature)(Features(asked)).softmax(1).numpy()
    smoothed = (oracle.predict_proba(asked.numpy()) + LEAST) / (1 + LEAST * len(LABELS))
    np.testing.assert_allclose(shares, smoothed, atol=2e-5)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.1, 50), st.integers(0, 100))
def test_the_length_of_a_feature_says_nothing(scale: float, seed: int) -> None:
    asked = torch.randn(4, 8, generator=torch.Generator().manual_seed(seed))
    head = make()
    torch.testing.assert_close(head(Features(asked)), head(Features(asked * scale)), atol=2e-3, rtol=1e-3)


def test_several_labels_may_hold_at_once() -> None:
    head = Neighbours(4, ("a", "b"), k=2, multi_label=True)
    head.remember(torch.eye(4), torch.tensor([[1, 1], [1, 0], [0, 0], [0, 1]]))
    seen = Features(torch.tensor([[1.0, 0.999, 0.0, 0.0]]))
    p = head.probabilities(head(seen), Calibration())
    assert p[0, 0] > 0.999 and 0.4 < p[0, 1] < 0.6


def test_fewer_images_than_neighbours_all_vote() -> None:
    head = Neighbours(4, ("a", "b"), k=20)
    head.remember(torch.eye(4)[:2], torch.tensor([0, 1]))
    assert head(Features(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))).argmax() == 0


def test_the_memory_travels_in_config_and_weights() -> None:
    head = make(k=7)
    again = Neighbours(8, LABELS, **{key: value for key, value in head.config.items() if key != "name"})
    again.load_state_dict(head.state_dict())
    asked = Features(torch.randn(5, 8))
    assert torch.equal(head(asked), again(asked))
    assert head.config["stored"] == 60 and set(head.state_dict()) == {"bank", "bank_labels"}


def test_nothing_in_it_learns() -> None:
    assert not list(make().parameters())


@pytest.mark.parametrize("wrong", [{"k": 0}, {"temperature": 0.0}])
def test_impossible_votes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="k = ") as refused:
        Neighbours(8, LABELS, **wrong)
    assert "head.options.k=20" in refused.value.fix
