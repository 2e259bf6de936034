"""The diagonal Fisher information: how much each weight matters to what a model says of its own data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from suwen.core.dataset import Dataset
from suwen.core.errors import RecipeError, RunError
from suwen.core.files import atomic_path
from suwen.core.model import Model, evaluating
from suwen.learn.randomness import derive

_ROWS = 5  # stream of randomness: which rows

Importance = dict[str, Tensor]
"""``encoder.NAME`` or ``head.NAME`` → how much the weights of that parameter matter, in its shape."""


def fisher(model: Model, dataset: Dataset, rows: np.ndarray) -> Importance:
    """``F = E_x E_y~p(y|x) [(∂ log p(y|x) / ∂θ)²]`` over these rows, the expectation over y taken exactly.

    With logits l and their gradients J, ``∂ log p(y)/∂θ = J_y - Σ p_k J_k``, so that for one label of K
    ``E_y[·²] = Σ p_k J_k² - (Σ p_k J_k)²``, and for K yes-or-no labels ``Σ p_k (1 - p_k) J_k²``. K backward passes an
    image; the labels of the images are not looked at.

    Source: Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks, PNAS 2017; the expectation over
    the model's own answers, not the observed labels: Kunstner, Balles & Hennig, NeurIPS 2019.

    Raises:
        RecipeError: the head answers something else than labels.
    """
    multi_label = getattr(model.head, "multi_label", None)
    if multi_label is None:
        raise RecipeError(
            f"the Fisher information of a {model.head.config['name']} head",
            why="it is computed for answers that are labels",
            fix="--keep l2sp, or --keep rehearsal",
        )
    named = parameters_of(model.parts())
    frozen = [parameter for parameter in named.values() if not parameter.requires_grad]
    total = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    with evaluating(model.parts().values()), _thawed(frozen):
        for row in rows:
            inputs = torch.from_numpy(dataset.take(np.array([row]))).to(model.device)
            for name, found in _of_one(model, inputs, named, multi_label).items():
                total[name] += found / len(rows)
    return total


@contextmanager
def _thawed(frozen: list[nn.Parameter]) -> Iterator[None]:
    """Weights that were not trained matter all the same."""
    try:
        for parameter in frozen:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _of_one(model: Model, inputs: Tensor, named: dict[str, nn.Parameter], multi_label: bool) -> Importance:
    logits = model.logits(inputs)[0]
    p = (logits.sigmoid() if multi_label else logits.softmax(-1)).detach()
    squares = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    means = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    for label in range(len(logits)):
        last = label + 1 == len(logits)
        gradients = torch.autograd.grad(logits[label], list(named.values()), retain_graph=not last, allow_unused=True)
        weight = p[label] * (1 - p[label]) if multi_label else p[label]
        for name, gradient in zip(named, gradients, strict=True):
            if gradient is not None:
                squares[name] += weight * gradient**2
                means[name] += p[label] * gradient
    if multi_label:
        return squares
    return {name: (squares[name] - means[name] ** 2).clamp_min(0) for name in named}


def some_rows(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many of the rows, drawn by the seed, ascending."""
    generator = np.random.default_rng(derive(seed, _ROWS))
    return np.sort(generator.choice(rows, min(len(rows), most), replace=False))


def parameters_of(parts: dict[str, nn.Module]) -> dict[str, nn.Parameter]:
    """``encoder.NAME``, ``head.NAME`` → parameter."""
    return {f"{part}.{name}": p for part, module in parts.items() for name, p in module.named_parameters()}


def save_fisher(path: Path, importance: Importance, *, samples: int, weights: str) -> None:
    """Write it: one number a weight, averaged over `samples` images, and the name of the weights it belongs to.

    No image can be read from it as from a file, but an average over few images says something of each; it is no more
    private than the weights themselves.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in importance.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"samples": str(samples), "weights": weights})


def load_fisher(path: Path, *, weights: str) -> Importance:
    """What `save_fisher` wrote for these weights.

    Raises:
        RunError: the file is truncated, or of other weights.
    """
    fix = f"delete it, and store it again with --set evaluation.fisher=512: rm {path}"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
    except SafetensorError as error:
        raise RunError(f"{path} is not a whole safetensors file ({error})", why="it is truncated", fix=fix) from error
    if metadata.get("weights") != weights:
        raise RunError(
            f"{path} is the Fisher information of the weights {metadata.get('weights')}, not of {weights}",
            why="it would hold the wrong weights fast",
            fix=fix,
        )
    return tensors
