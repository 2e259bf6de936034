from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from suwen.core.calibration import Calibration
from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.heads.trees import Trees


def data(rows: int = 300, seed: int = 0) -> tuple[Features, torch.Tensor]:
    """A rule no line can say (a difference of signs), a level, and values missing where the answer is yes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    x[:, 2] = rng.integers(0, 3, rows)
    y = ((x[:, 0] * x[:, 1] > 0) ^ (rng.random(rows) < 0.1)).astype(np.int64)
    x[(rng.random(rows) < 0.2) & (y == 1), 0] = np.nan
    return Features(torch.zeros(rows, 2), tokens=torch.from_numpy(x)[:, :, None]), torch.from_numpy(y)


def grown(features: Features, y: torch.Tensor, labels: tuple[str, ...] = ("no", "yes"), **options: object) -> Trees:
    head = Trees(2, labels, **({"bags": 2, "depth": 3, "rounds": 40} | options))
    head.solve(features, y, np.arange(len(y)), seed=0)
    return head


def test_it_learns_what_no_line_can_and_uses_what_is_missing() -> None:
    features, y = data()
    head = grown(features, y, levels=[2])
    fresh, truth = data(seed=1)
    said = head.probabilities(head(fresh), Calibration())[:, 1].numpy()
    missing = fresh.tokens[:, 0, 0].isnan().numpy()
    assert roc_auc_score(truth, said) > 0.85 and said[missing].mean() > said[~missing].mean() + 0.2


def test_a_run_keeps_text_and_answers_bit_for_bit() -> None:
    features, y = data()
    head = grown(features, y)
    assert head.text.dtype == torch.uint8 and bytes(head.text.numpy()[:4]) == b"tree"
    again = Trees(2, ("no", "yes"), **{k: v for k, v in head.config.items() if k != "name"})
    again.load_state_dict(head.state_dict())
    assert torch.equal(again(features), head(features))


def test_bags_are_averaged() -> None:
    features, y = data()
    head = grown(features, y, bags=3)
    raw = [booster.predict(features.tokens[:, :, 0].double().numpy(), raw_score=True) for booster in head.boosters]
    assert len(raw) == 3 and not np.allclose(raw[0], raw[1])
    margin = (head(features)[:, 1] - head(features)[:, 0]).numpy()
    assert margin == pytest.approx(np.mean(raw, axis=0), abs=1e-5)


def test_the_number_of_rounds_is_chosen_inside_the_training_rows() -> None:
    features, y = data()
    learning = grown(features, y, rounds=None, bags=1)
    rng = np.random.default_rng(0)
    nothing = torch.from_numpy(rng.integers(0, 2, len(y)))
    guessing = grown(features, nothing, rounds=None, bags=1)
    assert guessing.boosters[0].num_trees() < learning.boosters[0].num_trees()


def test_several_classes_and_several_labels() -> None:
    features, y = data()
    three = grown(features, y + (features.tokens[:, 2, 0] > 1).long(), ("a", "b", "c"))
    assert three(features).shape == (300, 3) and three.crossfitted.shape == (300, 3)
    both = grown(features, torch.stack([y, 1 - y], 1), ("x", "y"), multi_label=True)
    said = both.probabilities(both(features), Calibration())
    assert len(both.boosters) == 4 and (said.sum(1) - 1).abs().max() < 0.5


def test_impossible_options_and_unfitted_trees_are_refused() -> None:
    with pytest.raises(RecipeError, match="bags = 0"):
        Trees(2, ("no", "yes"), bags=0)
    with pytest.raises(RecipeError, match="not fitted"):
        Trees(2, ("no", "yes"))(data()[0])
