from __future__ import annotations

import numpy as np
import pytest
import torch

from suwen.learn.views import FourViews, TwoViews


@pytest.mark.parametrize(("kind", "count"), [(TwoViews, 2), (FourViews, 4)])
def test_views_differ_and_a_seed_repeats_them(kind: type[TwoViews], count: int) -> None:
    images = torch.rand(3, 1, 16, 16)
    batch = {"inputs": images, "target": torch.zeros(3), "index": np.arange(3)}
    augment = kind({"crop": {}}, 0)
    first, again = (augment(batch, torch.Generator().manual_seed(5))["inputs"] for _ in range(2))
    assert first.shape == (count, 3, 1, 16, 16) and torch.equal(first, again)
    assert not torch.equal(first[0], first[1])


def test_images_are_not_mixed_with_each_other() -> None:
    images = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
    views = TwoViews({"mixup": {"alpha": 1.0}, "crop": {}}, 0)(
        {"inputs": images, "target": torch.zeros(2), "index": np.arange(2)}, torch.Generator().manual_seed(0)
    )["inputs"]
    assert not views[:, 0].any() and bool((views[:, 1] == 1).all())
