from __future__ import annotations

import numpy as np
import pytest
import torch

from suwen.learn.views import STRONG, FourViews, TwoViews, WeakAndStrong


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


def test_the_strong_view_is_further_from_the_image_than_the_weak_one() -> None:
    images = torch.rand(8, 1, 4, 4).repeat_interleave(8, -1).repeat_interleave(8, -2)
    views = WeakAndStrong(None, None, 2)(images, torch.Generator().manual_seed(0))
    again = WeakAndStrong(None, STRONG, 2)(images, torch.Generator().manual_seed(0))
    assert set(views) == {"weak", "strong"} and all(torch.equal(views[name], again[name]) for name in views)
    away = {name: float((view - images).square().mean()) for name, view in views.items()}
    assert 0 < away["weak"] < away["strong"]


def test_unlabelled_images_are_not_mixed_either() -> None:
    """A weak view that held half of another image would be given a label for both."""
    images = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
    mixing: dict[str, dict[str, float]] = {"mixup": {"alpha": 1.0}, "cutmix": {"p": 1.0}}
    views = WeakAndStrong(mixing, mixing, 2)(images, torch.Generator().manual_seed(0))
    assert all(torch.equal(view, images) for view in views.values())
