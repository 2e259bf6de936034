"""``explain``: what an answer rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.explanation import Explanation
from suwen.core.files import atomic_path
from suwen.core.model import Model
from suwen.core.registry import EXPLANATIONS
from suwen.core.run import load
from suwen.explanation.overlay import overlay, picture
from suwen.verbs.predict import predict


def explain(
    run: Model | str | Path,
    source: Any,
    *,
    method: str | None = None,
    label: str | None = None,
    out: str | Path | None = None,
) -> Explanation:
    """Attribute one answer to the parts of its input.

    Args:
        run: a Model or the folder of a Run.
        source: a file, or pixels ``(H, W)`` or ``(H, W, C)``.
        method: a row of ``suwen.explanations``; the task's own unless given.
        label: the label to explain; the answer given (or the most probable one) unless named.
        out: a PNG to write: the input beside the input under the heat map.

    Raises:
        NameUnknown: no such method or label.
    """
    model = run if isinstance(run, Model) else load(run)
    method = method or model.task.explanation
    if method is None:
        raise RecipeError(f"task {model.task.name} names no explanation", fix="--method NAME")
    attribute = EXPLANATIONS[method]
    (answer,) = predict(model, source)
    chosen = label or _label_of(answer.answer, answer.probabilities)
    if chosen not in model.head.labels:
        raise NameUnknown("label", chosen, model.head.labels)
    inputs = model.preprocess(Path(source) if isinstance(source, str) else source)
    number = torch.tensor([model.head.labels.index(chosen)])
    heat: np.ndarray = attribute(model, torch.from_numpy(inputs[None]), number)[0].numpy()
    found = Explanation(method=method, label=chosen, attribution=heat, inputs=inputs, prediction=answer)
    if out is not None:
        draw(found, Path(out))
    return found


def draw(found: Explanation, path: Path) -> None:
    """Write the input beside its heat map as one PNG."""
    left, right = picture(found.inputs), overlay(found.inputs, found.attribution)
    sheet = np.concatenate([np.asarray(left), np.full((left.height, 8, 3), 255, np.uint8), np.asarray(right)], 1)
    with atomic_path(path) as temporary:
        from PIL import Image

        Image.fromarray(sheet).save(temporary, "PNG")


def _label_of(answer: Any, probabilities: dict[str, float]) -> str:
    if isinstance(answer, str):
        return answer
    return max(probabilities, key=probabilities.__getitem__)
