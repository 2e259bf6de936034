from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from suwen.core.calibration import Calibration
from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.heads.classify import Classify

THREE = ("clear", "nodule", "opacity")
TWO = ("clear", "nodule")


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(16, 3, generator=torch.Generator().manual_seed(0)) * 3


@pytest.fixture
def target() -> Tensor:
    return torch.randint(0, 3, (16,), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def several() -> Tensor:
    """Which of three labels hold, several at once."""
    return (torch.rand(16, 3, generator=torch.Generator().manual_seed(2)) < 0.4).to(torch.uint8)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 4.0]])
def test_the_loss_of_one_label_is_cross_entropy(
    logits: Tensor, target: Tensor, smoothing: float, weights: list[float] | None
) -> None:
    head = Classify(8, THREE, label_smoothing=smoothing, class_weights=weights)
    weight = None if weights is None else torch.tensor(weights)
    expected = F.cross_entropy(logits, target, weight=weight, label_smoothing=smoothing)
    torch.testing.assert_close(head.loss(logits, target), expected)


def test_mixed_targets_have_the_cross_entropy_of_their_shares(logits: Tensor) -> None:
    shares = torch.rand(16, 3, generator=torch.Generator().manual_seed(3)).softmax(1)
    torch.testing.assert_close(Classify(8, THREE).loss(logits, shares), F.cross_entropy(logits, shares))
    torch.testing.assert_close(
        Classify(8, THREE, label_smoothing=0.1).loss(logits, shares),
        F.cross_entropy(logits, shares, label_smoothing=0.1),
    )


def test_the_loss_of_several_labels_is_binary_cross_entropy(logits: Tensor, several: Tensor) -> None:
    head = Classify(8, THREE, multi_label=True)
    expected = F.binary_cross_entropy_with_logits(logits, several.float())
    torch.testing.assert_close(head.loss(logits, several), expected)


def test_weights_of_several_labels_weigh_their_presence(logits: Tensor, several: Tensor) -> None:
    weights = torch.tensor([0.5, 1.0, 4.0])
    head = Classify(8, THREE, multi_label=True, class_weights=weights.tolist())
    total = F.binary_cross_entropy_with_logits(logits, several.float(), pos_weight=weights, reduction="sum")
    expected = total / torch.where(several > 0, weights, 1.0).sum()
    torch.testing.assert_close(head.loss(logits, several), expected)


@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_focal_loss_of_several_labels_is_torchvisions(logits: Tensor, several: Tensor, gamma: float) -> None:
    head = Classify(8, THREE, multi_label=True, focal_gamma=gamma)
    expected = sigmoid_focal_loss(logits, several.float(), alpha=-1, gamma=gamma, reduction="mean")
    torch.testing.assert_close(head.loss(logits, several), expected)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_loss_of_one_label_weighs_each_case_by_how_wrong_it_is(
    logits: Tensor, target: Tensor, gamma: float
) -> None:
    p = logits.softmax(1)[torch.arange(16), target]
    expected = -((1 - p) ** gamma * p.log()).mean()
    torch.testing.assert_close(Classify(8, THREE, focal_gamma=gamma).loss(logits, target), expected)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=4, max_size=40).filter(lambda rows: len(set(rows)) == 4))
def test_balanced_weights_are_those_of_scikit_learn(rows: list[int]) -> None:
    targets = np.array(rows)
    dataset: Any = SimpleNamespace(targets=targets, labels=("a", "b", "c", "d"))
    found = Classify.options_for(dataset, np.arange(len(rows)), {"class_weights": "balanced"})
    expected = compute_class_weight("balanced", classes=np.arange(4), y=targets)
    np.testing.assert_allclose(found["class_weights"], expected, atol=1e-6)
    assert found["multi_label"] is False


def test_balanced_weights_of_several_labels_balance_each_on_its_own() -> None:
    targets = np.array([[1, 0], [0, 0], [0, 1], [0, 1], [0, 1]], np.uint8)
    dataset: Any = SimpleNamespace(targets=targets, labels=TWO)
    found = Classify.options_for(dataset, np.arange(5), {"class_weights": "balanced"})
    for column, weight in enumerate(found["class_weights"]):
        absent, present = compute_class_weight("balanced", classes=np.array([0, 1]), y=targets[:, column])
        assert weight == pytest.approx(present / absent, abs=1e-6)
    assert found["multi_label"] is True


def test_balanced_weights_look_at_the_training_rows_only() -> None:
    dataset: Any = SimpleNamespace(targets=np.array([0, 1, 1, 1, 0, 0, 0]), labels=TWO)
    found = Classify.options_for(dataset, np.array([0, 1, 2, 3]), {"class_weights": "balanced"})
    assert found["class_weights"] == [2.0, pytest.approx(2 / 3, abs=1e-6)]


