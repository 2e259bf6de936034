"""Pseudo-labels: what the model says of an unlabelled image, where it is sure, teaches it the same of a harder view."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.encoder import Encoder
from suwen.core.head import Head
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput, Task
from suwen.learn.supervised import Supervised


@dataclass(frozen=True, kw_only=True)
class PseudoLabelTask(Task):
    """A Task whose module also learns from unlabelled inputs; `start` is the same question without them."""

    start: Task

    def bind(self, encoder: Encoder, head: Head, recipe: Recipe) -> nn.Module:
        """The TaskModule that `fit` trains."""
        self.start.bind(encoder, head, recipe)  # one that goes on from another Run fills the head with that one's
        return PseudoLabels(encoder, head, recipe)  # type: ignore[arg-type]


def with_pseudo_labels(task: Task) -> PseudoLabelTask:
    """The same question, learned from unlabelled inputs too."""
    row = {each.name: getattr(task, each.name) for each in fields(Task)}
    return PseudoLabelTask(**row, start=task)


class PseudoLabels(Supervised):
    """FixMatch (Sohn et al., FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence, NeurIPS
    2020): ``loss = head.loss(labelled) + λ · pseudo_label_loss(weak, strong)``.

    Takes batches with two views, ``weak`` and ``strong``, of the same unlabelled inputs beside the labelled ``inputs``
    and ``target``; without them it is `Supervised`. Labelled and strong views share one forward pass, so that batch
    normalisation sees them together; the weak views, from which no gradient flows, have one of their own.

    Args:
        encoder, head: as of `Supervised`; the head gives ``(B, K)`` logits of classes.
        recipe: ``unlabelled.threshold`` τ and ``unlabelled.weight`` λ.
    """

    cacheable = False
    sure: Tensor
    asked: Tensor

    def __init__(self, encoder: nn.Module, head: nn.Module, recipe: Recipe) -> None:
        super().__init__(encoder, head, recipe)
        self.settings = recipe.unlabelled
        self.multi_label: bool = head.multi_label  # type: ignore[assignment]
        # buffers, so that a training that was interrupted goes on counting
        self.register_buffer("sure", torch.zeros((), dtype=torch.int64))
        self.register_buffer("asked", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": scalar, "output": logits}``; the logits are those of the labelled inputs."""
        if "weak" not in batch:
            return super().forward(batch)
        labels, certain = pseudo_labels(self._said(batch["weak"]), self.settings.threshold, self.multi_label)
        self.sure += certain.sum()
        self.asked += certain.numel()
        inputs = torch.cat([_unit(batch["inputs"]), _unit(batch["strong"])])
        logits = self.head(self.encoder(inputs)).float()
        labelled, strong = logits.split([len(batch["inputs"]), len(batch["strong"])])
        known = self.head.loss(labelled, batch["target"])  # type: ignore[operator]
        loss = known + self.settings.weight * pseudo_label_loss(strong, labels, certain)
        return {"loss": loss, "output": labelled}

    def figures(self) -> dict[str, float]:
        """``sure``: the share of pseudo-labels that counted since it was last asked."""
        found = {"sure": float(self.sure / self.asked)} if self.asked else {}
        self.sure.zero_()
        self.asked.zero_()
        return found

    @torch.no_grad()
    def _said(self, inputs: Tensor) -> Tensor:
        """Logits that teach and are not taught."""
        logits: Tensor = self.head(self.encoder(inputs)).float()
        return logits


def pseudo_labels(logits: Tensor, threshold: float, multi_label: bool) -> tuple[Tensor, Tensor]:
    """What is taken for true of unlabelled inputs, and what of it is sure enough to count.

    One of K classes: the most probable one, where its probability is at least the threshold τ (Sohn et al. 2020,
    section 2.3). Several at once: each class is a question of its own, present where p ≥ τ and absent where p ≤ 1 - τ.

    Args:
        logits: ``(B, K)``.
        threshold: τ.
        multi_label: whether several classes may hold.

    Returns:
        targets ``(B, K)``, 1 for what holds and 0 for what does not; and bool ``(B,)``, or ``(B, K)`` for several.
    """
    if multi_label:
        p = logits.sigmoid()
        return (p >= 0.5).to(logits.dtype), torch.maximum(p, 1 - p) >= threshold
    p, best = logits.softmax(-1).max(-1)
    return F.one_hot(best, logits.shape[-1]).to(logits.dtype), p >= threshold


def pseudo_label_loss(logits: Tensor, targets: Tensor, certain: Tensor) -> Tensor:
    """``1/(μB) Σ 1[certain] H(target, p)``: cross-entropy over what counts, divided by all that was asked.

    So it grows with the share that is sure (Sohn et al. 2020, equation 4). The head's own loss would smooth and weigh
    these labels, which nobody gave.

    Args:
        logits: ``(B, K)`` of the strong views.
        targets, certain: as `pseudo_labels` gives them.
    """
    if certain.ndim == 2:
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    else:
        losses = -(targets * logits.log_softmax(-1)).sum(-1)
    return (losses * certain).mean()


def _unit(images: Tensor) -> Tensor:
    """Bytes as the augmented views are: in [0, 1]."""
    return images.float().div(255) if images.dtype == torch.uint8 else images
