"""`Model`: preprocessing + encoder + head + labels + calibration + licence + data fingerprint: all that travels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from suwen.core.calibration import Calibration
from suwen.core.encoder import build_encoder
from suwen.core.registry import HEADS, READERS, TASKS, VERBS

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from suwen.core.dataset import Dataset
    from suwen.core.encoder import Encoder
    from suwen.core.explanation import Explanation
    from suwen.core.head import Head
    from suwen.core.prediction import Prediction
    from suwen.core.preprocess import Preprocess
    from suwen.core.task import Task


@dataclass
class Model:
    """A trained encoder–head pair that can be asked.

    Attributes:
        task: the question.
        preprocess: files → inputs.
        encoder, head: the two ``nn.Module``.
        calibration: logits → honest probabilities.
        views: names of test-time views whose probabilities are averaged with the plain one.
        card: licence, data fingerprint and counts, versions, notes.
        name: ``run@fingerprint``, in every prediction.
    """

    task: Task
    preprocess: Preprocess
    encoder: Encoder
    head: Head
    calibration: Calibration = field(default_factory=Calibration)
    views: tuple[str, ...] = ()
    card: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Model:
        """The same architecture as `to_config` described, its weights not yet loaded."""
        task: Task = TASKS[config["task"]]
        preprocess = READERS[task.reader].preprocess([], config["preprocess"])
        head_options = dict(config["head"])
        head_class = HEADS[head_options.pop("name")]
        encoder = build_encoder(**config["encoder"], preprocess=preprocess, needs=head_class.needs)
        head = head_class(encoder.width, tuple(config["labels"]), map_widths=encoder.map_widths, **head_options)
        calibration = Calibration(**config["calibration"])
        return cls(task, preprocess, encoder, head, calibration, tuple(config["views"]), config["card"])

    def to_config(self) -> dict[str, Any]:
        """Everything but the weights, JSON-able."""
        return {
            "task": self.task.name,
            "labels": list(self.head.labels),
            "preprocess": self.preprocess.model_dump(),
            "encoder": self.encoder.config,
            "head": self.head.config,
            "calibration": self.calibration.to_json(),
            "views": list(self.views),
            "card": self.card,
        }

    def parts(self) -> dict[str, nn.Module]:
        """The two modules by name, as they stand in ``model.safetensors``."""
        return {"encoder": self.encoder, "head": self.head}  # type: ignore[dict-item]

    def logits(self, inputs: Tensor) -> Tensor:
        """WᵀZ + b for one batch of inputs."""
        return self.head(self.encoder(inputs))

    def infer(
        self, dataset: Dataset, rows: np.ndarray, *, views: tuple[str, ...] | None = None, batch_size: int = 256
    ) -> np.ndarray:
        """Logits ``(B, …)`` of some rows, averaged over the test-time views, as float32.

        Views are averaged as log-probabilities are added: in logit space, which temperature scaling then corrects.
        """
        import numpy as np
        import torch

        from suwen.core.views import expand

        device = next(iter(self.encoder.named_parameters()))[1].device
        names = self.views if views is None else views
        found: list[np.ndarray] = []
        with evaluating(self.parts().values()), torch.inference_mode():
            for start in range(0, len(rows), batch_size):
                inputs = torch.from_numpy(dataset.take(rows[start : start + batch_size])).to(device)
                answers = [self.logits(view).float() for view in expand(inputs, names)]
                found.append(torch.stack(answers).mean(0).cpu().numpy())
        return np.concatenate(found) if found else np.zeros((0, len(self.head.labels)), np.float32)

    def predict(self, *inputs: Any, **options: Any) -> list[Prediction]:
        """The verb ``predict`` on this model."""
        answers: list[Prediction] = VERBS["predict"](self, *inputs, **options)
        return answers

    def explain(self, source: Any, **options: Any) -> Explanation:
        """The verb ``explain`` on this model."""
        found: Explanation = VERBS["explain"](self, source, **options)
        return found

    def evaluate(self, data: Any, **options: Any) -> dict[str, Any]:
        """The verb ``evaluate`` on this model."""
        figures: dict[str, Any] = VERBS["evaluate"](self, data, **options)
        return figures


@contextmanager
def evaluating(modules: Any) -> Iterator[None]:
    """Put modules into evaluation mode and back into the mode each was in."""
    modules = list(modules)
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.train(mode)
