"""Learning at a second site without forgetting the first: a penalty on moving away, or the first site's data again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.encoder import Encoder
from suwen.core.errors import RecipeError
from suwen.core.head import Head
from suwen.core.model import Model
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput, Task
from suwen.learn.fisher import Importance, parameters_of
from suwen.learn.supervised import Supervised

NEW_DECAY = 0.01
"""β of L2-SP: ordinary decay of weights that the first model did not have (Li et al. 2018, section 5.2)."""

Penalty = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(weights now, weights of the first site, their importance) → a sum over these weights."""


@dataclass(frozen=True, kw_only=True)
class Keep:
    """One way to keep what was learned.

    Attributes:
        summary: in one line.
        source: the paper.
        penalty: added to the loss, times ``strength / 2``; None adds nothing.
        strength: used unless the recipe names one.
        importance: whether the penalty needs the Fisher information.
        rehearse: whether the first site's training images are trained on again.
    """

    summary: str
    source: str
    penalty: Penalty | None = None
    strength: float = 0.0
    importance: bool = False
    rehearse: bool = False


def _distance(now: Tensor, then: Tensor, importance: Tensor | None) -> Tensor:
    return (now - then).square().sum()


def _weighed_distance(now: Tensor, then: Tensor, importance: Tensor | None) -> Tensor:
    assert importance is not None
    return (importance * (now - then).square()).sum()


KEEP: dict[str, Keep] = {
    "plain": Keep(
        summary="starts from the first site's encoder and head, and lets both go: what the others are compared with",
        source="",
    ),
    "l2sp": Keep(
        summary="α/2 ‖θ - θ₁‖²: every weight is pulled back alike",
        source="Li, Grandvalet & Davoine, Explicit Inductive Bias for Transfer Learning with Convolutional Networks, "
        "ICML 2018 (L2-SP)",
        penalty=_distance,
        strength=0.1,
    ),
    "ewc": Keep(
        summary="λ/2 Σ F (θ - θ₁)²: weights that mattered to the first site are pulled back harder",
        source="Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks, PNAS 2017",
        penalty=_weighed_distance,
        strength=100.0,
        importance=True,
    ),
    "rehearsal": Keep(
        summary="the first site's training images are learned from again, among the new ones",
        source="Robins, Catastrophic forgetting, rehearsal and pseudorehearsal, Connection Science 1995",
        rehearse=True,
    ),
}


@dataclass(frozen=True, kw_only=True)
class KeepingTask(Task):
    """A Task whose module starts as `first` and keeps what it knew."""

    first: Model = field(repr=False)
    importance: Importance | None = field(default=None, repr=False)

    def bind(self, encoder: Encoder, head: Head, recipe: Recipe) -> nn.Module:
        """The TaskModule that `fit` trains."""
        return Keeping(encoder, head, recipe, self.first, self.importance)  # type: ignore[arg-type]


def keeping(task: Task, first: Model, importance: Importance | None = None) -> KeepingTask:
    """The same question, learned without forgetting.

    Raises:
        RecipeError: the task does not learn from labels, so that there is no loss to add a penalty to.
    """
    if task.module != Task.module:
        raise RecipeError(
            f"first.keep with the task {task.name}", why="its loss is not the supervised one", fix="drop --keep"
        )
    row = {each.name: getattr(task, each.name) for each in fields(Task)}
    return KeepingTask(**row, first=first, importance=importance)


class Keeping(Supervised):
    """Supervised learning that starts from the first site's weights: ``loss + strength / 2 · penalty``.

    The head starts as the first site's if both have the same labels. Under a penalty the batch statistics of the
    encoder stay as they were too: no penalty reaches them, and with them gone the old weights are of no use.

    Args:
        encoder: filled with the first site's weights (``run:FIRST``); their values now are what is kept.
        head: new.
        recipe: ``first.keep`` and ``first.strength``.
        first: the first site's Model.
        importance: for rows that need it.
    """

    def __init__(
        self, encoder: nn.Module, head: nn.Module, recipe: Recipe, first: Model, importance: Importance | None = None
    ) -> None:
        super().__init__(encoder, head, recipe)
        assert recipe.first.keep is not None
        self.row = KEEP[recipe.first.keep]
        self.cacheable = self.row.penalty is None
        self.strength = self.row.strength if recipe.first.strength is None else recipe.first.strength
        shared = {"encoder": encoder}
        if same_labels(first.head, head):
            head.load_state_dict(first.head.state_dict())  # type: ignore[attr-defined]
            shared["head"] = head
        if self.row.penalty is not None:
            if recipe.training.strategy == "fsdp":
                raise RecipeError(
                    f"--keep {recipe.first.keep} with --strategy fsdp",
                    why="the penalty is over all weights, of which each device has a shard only",
                    fix="--strategy ddp, or --keep rehearsal",
                )
            self._anchor(parameters_of(shared), importance)

    def _anchor(self, shared: dict[str, nn.Parameter], importance: Importance | None) -> None:
        """Remember what to stay near to: buffers, so that they go where the weights go, but into no checkpoint."""
        for name, parameter in shared.items():
            self.register_buffer(_key("then", name), parameter.detach().clone(), persistent=False)
            if self.row.importance:
                weight = None if importance is None else importance.get(name)
                if weight is None or weight.shape != parameter.shape:
                    raise RecipeError(
                        f"no Fisher information of {name}",
                        why="it was computed for another architecture",
                        fix="--keep l2sp, or compute it again from the first site's data: --also DATA",
                    )
                self.register_buffer(_key("importance", name), weight.to(parameter.dtype), persistent=False)

    def forward(self, batch: Batch) -> StepOutput:
        """As `Supervised`, with the penalty in the loss while training."""
        found = super().forward(batch)
        if self.row.penalty is None or not self.training:
            return found
        return {"loss": found["loss"] + self.penalty(), "output": found["output"]}

    def penalty(self) -> Tensor:
        """``strength / 2 · Σ`` over the shared weights, and for L2-SP ``β / 2 ‖θ‖²`` of the new ones."""
        assert self.row.penalty is not None
        kept: list[Tensor] = []
        new: list[Tensor] = []
        for name, parameter in self.named_parameters():
            then = self._buffers.get(_key("then", name))
            if then is not None:
                kept.append(self.row.penalty(parameter, then, self._buffers.get(_key("importance", name))))
            elif parameter.ndim > 1:
                new.append(parameter.square().sum())
        decay = NEW_DECAY / 2 * torch.stack(new).sum() if new else 0.0
        return self.strength / 2 * torch.stack(kept).sum() + decay

    def train(self, mode: bool = True) -> Keeping:
        """As usual, but under a penalty batch statistics are those of the first site."""
        super().train(mode)
        if self.row.penalty is not None:
            for part in self.encoder.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()
        return self


def same_labels(one: Any, other: Any) -> bool:
    """Whether two heads answer the same question with the same labels in the same order."""
    return bool(
        one.config["name"] == other.config["name"]
        and tuple(one.labels) == tuple(other.labels)
        and getattr(one, "multi_label", None) == getattr(other, "multi_label", None)
    )


def _key(kind: str, name: str) -> str:
    return f"{kind}_{name.replace('.', '__')}"
