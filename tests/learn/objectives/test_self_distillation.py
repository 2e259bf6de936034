from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from suwen.learn.objectives.self_distillation import SelfDistillation, cross_views


def test_the_loss_is_the_cross_entropy_of_all_pairs_of_different_views() -> None:
    rng = np.random.default_rng(0)
    target, said = rng.dirichlet(np.ones(3), (2, 5)), rng.dirichlet(np.ones(3), (4, 5))
    pairs = [-(target[t, b] * np.log(said[s, b])).sum() for t in range(2) for s in range(4) if t != s for b in range(5)]
    found = cross_views(torch.from_numpy(target), torch.from_numpy(said).log())
    assert float(found) == pytest.approx(np.mean(pairs))


def test_only_the_student_learns_and_the_teacher_follows(flat: Any, embed: Any, recipe: Any, batch: Any) -> None:
    module = SelfDistillation(flat, embed, recipe("image-self-distillation", prototypes=8, momentum=0.5)).train()
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=1.0)
    before = flat.linear.weight.clone()
    module(batch(torch.rand(3, 5, 1, 4, 4)))["loss"].backward()
    assert flat.linear.weight.grad is None
    optimizer.step()
    assert torch.equal(flat.linear.weight, before)
    student = module.student["encoder"].linear.weight
    module.after_step()
    share = 1 - min(0.5, 2 / 11)
    assert torch.allclose(flat.linear.weight, before.lerp(student, share))


def test_the_centre_moves_towards_what_the_teacher_says_only_in_training(
    flat: Any, embed: Any, recipe: Any, batch: Any
) -> None:
    module = SelfDistillation(flat, embed, recipe("image-self-distillation", prototypes=8, centre=0.75))
    views = torch.rand(2, 5, 1, 4, 4)
    module.eval()(batch(views))
    assert not module.centre.any()
    said = module.train()(batch(views))["output"]
    assert torch.allclose(module.centre, 0.25 * said.mean((0, 1)))


def test_the_teacher_has_no_batch_statistics_of_its_own() -> None:
    from suwen.core.encoder import build_encoder
    from suwen.core.recipe import make_recipe
    from suwen.data.preprocess import ImagePreprocess
    from suwen.heads.embed import Embed

    encoder = build_encoder("timm:test_resnet", ImagePreprocess(size=32, channels=1))
    module = SelfDistillation(encoder, Embed(encoder.width), make_recipe({"task": "image-self-distillation"})).train()
    assert not module.encoder.training and module.student["encoder"].training
