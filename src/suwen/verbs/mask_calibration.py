"""What is learned of masks on the validation images: temperature, threshold, intervals of sizes, depths, the domain."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from suwen.core.calibration import Calibration
from suwen.core.model import Model
from suwen.core.recipe import EvaluationSettings
from suwen.data.cases import CaseSet
from suwen.data.codebook import IGNORED
from suwen.data.resample import nearest
from suwen.evaluation.calibration import fit_temperature
from suwen.evaluation.domain import fit_domain
from suwen.evaluation.mask_outcome import agreement_of_parts
from suwen.heads.draw import logits_of
from suwen.heads.instances import separate

PIXELS = 20_000
"""Of each validation image, by which the temperature is fitted."""

ENOUGH = 20
"""Training and validation images without which no domain is fitted (`suwen.evaluation.domain.fit_domain`)."""

DEPTHS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Depths of valleys between objects that are tried, in pixels."""

STEPS = 100
"""Thresholds tried, evenly spaced between 0 and 1."""


def calibrate(model: Model, dataset: CaseSet, settings: EvaluationSettings) -> None:
    """Temperature and, of two labels, the threshold with the best Dice, on validation; and the domain."""
    rows = dataset.where("val")
    if not len(rows):
        return
    logits, targets, pooled, histograms, sizes, objects = [], [], [], [], [], []
    rng = np.random.default_rng(0)
    for row in rows.tolist():
        found, seen = logits_of(model, dataset.pixels_of(row))
        codes = dataset.codes_of(row).reshape(-1)
        known = np.flatnonzero(codes != IGNORED)
        flat = found[: len(dataset.codebook)].flatten(1).cpu().numpy()
        some = rng.choice(known, min(len(known), PIXELS), replace=False)
        logits.append(flat[:, some].T)
        targets.append(codes[some].astype(np.int64))
        pooled.append(seen)
        if len(dataset.labels) == 2:
            histograms.append(_histograms(flat[:, known], codes[known]))
        sizes.append((found.cpu(), np.asarray(dataset.codes_of(row))))
        objects.append(_objects(dataset, row))
    temperature = fit_temperature(np.concatenate(logits).astype(np.float64), np.concatenate(targets))
    model.calibration = Calibration(temperature=temperature, coverage=settings.coverage)
    if histograms:
        model.calibration = replace(model.calibration, threshold=_best_threshold(histograms, temperature))
    factors = _size_factors(model, sizes, settings.coverage)
    model.calibration = replace(model.calibration, sizes=factors)
    model.calibration = replace(model.calibration, depths=_best_depths(model, sizes, objects))
    train = dataset.where("train")
    if min(len(train), len(rows)) >= ENOUGH:  # every one is gone through whole, which takes its time
        features = [logits_of(model, dataset.pixels_of(row), views=())[1] for row in _few(train)]
        model.domain = fit_domain(np.stack(features), np.stack(pooled))


def _few(rows: np.ndarray, most: int = 100) -> list[int]:
    return [int(rows[place]) for place in np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]


def _histograms(logits: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log-odds of the second label, whether it is true) of the pixels of one image."""
    return logits[1] - logits[0], codes == 1


def _size_factors(
    model: Model, images: list[tuple[torch.Tensor, np.ndarray]], coverage: float
) -> dict[str, float | None]:
    """Label → how many times larger or smaller than drawn it may truly be: the split-conformal quantile of
    |log(drawn / true)| over the validation images that have it (Lei et al., JASA 2018;113:1094, section 2.2)."""
    head: Any = model.head
    found: dict[str, list[float]] = {label: [] for label in head.labels[1:]}
    for logits, truth in images:
        said = head.codes(head.probabilities(logits[None], model.calibration), model.calibration)[0].numpy()
        said = np.where(truth == IGNORED, 0, head.finished(said))
        pair = (head.codebook.counts(np.bincount(codes.reshape(-1), minlength=256)) for codes in (said, truth))
        for label, drawn, true in list(zip(head.labels, *(each.tolist() for each in pair), strict=True))[1:]:
            if true:
                found[label].append(abs(math.log(drawn / true)) if drawn else math.inf)
    return {label: _quantile(errors, coverage) for label, errors in found.items()}


def _objects(dataset: CaseSet, row: int) -> np.ndarray | None:
    """Numbers of the true objects at the size that the model sees."""
    found = dataset.objects(row)
    shape = dataset.codes_of(row).shape
    return None if found is None else nearest(dataset.grid(row).along_the_body(found), shape)


def _best_depths(
    model: Model, images: list[tuple[torch.Tensor, np.ndarray]], objects: list[np.ndarray | None]
) -> dict[str, float] | None:
    """Label → the depth of valleys that tells its objects apart best: the largest panoptic quality of `DEPTHS`."""
    head: Any = model.head
    if not head.instances:
        return None
    scores = np.zeros((len(head.instances), len(DEPTHS), 2))
    for (logits, truth), real in zip(images, objects, strict=True):
        said = head.finished(
            head.codes(head.probabilities(logits[None], model.calibration), model.calibration)[0].numpy()
        )
        for place, label in enumerate(head.instances):
            number, far = head.labels.index(label), logits[len(head.codebook) + place].numpy()
            true, mask = head.codebook.mask(truth, number), head.codebook.mask(said, number) & (truth != IGNORED)
            for column, depth in enumerate(DEPTHS):
                found = agreement_of_parts(mask, true, (separate(mask, far, depth), real))
                parts = found["found_lesions"] + found["missed_lesions"] + found["drawn_lesions"]
                scores[place, column] += (2 * found["matched_iou"], parts)
    quality = scores[..., 0] / np.maximum(scores[..., 1], 1)
    return {label: DEPTHS[best] for label, best in zip(head.instances, quality.argmax(axis=1), strict=True)}


def _quantile(errors: list[float], coverage: float) -> float | None:
    place = math.ceil((len(errors) + 1) * coverage)
    if place > len(errors) or not math.isfinite(sorted(errors)[place - 1]):
        return None
    return round(math.exp(sorted(errors)[place - 1]), 4)


def _best_threshold(images: list[tuple[np.ndarray, np.ndarray]], temperature: float) -> float:
    """The probability from which pixels are drawn that gives the best mean Dice."""
    edges = np.arange(1, STEPS) / STEPS
    found = np.zeros((len(images), len(edges)))
    for row, (odds, truth) in enumerate(images):
        p = torch.from_numpy(odds / temperature).sigmoid().numpy()
        place = np.searchsorted(edges, p, side="right")  # how many thresholds a pixel reaches
        hits = np.bincount(place[truth], minlength=STEPS)[::-1].cumsum()[::-1][1:]
        said = np.bincount(place, minlength=STEPS)[::-1].cumsum()[::-1][1:]
        found[row] = 2 * hits / np.maximum(said + truth.sum(), 1)
    return float(edges[found.mean(axis=0).argmax()])
