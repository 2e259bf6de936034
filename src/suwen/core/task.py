"""`Task`: one question as a row. A new question is a new row, never a new loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from suwen.core.dataset import Batch
    from suwen.core.encoder import Encoder
    from suwen.core.head import Head
    from suwen.core.recipe import Recipe


class StepOutput(TypedDict):
    """What a Task gives for one batch."""

    loss: Tensor
    output: Any


class TaskModule(Protocol):
    """A Task bound to its weights, an ``nn.Module``: ``task(batch) -> {"loss", "output"}``.

    The loop knows nothing else: supervised learning, contrastive or masked pretraining, a teacher and its student,
    a federated client, private gradients are all TaskModules (and, for the last, another optimizer).
    """

    def __call__(self, batch: Batch) -> StepOutput:
        """The loss of one batch, to be lowered, and what came out."""
        ...

    def after_step(self) -> None:
        """Called after each optimizer step: the place for a teacher's moving average. Mostly does nothing."""
        ...

    def named_parameters(self) -> Any:
        """As of ``nn.Module``."""
        ...

    # figures() -> dict[str, float], where it is there: what the log of each epoch shows besides, since the last call.


@dataclass(frozen=True, kw_only=True)
class Task:
    """One row: which reader, encoder, head, metric and explanation answer this question.

    Attributes:
        name: what the user types, ``"image-classification"``.
        summary: one line for ``suwen tasks``.
        reader, head, explanation: names in their registries.
        encoder: the default one.
        metric: the headline metric, which chooses the best epoch on validation.
        module: ``"package.module:Class"`` of the TaskModule, called with ``(encoder, head, recipe)``.
        judge: ``"package.module:Class"`` of what judges its answers (`suwen.verbs.judges.Judge`).
        asker: ``"package.module:function"`` that answers for Samples (`suwen.verbs.predict.Asker`).
        asks: ``"package.module:function"`` that makes of an input what is explained (`suwen.verbs.explain.Ask`).
        augment: ``"package.module:Class"`` of the random transforms its inputs allow, or None.
        unlabelled: ``"package.module:Class"`` of the two views of an unlabelled input from which it can learn too
            (`suwen.learn.objectives.pseudo_labels`), or None.
        baselines: names of what is printed beside the model.
        labelled: whether it learns from labels; an objective that does not is started by ``suwen pretrain``.
        probe: the reader of labelled data on which a pretraining's features are judged; None is its own reader.
        recipe: settings that differ from the general defaults.
    """

    name: str
    summary: str
    reader: str
    encoder: str
    head: str
    metric: str
    explanation: str | None = None
    module: str = "suwen.learn.supervised:Supervised"
    judge: str = "suwen.verbs.label_judge:LabelJudge"
    asker: str = "suwen.verbs.predict:answer_together"
    asks: str = "suwen.verbs.explain:ask_label"
    augment: str | None = None
    unlabelled: str | None = None
    baselines: tuple[str, ...] = ()
    labelled: bool = True
    probe: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def bind(self, encoder: Encoder, head: Head, recipe: Recipe) -> nn.Module:
        """The TaskModule that `fit` trains."""
        made: nn.Module = load_object(self.module)(encoder, head, recipe)
        return made


def load_object(path: str) -> Any:
    """The thing behind ``"package.module:name"``."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
