"""What a model must beat: answers that know only the prevalence, and logistic regression on tiny grey pixels.

Each baseline answers the same samples as the model, so that the same metrics and intervals stand side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from suwen.core.errors import DataError, NameUnknown
from suwen.evaluation.outcome import Floats, Outcome

SIDE = 14  # pixels a side after averaging: half of the smallest common image (MedMNIST, 28)
SIDE_3D = 6  # of volumes: about as many cells
SIDE_SEEN = 28
PENALTIES = (0.001, 0.01, 0.1, 1.0)  # inverse strengths (scikit-learn's C) tried on validation
MOST_IMAGES = 20_000  # logistic regression learns nothing more from further images, and takes longer
_CHUNK = 2_048

Images = NDArray[np.uint8]
Predictor = Callable[[Images], Floats]


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Decoded images of one split with their targets.

    Attributes:
        images: uint8 (N, C, *S); a memory map will do.
        target: class index (N,), or multi-hot (N, K).
    """

    images: Images
    target: NDArray[Any]

    def __post_init__(self) -> None:
        if self.images.ndim not in (4, 5) or self.images.dtype != np.uint8 or len(self.images) != len(self.target):
            raise DataError(
                f"images of type {self.images.dtype} and shape {self.images.shape}, {len(self.target)} targets",
                why="a baseline learns from uint8 images (N, C, H, W) or volumes (N, C, X, Y, Z), one target each",
                fix="pass the decoded cache, channels before height and width",
            )


@dataclass(frozen=True)
class Baseline:
    """One row of the table.

    Attributes:
        name: as in ``metrics.json``.
        fit: (train, validation, number of labels) → images → probabilities (N, K).
        summary: what it is, in one sentence.
    """

    name: str
    fit: Callable[[LabelledImages, LabelledImages, int], Predictor]
    summary: str


def baseline_outcomes(
    name: str, train: LabelledImages, images: Mapping[str, Images], outcomes: Mapping[str, Outcome]
) -> dict[str, Outcome]:
    """The baseline's answers to the very samples the model answered.

    Args:
        name: a row of `BASELINES`.
        train: what it learns from.
        images: the images of each split to answer; must hold ``"val"``, by which its penalty is chosen.
        outcomes: the model's outcome of each split, whose samples, truth and metadata are taken over.

    Raises:
        NameUnknown: no such baseline.
        DataError: images that are not uint8 (N, C, *S), or no ``"val"`` among the splits.
    """
    if name not in BASELINES:
        raise NameUnknown("baseline", name, BASELINES, fix=f"one of {', '.join(BASELINES)}")
    if "val" not in images or "val" not in outcomes:
        raise DataError(
            f"images of the splits {', '.join(images) or '(none)'}",
            why="a baseline's settings are chosen on validation, never on test",
            fix='pass images={"val": …, "test": …} and outcomes={"val": …, "test": …}',
        )
    validation = LabelledImages(images["val"], outcomes["val"].target)
    predict = BASELINES[name].fit(train, validation, len(outcomes["val"].labels))
    return {split: replace(outcome, probabilities=predict(images[split])) for split, outcome in outcomes.items()}


def _fit_majority(train: LabelledImages, _: LabelledImages, width: int) -> Predictor:
    target = train.target
    prevalence = target.mean(axis=0) if target.ndim == 2 else np.bincount(target, minlength=width) / len(target)
    return lambda images: np.tile(prevalence, (len(images), 1))


def _fit_logistic_pixels(train: LabelledImages, validation: LabelledImages, width: int) -> Predictor:
    rows = np.arange(len(train.images))
    if len(rows) > MOST_IMAGES:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_IMAGES, replace=False))
    features, target = small_grey(train.images, rows), train.target[rows]
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1.0

    def standardised(found: Floats) -> Floats:
        # in place: a second copy of the features would be the largest array of a whole fine-tuning
        found -= mean
        found /= spread
        return found

    def read(images: Images) -> Iterator[Floats]:
        # a part at a time: all features of a large split would grow with it
        for start in range(0, len(images), _CHUNK):
            yield standardised(small_grey(images, np.arange(start, min(start + _CHUNK, len(images)))))

    inputs, checked, check = standardised(features), partial(read, validation.images), validation.target
    if target.ndim == 1:
        model = _likeliest(inputs, target, checked, check, width)
    else:
        models = [_likeliest(inputs, target[:, column], checked, check[:, column], 2) for column in range(width)]

        def model(rows: Floats) -> Floats:
            return np.stack([each(rows)[:, 1] for each in models], axis=1)

    return lambda images: np.concatenate([model(rows) for rows in read(images)])


def _likeliest(
    inputs: Floats, target: NDArray[Any], checked: Callable[[], Iterator[Floats]], check: NDArray[Any], width: int
) -> Callable[[Floats], Floats]:
    """Logistic regression with the penalty under which validation is most likely: (N, F) → (N, width).

    Validation is read by `checked`, in parts.
    """
    present = np.unique(target)
    if len(present) == 1:
        return lambda rows: np.tile(np.eye(width)[present[0]], (len(rows), 1))

    def spread_out(model: LogisticRegression, rows: Floats) -> Floats:
        probabilities = np.zeros((len(rows), width))
        probabilities[:, present] = model.predict_proba(rows)
        return probabilities

    with threadpool_limits(1):  # on a busy machine, threads that wait for each other cost ten times the work itself
        models = [LogisticRegression(C=penalty, max_iter=200, tol=1e-3).fit(inputs, target) for penalty in PENALTIES]
    parts = [[spread_out(model, rows) for model in models] for rows in checked()]
    said = [np.concatenate(each) for each in zip(*parts, strict=True)]
    losses = [log_loss(check, each, labels=np.arange(width)) for each in said]
    best = models[int(np.argmin(losses))]
    return lambda rows: spread_out(best, rows)


def small_grey(images: Images, rows: NDArray[np.int64] | None = None) -> Floats:
    """Grey means of equal cells, `SIDE` a side in images and `SIDE_3D` in volumes: ``(N, SIDE²)`` or ``(N, SIDE_3D³)``.

    Channels are averaged, then each cell is the mean of the area or room it covers. Reads `images` ``(N, C, *S)`` in
    chunks, so a memory map never has to fit into memory.
    """
    rows = np.arange(len(images)) if rows is None else rows
    sides = images.shape[2:]
    cells = SIDE if len(sides) == 2 else SIDE_3D
    means = [_area_means(side, cells) for side in sides]
    at_a_time = max(1, _CHUNK * SIDE_SEEN**2 // math.prod(sides))
    small = np.empty((len(rows), *[cells] * len(sides)))
    for start in range(0, len(rows), at_a_time):
        chunk = slice(start, start + at_a_time)
        found = images[rows[chunk]].mean(axis=1, dtype=np.float32)
        for axis, weights in enumerate(means, 1):
            found = np.moveaxis(np.tensordot(weights, found, (1, axis)), 0, axis)
        small[chunk] = found
    return small.reshape(len(rows), -1)


def _area_means(size: int, cells: int) -> NDArray[np.float32]:
    """(cells, size) weights with which so many equal stretches average `size` pixels, split pixels shared by area."""
    edges = np.linspace(0, size, cells + 1)
    pixel = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.clip(overlap, 0, None) * cells / size, dtype=np.float32)


BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Baseline("majority", _fit_majority, "the training prevalence, whatever the image"),
        Baseline(
            "logistic-pixels",
            _fit_logistic_pixels,
            f"logistic regression on {SIDE} x {SIDE} grey means ({SIDE_3D} a side of volumes), "
            "penalty chosen on validation",
        ),
    )
}
