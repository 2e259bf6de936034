from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.learn.batches import Batches
from suwen.learn.distil import Taught, divergence, taught
from suwen.learn.train import build_model, train


@pytest.fixture
def teacher(trained: Callable[..., Any], tiny: Callable[..., Any]) -> Model:
    return trained(tiny(seed=1, training={"epochs": 3})).model


def bound(recipe: Any, teacher: Model, squares: Any) -> Taught:
    student = build_model(IMAGE_CLASSIFICATION, squares, recipe)
    return Taught(student.encoder, student.head, recipe, teacher)  # type: ignore[arg-type]


def a_batch(squares: Any) -> Any:
    return next(iter(Batches(squares, squares.where("train"), batch_size=8, seed=0).plain()))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_divergence_is_that_of_the_softened_answers(temperature: float) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(2, 6, 3)) * 3
    p, q = (softmax(z / temperature, axis=1) for z in (theirs, ours))
    found = divergence(torch.from_numpy(ours), torch.from_numpy(theirs), temperature, multi_label=False)
    assert float(found) == pytest.approx(rel_entr(p, q).sum(1).mean())


def test_of_several_labels_each_is_a_question_of_its_own() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(2, 6, 3)) * 3
    p, q = (1 / (1 + np.exp(-z / 2)) for z in (theirs, ours))
    found = divergence(torch.from_numpy(ours), torch.from_numpy(theirs), 2.0, multi_label=True)
    assert float(found) == pytest.approx((rel_entr(p, q) + rel_entr(1 - p, 1 - q)).mean())


def test_at_a_high_temperature_the_gradient_is_that_of_matched_logits() -> None:
    """Hinton et al. 2015, equation 4: T² · dKL/dz → (z - v) / N for logits of mean 0."""
    rng = np.random.default_rng(0)
    ours, theirs = (z - z.mean(1, keepdims=True) for z in rng.normal(size=(2, 1, 5)))
    student = torch.from_numpy(ours).requires_grad_()
    (1e6 * divergence(student, torch.from_numpy(theirs), 1e3, multi_label=False)).backward()
    assert student.grad is not None
    np.testing.assert_allclose(student.grad.numpy(), (ours - theirs) / 5, atol=1e-3)


def test_the_loss_is_shared_between_teacher_and_labels(teacher: Model, squares: Any, tiny: Any) -> None:
    batch = a_batch(squares)
    settings = {"run": "teacher", "temperature": 3.0}
    module = bound(tiny(teacher={**settings, "alpha": 0.7}), teacher, squares).train()
    found = module(batch)
    with torch.no_grad():
        said = teacher.logits(batch["inputs"])
    labels = module.head.loss(found["output"], batch["target"])  # type: ignore[operator]
    soft = divergence(found["output"], said, 3.0, multi_label=False)
    assert found["loss"].item() == pytest.approx((0.7 * 9 * soft + 0.3 * labels).item(), rel=1e-5)
    plain = module.eval()(batch)
    labels = module.head.loss(plain["output"], batch["target"])  # type: ignore[operator]
    assert plain["loss"].item() == pytest.approx(labels.item())


def test_the_teacher_sees_the_same_augmented_batch_and_stays_as_it_was(
    teacher: Model, squares: Any, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: value.clone() for name, value in teacher.encoder.state_dict().items()}  # type: ignore[attr-defined]
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    ask = Model.logits

    def watched(self: Model, inputs: torch.Tensor) -> torch.Tensor:
        assert not any(part.training for part in self.parts().values())
        seen[-1] = (seen[-1][0], inputs)
        return ask(self, inputs)

    forward = Taught.forward

    def student(self: Taught, batch: Any) -> Any:
        seen.append((batch["inputs"], torch.empty(0)))
        return forward(self, batch)

    monkeypatch.setattr(Model, "logits", watched)
    monkeypatch.setattr(Taught, "forward", student)
    train(taught(IMAGE_CLASSIFICATION, teacher), squares, tiny(teacher={"run": "t"}, training={"epochs": 1}))
    assert len(seen) == 4 and all(ours is theirs for ours, theirs in seen)
    assert all(ours.dtype == torch.float32 for ours, _ in seen)
    after = teacher.encoder.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_teacher_is_in_no_parameter_and_no_checkpoint(teacher: Model, squares: Any, tiny: Any) -> None:
    recipe = tiny(teacher={"run": "t"})
    module = bound(recipe, teacher, squares)
    plain = build_model(IMAGE_CLASSIFICATION, squares, recipe)
    kept = {f"{part}.{name}" for part, each in plain.parts().items() for name in each.state_dict()}
    assert set(module.state_dict()) == kept


def test_the_teacher_goes_where_the_student_goes(teacher: Model, squares: Any, tiny: Any) -> None:
    module = bound(tiny(teacher={"run": "t"}), teacher, squares)
    module.to("meta")
    assert teacher.device.type == "meta"


def test_from_the_teacher_alone_a_student_learns_to_answer_as_it_does(teacher: Model, squares: Any, tiny: Any) -> None:
    rows = squares.where("val")
    squares.targets = 1 - squares.targets  # the labels say the opposite, and have no share in the loss
    recipe = tiny(teacher={"run": "t", "alpha": 1.0, "temperature": 2.0}, training={"epochs": 12}, augment={})
    student = train(taught(IMAGE_CLASSIFICATION, teacher), squares, recipe).model
    theirs, ours = (model.infer(squares, rows)[0].argmax(1) for model in (teacher, student))
    assert (theirs == ours).mean() > 0.8


def test_other_labels_are_refused_with_both(teacher: Model, squares: Any, tiny: Any) -> None:
    squares.labels = ("left", "up")
    with pytest.raises(RecipeError, match=r"answers left, right \(classify\), the student left, up"):
        bound(tiny(teacher={"run": "t"}), teacher, squares)


def test_an_objective_without_labels_has_no_teacher(teacher: Model) -> None:
    with pytest.raises(RecipeError, match="teacher"):
        taught(replace(IMAGE_CLASSIFICATION, module="elsewhere:Pretraining"), teacher)


def test_a_frozen_encoder_listens_to_the_teacher_too(teacher: Model, squares: Any, tiny: Any) -> None:
    """Features computed once would leave the teacher out."""
    heads = []
    for alpha in (0.0, 1.0):
        recipe = tiny(teacher={"run": "t", "alpha": alpha}, training={"epochs": 2, "adapt": "head"}, augment={})
        model = train(taught(IMAGE_CLASSIFICATION, teacher), squares, recipe).model
        heads.append(model.head.linear.weight.detach())  # type: ignore[attr-defined]
    assert not torch.allclose(heads[0], heads[1], atol=1e-4)
