from __future__ import annotations

import numpy as np
import pytest
import torch

from suwen.core.features import Features
from suwen.heads.blend import Blend
from suwen.heads.inner_folds import log_loss


def data(rule: str, rows: int = 200) -> tuple[Features, torch.Tensor]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    score = 2 * x[:, 0] + x[:, 1] if rule == "line" else 4 * np.sign(x[:, 0] * x[:, 1])
    y = (score + rng.logistic(size=rows) > 0).astype(np.int64)
    return Features(torch.from_numpy(x), tokens=torch.from_numpy(x)[:, :, None]), torch.from_numpy(y)


def solved(features: Features, y: torch.Tensor, **options: object) -> Blend:
    head = Blend(3, ("no", "yes"), **({"bags": 1, "depth": 3, "rounds": 40} | options))
    head.solve(features, y, np.arange(len(y)), seed=0)
    return head


def test_the_better_part_weighs_more() -> None:
    assert float(solved(*data("line")).weight) < 0.5 < float(solved(*data("signs")).weight)


def test_the_weight_has_the_best_crossfitted_likelihood() -> None:
    features, y = data("line")
    head = solved(features, y)
    mixed = {
        w: log_loss((1 - w) * head.logistic.crossfitted + w * head.trees.crossfitted, y.numpy())
        for w in (0, 0.25, 0.5, 0.75, 1)
    }
    assert mixed[float(head.weight)] == min(mixed.values())


def test_logits_are_the_weighed_mean_and_come_back_from_a_state_dict() -> None:
    features, y = data("line")
    head = solved(features, y, share=0.25)
    wanted = 0.75 * head.logistic(features) + 0.25 * head.trees(features)
    assert head(features).numpy() == pytest.approx(wanted.detach().numpy(), abs=1e-6)
    again = Blend(3, ("no", "yes"), **{k: v for k, v in head.config.items() if k != "name"})
    again.load_state_dict(head.state_dict())
    assert torch.equal(again(features), head(features))
