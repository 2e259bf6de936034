"""The nearest examples of another answer, in the model's own feature space.

Nothing of this is kept in a Run: a hospital may hand on a model, and not its images. Whoever explains names a folder of
examples that he may see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from suwen.core.errors import DataError
from suwen.core.explanation import Neighbour
from suwen.core.model import Model, evaluating

BATCH = 128


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs that are there to be compared with.

    Attributes:
        ids: their names.
        inputs: ``(M, …)`` as the model sees them.
        features: float32 ``(M, D)``, pooled.
        answers: ``(M,)`` the number of the label that the model finds most probable.
    """

    ids: tuple[str, ...]
    inputs: np.ndarray
    features: np.ndarray
    answers: np.ndarray


def make_examples(model: Model, inputs: np.ndarray, ids: tuple[str, ...]) -> Examples:
    """Features and answers of these inputs."""
    features, answers = [], []
    with evaluating(model.parts().values()), torch.inference_mode():
        for start in range(0, len(inputs), BATCH):
            logits, pooled = model.see(torch.from_numpy(inputs[start : start + BATCH]).to(model.device))
            features.append(pooled.cpu().numpy())
            answers.append(logits.argmax(1).cpu().numpy())
    return Examples(ids, inputs, np.concatenate(features), np.concatenate(answers))


def nearest(model: Model, inputs: Tensor, labels: Tensor, examples: Examples, *, most: int = 1) -> list[list[int]]:
    """For each input the row numbers of the nearest examples to which the model gives another answer than `labels`.

    The nearest unlike neighbour (Dasarathy 1995; Keane & Smyth 2020), Euclidean between pooled features.

    Raises:
        DataError: the model gives every example the same answer.
    """
    with evaluating(model.parts().values()), torch.inference_mode():
        _, pooled = model.see(inputs.to(model.device))
    found = []
    for features, label in zip(pooled.cpu().numpy(), labels.tolist(), strict=True):
        unlike = np.flatnonzero(examples.answers != label)
        if not len(unlike):
            raise DataError(
                f"the model answers {model.head.labels[label]!r} to all {len(examples.ids)} examples",
                why="a counterfactual is an example of another answer",
                fix="--examples FOLDER with inputs of every label",
            )
        distance = np.linalg.norm(examples.features[unlike] - features, axis=1)
        found.append([int(row) for row in unlike[np.argsort(distance, kind="stable")[:most]]])
    return found


def neighbours(model: Model, x: Tensor, label: Tensor, examples: Examples, *, most: int = 3) -> list[Neighbour]:
    """The nearest examples of another answer to one input, nearest first."""
    (rows,) = nearest(model, x[None], label[None], examples, most=most)
    with evaluating(model.parts().values()), torch.inference_mode():
        here = model.see(x[None].to(model.device))[1][0].cpu().numpy()
    return [
        Neighbour(
            id=examples.ids[row],
            answer=str(model.head.labels[examples.answers[row]]),
            distance=float(np.linalg.norm(examples.features[row] - here)),
            inputs=examples.inputs[row],
        )
        for row in rows
    ]


def as_tensor(inputs: Any) -> Tensor:
    """One input of the examples, as a tensor."""
    return torch.from_numpy(np.asarray(inputs))
