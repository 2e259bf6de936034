from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from suwen.learn.query import strategy
from suwen.learn.query.badge import BADGE, residuals
from suwen.learn.query.strategy import Places, Pool


def make(n: int = 50, labels: int = 3, *, multi_label: bool = False, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    return Pool(
        probabilities=rng.random((n, labels)) if multi_label else rng.dirichlet(np.ones(labels), n),
        multi_label=multi_label,
        features=rng.normal(size=(n, 5)).astype(np.float32),
        labelled=np.zeros((0, 5), np.float32),
        subjects=np.arange(n),
    )


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_embedding_is_the_gradient_of_the_last_layer(multi_label: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    for z in torch.randn(6, 5, generator=generator, dtype=torch.float64):
        logits = weight @ z
        p = logits.sigmoid() if multi_label else logits.softmax(0)
        answer = (p >= 0.5).double() if multi_label else F.one_hot(p.argmax(), 3).double()
        loss = (
            F.binary_cross_entropy_with_logits(logits, answer, reduction="sum")
            if multi_label
            else F.cross_entropy(logits[None], answer[None])
        )
        (gradient,) = torch.autograd.grad(loss, weight)
        ours = np.outer(residuals(p.detach().numpy()[None], multi_label)[0], z.numpy())
        assert np.allclose(ours, gradient.numpy())


@pytest.mark.parametrize("block", [7, 4096])
@pytest.mark.parametrize("multi_label", [False, True])
def test_it_is_k_means_plus_plus_of_the_written_out_embeddings(
    block: int, multi_label: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategy, "BLOCK", block)
    pool = make(multi_label=multi_label)
    choice = BADGE.choose(pool, 10, Places(pool.subjects), np.random.default_rng(4))

    a = residuals(pool.probabilities, multi_label)
    embeddings = np.stack([np.outer(one, z).ravel() for one, z in zip(a, np.float64(pool.features), strict=True)])
    generator, rows = np.random.default_rng(4), []
    for _ in range(10):
        weights = np.array(
            [
                0.0 if i in rows else min((float(((g - embeddings[j]) ** 2).sum()) for j in rows), default=1.0)
                for i, g in enumerate(embeddings)
            ]
        )
        rows.append(int(np.searchsorted(np.cumsum(weights), generator.random() * weights.sum(), side="right")))
    assert choice.rows.tolist() == rows


def test_what_the_model_is_sure_of_is_hardly_ever_drawn() -> None:
    pool = make(40)
    sure = Pool(
        probabilities=np.vstack([np.tile([0.999999, 5e-7, 5e-7], (36, 1)), np.full((4, 3), 1 / 3)]),
        multi_label=False,
        features=pool.features,
        labelled=pool.labelled,
        subjects=pool.subjects,
    )
    choice = BADGE.choose(sure, 5, Places(sure.subjects), np.random.default_rng(0))
    assert set(choice.rows[1:]) == {36, 37, 38, 39}
