"""Knowledge distillation: a student learns from labels, and from what a teacher says of the same inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from suwen.core.dataset import Batch
from suwen.core.encoder import Encoder
from suwen.core.errors import RecipeError
from suwen.core.head import Head
from suwen.core.model import Model, evaluating
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput, Task
from suwen.learn.keep import same_labels
from suwen.learn.supervised import Supervised


@dataclass(frozen=True, kw_only=True)
class TaughtTask(Task):
    """A Task whose module also learns from a teacher."""

    teacher: Model = field(repr=False)

    def bind(self, encoder: Encoder, head: Head, recipe: Recipe) -> nn.Module:
        """The TaskModule that `fit` trains."""
        return Taught(encoder, head, recipe, self.teacher)  # type: ignore[arg-type]


def taught(task: Task, teacher: Model) -> TaughtTask:
    """The same question, learned from a teacher too.

    Raises:
        RecipeError: the task does not learn from labels, so that there is nothing to stand beside the teacher.
    """
    if task.module != Task.module:
        raise RecipeError(
            f"a teacher for the task {task.name}",
            why="its loss is not the plain supervised one, which the teacher is added to",
            fix="drop teacher.run",
        )
    row = {each.name: getattr(task, each.name) for each in fields(Task)}
    return TaughtTask(**row, teacher=teacher)


class Taught(Supervised):
    """Supervised learning beside a teacher, ``L = α T² KL(teacher ‖ student) + (1 - α) CE(labels, student)``.

    Both give the probabilities ``softmax(z / T)``; T² keeps the gradients of the first term as large as those of the
    second whatever T is. The teacher sees the very batch that the student sees, augmentation included; it is in
    evaluation mode, without test-time views, learns nothing and goes into no checkpoint.

    Source: Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network, arXiv:1503.02531 (2015), section 2;
    that the teacher sees the same augmented views: Beyer et al., Knowledge distillation: A good teacher is patient and
    consistent, CVPR 2022.

    Args:
        encoder, head: the student's.
        recipe: ``teacher.temperature`` and ``teacher.alpha``.
        teacher: a Model of the same labels, which reads the same inputs.

    Raises:
        RecipeError: the teacher answers with other labels, or by another head.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, recipe: Recipe, teacher: Model) -> None:
        super().__init__(encoder, head, recipe)
        mine: Any = head
        if not same_labels(teacher.head, mine):
            raise RecipeError(
                f"the teacher {teacher.name} answers {_in_words(teacher.head)}, the student {_in_words(mine)}",
                why="a student learns the teacher's answer to its own question",
                fix="data with the teacher's labels, and the teacher's head",
            )
        self.temperature, self.alpha = recipe.teacher.temperature, recipe.teacher.alpha
        self.multi_label = bool(mine.multi_label)
        # a Model is no nn.Module: its weights are neither parameters nor state of this one
        self.teacher = teacher

    def forward(self, batch: Batch) -> StepOutput:
        """As `Supervised`, with the teacher in the loss while training."""
        found = super().forward(batch)
        if not self.training:
            return found
        with torch.no_grad(), evaluating(self.teacher.parts().values()):
            said = self.teacher.logits(batch["inputs"]).float()
        soft = divergence(found["output"], said, self.temperature, multi_label=self.multi_label)
        loss = self.alpha * self.temperature**2 * soft + (1 - self.alpha) * found["loss"]
        return {"loss": loss, "output": found["output"]}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Taught:
        """Device and memory layout are the teacher's too."""
        for part in self.teacher.parts().values():
            part._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def divergence(student: Tensor, teacher: Tensor, temperature: float, *, multi_label: bool) -> Tensor:
    """``KL(teacher ‖ student)`` of both answers at a temperature, in nats, averaged over the batch.

    Where several labels may hold, each is a question of its own with the logits ``(z, 0)``, whose softmax is the
    sigmoid; the mean is then over labels too.

    Args:
        student, teacher: logits ``(B, K)``.
        temperature: T, above 0.
        multi_label: whether several labels may hold at once.
    """
    ours, theirs = student / temperature, teacher / temperature
    if multi_label:
        ours, theirs = (torch.stack([z, torch.zeros_like(z)], -1).flatten(0, 1) for z in (ours, theirs))
    return F.kl_div(ours.log_softmax(-1), theirs.log_softmax(-1), reduction="batchmean", log_target=True)


def _in_words(head: Any) -> str:
    several = ", several at once" if getattr(head, "multi_label", False) else ""
    return f"{', '.join(head.labels)}{several} ({head.config['name']})"
