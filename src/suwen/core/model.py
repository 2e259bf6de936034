"""`Model`: preprocessing + encoder + head + labels + calibration + licence + data fingerprint: all that travels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from suwen.core.calibration import Calibration
from suwen.core.encoder import build_encoder
from suwen.core.inputs import on_device
from suwen.core.registry import HEADS, READERS, TASKS, VERBS

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from suwen.core.dataset import Dataset
    from suwen.core.domain import Domain
    from suwen.core.encoder import Encoder
    from suwen.core.engine import Engine
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
        domain: where the training inputs lie in feature space, None where not fitted.
        name: ``run@fingerprint``, in every prediction.
        engine: what runs encoder and head when it is asked; None is torch as it is.
    """

    task: Task
    preprocess: Preprocess
    encoder: Encoder
    head: Head
    calibration: Calibration = field(default_factory=Calibration)
    views: tuple[str, ...] = ()
    card: dict[str, Any] = field(default_factory=dict)
    domain: Domain | None = None
    name: str = ""
    engine: Engine | None = None

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
        return cls(task, preprocess, encoder, head, calibration, tuple(config["views"]), card=config["card"])

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

    def merged(self) -> Model:
        """This model with its adapters merged into the encoder's weights: it needs no base Run. Logits differ by
        rounding only. A model without adapters is returned as it is.
        """
        adapter = getattr(self.encoder, "adapter", None)
        return self if adapter is None else replace(self, encoder=adapter.merged(self.encoder))

    def logits(self, inputs: Any) -> Tensor:
        """WᵀZ + b for one batch of inputs."""
        return self.head(self.encoder(inputs))

    def see(self, inputs: Any, views: tuple[str, ...] | None = None) -> tuple[Tensor, Tensor]:
        """Logits ``(B, …)`` averaged over the test-time views, and pooled features ``(B, D)`` of the plain one.

        Views are averaged in logit space; temperature scaling then corrects their confidence.
        """
        import torch

        from suwen.core.views import expand

        run = self.engine or self._run
        seen = [run(view) for view in expand(inputs, self.views if views is None else views)]
        return torch.stack([logits for logits, _ in seen]).mean(0), seen[0][1]

    def _run(self, inputs: Any) -> tuple[Tensor, Tensor]:
        features = self.encoder(inputs)
        return self.head(features).float(), features.pooled.float()

    def infer(
        self, dataset: Dataset, rows: np.ndarray, *, views: tuple[str, ...] | None = None, batch_size: int = 256
    ) -> tuple[np.ndarray, np.ndarray]:
        """What `see` gives for some rows, as float32 arrays."""
        import numpy as np
        import torch

        found: list[tuple[np.ndarray, np.ndarray]] = []
        with evaluating(self.parts().values()), torch.inference_mode():
            for start in range(0, max(1, len(rows)), batch_size):
                inputs = on_device(dataset.take(rows[start : start + batch_size]), self.device)
                logits, pooled = self.see(inputs, views)
                found.append((logits.cpu().numpy(), pooled.cpu().numpy()))
        logits_of_all, pooled_of_all = zip(*found, strict=True)
        return np.concatenate(logits_of_all), np.concatenate(pooled_of_all)

    def answer(self, inputs: Any) -> list[Prediction]:
        """One Prediction an input (a tensor, or a dict of them); inputs far from the training data get none."""
        import torch

        with evaluating(self.parts().values()), torch.inference_mode():
            logits, pooled = self.see(on_device(inputs, self.device))
        answers = self.head.decode(logits.cpu(), self.calibration)
        if self.domain is not None:
            limit = float(self.domain.limit[0])
            for answer, distance in zip(answers, self.domain.distance(pooled.cpu().numpy()), strict=True):
                if distance > limit:
                    answer.answer, answer.abstain = None, True
                    answer.reason = f"unlike the training data (distance {distance:.1f}, limit {limit:.1f})"
        return answers

    @property
    def device(self) -> torch.device:
        """Where the weights are; an encoder that has none is where its head is."""
        import torch

        tensors = (tensor for part in self.parts().values() for tensor in (*part.parameters(), *part.buffers()))
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

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
