"""What a model says of a pool: answers, features and, where asked, samples of its posterior; features go to disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from suwen.core.dataset import Dataset
from suwen.core.errors import RecipeError
from suwen.core.model import Model, evaluating
from suwen.core.views import expand
from suwen.learn.query.strategy import Posterior
from suwen.learn.query.uncertainty import entropy_of
from suwen.learn.randomness import derive

BATCH = 256
DRAWS = 10
"""Dropout samples an input."""

STAND_IN = ("shift",)
"""Views whose disagreement stands in for a posterior where the network has no dropout."""


@dataclass(frozen=True)
class Seen:
    """``(N, K)`` calibrated probabilities, ``(N, D)`` float32 features mapped from disk, and a Posterior if asked."""

    probabilities: np.ndarray
    features: np.ndarray
    posterior: Posterior | None


def look(
    model: Model, dataset: Dataset, rows: np.ndarray, file: Path, *, posterior: bool = False, seed: int = 0
) -> Seen:
    """Pass these rows through the model once.

    Args:
        model: in any mode; it is left as it was.
        dataset: decoded with the model's own preprocessing.
        rows: which.
        file: where the features are written; memory holds one batch of them.
        posterior: also sample several answers an input, see `draws_of`.
        seed: of dropout.
    """
    probabilities: list[np.ndarray] = []
    means: list[np.ndarray] = []
    entropies: list[np.ndarray] = []
    multi_label = bool(getattr(model.head, "multi_label", False))
    features = np.memmap(file, np.float32, "w+", shape=(max(1, len(rows)), model.encoder.width))
    samples, how = 0, ""
    with evaluating(model.parts().values()), torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            inputs = torch.from_numpy(dataset.take(rows[start : start + BATCH])).to(model.device)
            logits, pooled = model.see(inputs)
            features[start : start + len(pooled)] = pooled.cpu().numpy()
            probabilities.append(_answers(model, logits))
            if posterior:
                draws, how = draws_of(model, derive(seed, start))
                found = [_answers(model, each) for each in draws(inputs)]
                samples = len(found)
                means.append(np.mean(found, 0))
                entropies.append(np.mean([entropy_of(each, multi_label) for each in found], 0))
    labels = len(model.head.labels)
    whole = np.concatenate([np.empty((0, labels)), *probabilities])
    seen = (
        Posterior(mean=np.concatenate(means), entropy=np.concatenate(entropies), samples=samples, how=how)
        if means
        else None
    )
    return Seen(whole, features[: len(rows)], seen)


def draws_of(model: Model, seed: int) -> tuple[Callable[[Tensor], Iterator[Tensor]], str]:
    """``inputs → logits`` several times over, and what these draws are, in words.

    With dropout in the network they are samples of an approximate posterior (Gal & Ghahramani 2016). Without it there
    is none to sample: then the answers to slightly shifted inputs are compared, which is only a stand-in.

    Raises:
        RecipeError: no dropout, and inputs that are not images.
    """
    dropouts = [part for module in model.parts().values() for part in module.modules() if _drops(part)]
    if dropouts:
        return lambda inputs: _dropout_draws(model, dropouts, inputs, seed), f"{DRAWS} samples by dropout"
    return lambda inputs: _view_draws(model, inputs), "answers to shifted views (the network has no dropout)"


def _dropout_draws(model: Model, dropouts: list[nn.Module], inputs: Tensor, seed: int) -> Iterator[Tensor]:
    for number in range(DRAWS):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, number))
            for part in dropouts:
                part.train()
            logits = model.logits(inputs).float()
            for part in dropouts:
                part.eval()
        yield logits


def _view_draws(model: Model, inputs: Tensor) -> Iterator[Tensor]:
    if inputs.ndim != 4:
        raise RecipeError(
            "bald, for a network without dropout, on inputs that are not images",
            why="there is no posterior to sample, and no view to stand in for it",
            fix="--strategy entropy, or train with --set head.options.dropout=0.2",
        )
    for view in expand(inputs, STAND_IN):
        yield model.logits(view).float()


def _drops(part: nn.Module) -> bool:
    return isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0


def _answers(model: Model, logits: Tensor) -> np.ndarray:
    found: np.ndarray = model.head.probabilities(logits.cpu().double(), model.calibration).numpy()
    return found