@pytest.mark.parametrize("weights", [[1.0, 2.0], "balance", [1.0, 2.0, -1.0], 3.0])
def test_class_weights_that_make_no_sense_are_refused(weights: Any) -> None:
    with pytest.raises(RecipeError, match="class_weights") as refused:
        Classify(8, THREE, class_weights=weights)
    assert "3 labels (clear, nodule, opacity)" in refused.value.why and "balanced" in refused.value.fix


def test_a_positive_label_that_is_none_is_refused_with_the_labels() -> None:
    dataset: Any = SimpleNamespace(targets=np.array([0, 1]), labels=TWO)
    with pytest.raises(RecipeError, match="'noodle'") as refused:
        Classify.options_for(dataset, np.arange(2), {"positive": "noodle"})
    assert "clear, nodule" in refused.value.why


def test_the_formula_is_a_softmax_of_the_linear_map() -> None:
    head = Classify(8, THREE, dropout=0.5).eval()
    pooled = torch.randn(4, 8)
    logits = head(Features(pooled))
    torch.testing.assert_close(logits, pooled @ head.linear.weight.T + head.linear.bias)
    p = head.probabilities(logits, Calibration(temperature=2.0))
    torch.testing.assert_close(p, (logits / 2).exp() / (logits / 2).exp().sum(1, keepdim=True))
    independent = Classify(8, THREE, multi_label=True).probabilities(logits, Calibration(temperature=2.0))
    torch.testing.assert_close(independent, 1 / (1 + (-logits / 2).exp()))


def log_odds(p: float) -> Tensor:
    """Logits of a binary answer whose second label has probability p."""
    return torch.tensor([[0.0, math.log(p / (1 - p))]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("p", "threshold", "positive", "answer"),
    [
        (0.4, None, None, "clear"),
        (0.4, 0.3, None, "nodule"),
        (0.3 - 1e-9, 0.3, None, "clear"),
        (0.6, 0.7, None, "clear"),
        (0.6, 0.3, "clear", "clear"),
        (0.8, 0.3, "clear", "nodule"),
    ],
)
def test_the_threshold_speaks_of_the_positive_label(
    p: float, threshold: float | None, positive: str | None, answer: str
) -> None:
    head = Classify(8, TWO, positive=positive)
    (found,) = head.decode(log_odds(p), Calibration(threshold=threshold))
    assert found.answer == answer and found.set is None and not found.abstain
    assert found.probabilities == {"clear": pytest.approx(1 - p), "nodule": pytest.approx(p)}


def test_a_threshold_is_for_two_labels_only() -> None:
    (found,) = Classify(8, THREE).decode(torch.tensor([[2.0, 0.0, 1.0]]), Calibration(threshold=0.9))
    assert found.answer == "clear"


@pytest.mark.parametrize(
    ("p", "quantile", "possible", "says"),
    [
        (0.9, 0.3, ["nodule"], ""),
        (0.6, 0.65, ["clear", "nodule"], "clear and nodule"),
        (0.6, 0.2, [], "no label is plausible"),
    ],
)
def test_an_answer_abstains_unless_exactly_one_label_is_plausible(
    p: float, quantile: float, possible: list[str], says: str
) -> None:
    (found,) = Classify(8, TWO).decode(log_odds(p), Calibration(quantile=quantile))
    assert found.set == possible
    assert found.abstain == (len(possible) != 1) and says in found.reason


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.floats(0, 1), st.floats(0, 1))
def test_a_set_only_grows_with_its_quantile(row: list[float], first: float, second: float) -> None:
    small, large = (
        set(Classify(8, THREE).decode(torch.tensor([row]), Calibration(quantile=quantile))[0].set or [])
        for quantile in sorted([first, second])
    )
    assert small <= large


def test_several_labels_may_hold_or_none() -> None:
    head = Classify(8, THREE, multi_label=True)
    found = head.decode(torch.tensor([[3.0, -3.0, 0.0], [-1.0, -1.0, -1.0]]), Calibration(quantile=0.5, threshold=0.9))
    assert [answer.answer for answer in found] == [["clear", "opacity"], []]
    assert not any(answer.abstain for answer in found)


def test_its_config_builds_it_again() -> None:
    head = Classify(8, THREE, class_weights=[1.0, 2.0, 3.0], label_smoothing=0.1, focal_gamma=2.0, positive="nodule")
    options = dict(head.config)
    assert options.pop("name") == "classify"
    again = Classify(8, THREE, **options)
    again.load_state_dict(head.state_dict())
    logits, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    assert torch.equal(head.loss(logits, target), again.loss(logits, target))
    assert again.config == head.config and again.positive == 1


def test_only_binary_questions_are_judged_at_a_threshold() -> None:
    assert "sensitivity_at_threshold" in Classify(8, TWO).metrics
    assert "sensitivity_at_threshold" not in Classify(8, THREE).metrics
    assert "sensitivity_at_threshold" not in Classify(8, TWO, multi_label=True).metrics
    assert "auroc" in Classify(8, THREE).metrics
