"""The judge of masks: how far what was drawn agrees with the truth, image by image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from suwen.core.calibration import Calibration
from suwen.core.errors import DataError
from suwen.core.model import Model
from suwen.core.recipe import EvaluationSettings, Recipe
from suwen.core.task import Task
from suwen.data.cases import CaseSet
from suwen.data.codebook import IGNORED, Codebook
from suwen.data.grid import Grid
from suwen.data.resample import nearest
from suwen.evaluation.calibration import fit_temperature
from suwen.evaluation.content import Shown
from suwen.evaluation.domain import fit_domain
from suwen.evaluation.intervals import bootstrap
from suwen.evaluation.mask_baselines import Drawer, drawers
from suwen.evaluation.mask_outcome import MaskOutcome, agreement
from suwen.evaluation.mask_sections import worst_median_best
from suwen.evaluation.metrics import metric_of
from suwen.evaluation.outcome import Threshold
from suwen.evaluation.summarise import as_json, summarise
from suwen.explanation.overlay import png
from suwen.heads.draw import draw, each_of, logits_of
from suwen.verbs.judges import Outcomes
from suwen.verbs.outlines import shown

PIXELS = 20_000
"""Of each validation image, by which the temperature is fitted."""

WATCHED = 0.125
"""Overlap of windows while training is watched: a quarter of the work of what is asked at the end."""

ENOUGH = 20
"""Training and validation images without which no domain is fitted (`suwen.evaluation.domain.fit_domain`)."""

STEPS = 100
"""Thresholds tried, evenly spaced between 0 and 1."""


class MaskJudge:
    """See `suwen.verbs.judges.Judge`."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def watching(self, dataset: CaseSet) -> dict[str, Any]:
        """Dice on validation, images drawn with little overlap and without test-time views; nothing without images."""
        rows = dataset.where("val")
        if not len(rows):
            return {}

        def probe(model: Model) -> dict[str, float]:
            dice = _Counts(dataset.codebook)
            for row in rows.tolist():
                grid = Grid(dataset.codes_of(row).shape)
                codes = draw(model, dataset.pixels_of(row), grid, views=(), overlap=WATCHED).codes
                dice.add(codes, dataset.codes_of(row))
            return {"dice": dice.mean(), "score": dice.mean()}

        return {"probe": probe}

    def calibrate(self, model: Model, dataset: CaseSet, settings: EvaluationSettings) -> None:
        """Temperature and, of two labels, the threshold with the best Dice, on validation; and the domain."""
        rows = dataset.where("val")
        if not len(rows):
            return
        logits, targets, pooled, histograms, sizes = [], [], [], [], []
        rng = np.random.default_rng(0)
        for row in rows.tolist():
            found, seen = logits_of(model, dataset.pixels_of(row))
            codes = dataset.codes_of(row).reshape(-1)
            known = np.flatnonzero(codes != IGNORED)
            flat = found.reshape(len(found), -1).cpu().numpy()
            some = rng.choice(known, min(len(known), PIXELS), replace=False)
            logits.append(flat[:, some].T)
            targets.append(codes[some].astype(np.int64))
            pooled.append(seen)
            if len(dataset.labels) == 2:
                histograms.append(_histograms(flat[:, known], codes[known]))
            sizes.append((found.cpu(), np.asarray(dataset.codes_of(row))))
        temperature = fit_temperature(np.concatenate(logits).astype(np.float64), np.concatenate(targets))
        model.calibration = Calibration(temperature=temperature, coverage=settings.coverage)
        if histograms:
            model.calibration = replace(model.calibration, threshold=_best_threshold(histograms, temperature))
        factors = _size_factors(model, sizes, settings.coverage)
        model.calibration = replace(model.calibration, sizes=factors)
        train = dataset.where("train")
        if min(len(train), len(rows)) >= ENOUGH:  # every one is gone through whole, which takes its time
            features = [logits_of(model, dataset.pixels_of(row), views=())[1] for row in _few(train)]
            model.domain = fit_domain(np.stack(features), np.stack(pooled))

    def explanations(self, model: Model, dataset: CaseSet, recipe: Recipe) -> dict[str, Any]:
        """None are compared while training."""
        return {}

    def judge(self, model: Model, dataset: CaseSet, rows: np.ndarray) -> MaskOutcome:
        """Every image drawn at the size of its file and held against its mask."""
        codebook = model.head.codebook  # type: ignore[attr-defined]
        drawn = ((row, codebook.masks(found.codes)) for row, found in each_of(model, dataset, rows))
        return outcome_of(dataset, rows, drawn)

    def rows(self, dataset: CaseSet, split: str | None) -> np.ndarray:
        """See `suwen.verbs.judges.Judge.rows`."""
        wanted = dataset.where(split or "test")
        if split is None and not len(wanted):
            wanted = np.arange(len(dataset))
        labelled: np.ndarray = wanted[dataset.columns.labelled[wanted]]
        if not len(labelled):
            raise DataError(
                f"no images with masks in the split {split!r}" if split else "no images with masks",
                why="there is nothing to judge by",
                fix="leave out --split, or name masks",
            )
        return labelled

    def baselines(self, dataset: CaseSet, outcomes: Outcomes) -> dict[str, dict[str, Any]]:
        """Fitted on the training images, drawn at the size that the model sees."""
        train = _Pairs(dataset, dataset.where("train"))
        if not len(train):
            return {}
        found: dict[str, dict[str, Any]] = {}
        for name, drawer in drawers(self.task.baselines, train, dataset.codebook).items():
            found[name] = {
                split: outcome_of(dataset, rows, _drawn_by(drawer, dataset, rows))
                for split in outcomes
                if len(rows := dataset.where(split))
            }
        return found

    def threshold(self, outcomes: Outcomes, settings: EvaluationSettings) -> Threshold:
        """None: what was drawn is judged as it is."""
        return None

    def figures(
        self,
        outcome: MaskOutcome,
        *,
        names: Sequence[str],
        threshold: Threshold,
        by: Sequence[str],
        resamples: int,
        seed: int,
    ) -> dict[str, Any]:
        """As of labels, and each label by itself."""
        found = summarise(outcome, names=names, threshold=threshold, by=by, resamples=resamples, seed=seed)
        labels = {
            label: {
                "shown": int(outcome.truth[:, column].sum()),
                "metrics": as_json(bootstrap(outcome.only(column), names, resamples=resamples, seed=seed)),
            }
            for column, label in enumerate(outcome.labels)
        }
        return found | {"labels": labels}

    def report(self, model: Model, dataset: CaseSet, rows: np.ndarray, outcomes: Outcomes) -> dict[str, Any]:
        """The worst, the median and the best image with outlines."""
        outcome: MaskOutcome = list(outcomes.values())[-1]
        metric = metric_of(self.task.metric)
        pictures = []
        for kind, place in worst_median_best(outcome).items():
            row = int(rows[place])
            drawn = draw(model, dataset.pixels_of(row), dataset.grid(row))
            image, masks = shown(dataset.pixels_of(row), dataset.truth(row), drawn, dataset.codebook)
            figure = metric.function(outcome.take([place]))
            pictures.append(Shown(id=str(outcome.ids[place]), kind=kind, image_png=png(image), overlay_png=png(masks),
                                  figure=figure))  # fmt: skip
        return {"pictures": pictures, "temperature": model.calibration.temperature}


def outcome_of(dataset: CaseSet, rows: np.ndarray, drawn: Iterator[tuple[int, np.ndarray]]) -> MaskOutcome:
    """What was drawn, bool ``(K - 1, *S)`` an image, held against the truth."""
    found = []
    grid = dataset.grid(int(rows[0])) if len(rows) else None
    for row, masks in drawn:
        truth = dataset.truth(row)
        known, place, true = truth != IGNORED, dataset.grid(row), dataset.codebook.masks(truth)
        found.append([agreement(mask & known, there, place) for mask, there in zip(masks, true, strict=True)])
    return MaskOutcome.of(
        found,
        ids=dataset.ids[rows].tolist(),
        subjects=dataset.subjects[rows].tolist(),
        labels=dataset.labels[1:],
        unit="px" if grid is None else grid.unit,
        metadata=dataset.metadata.iloc[rows],
    )


def _drawn_by(drawer: Drawer, dataset: CaseSet, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for row in rows.tolist():
        grid = dataset.grid(row)
        masks = drawer(np.asarray(dataset.pixels_of(row)))
        yield row, np.stack([grid.as_in_the_file(nearest(mask, grid.body_shape)) for mask in masks])


def _few(rows: np.ndarray, most: int = 100) -> list[int]:
    return [int(rows[place]) for place in np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]


class _Pairs(Sequence[tuple[np.ndarray, np.ndarray]]):
    """Pixels and codes of some rows, read when they are asked for."""

    def __init__(self, dataset: CaseSet, rows: np.ndarray) -> None:
        self.dataset, self.rows = dataset, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:
        row = int(self.rows[place])
        return np.asarray(self.dataset.pixels_of(row)), np.asarray(self.dataset.codes_of(row))


class _Counts:
    """Dice of each label in each image, from counts alone."""

    def __init__(self, codebook: Codebook) -> None:
        self.codebook = codebook
        self.found: list[np.ndarray] = []

    def add(self, said: np.ndarray, truth: np.ndarray) -> None:
        """One image."""
        pairs = np.bincount(truth.reshape(-1).astype(np.int64) * 256 + said.reshape(-1), minlength=256 * 256)
        pairs = pairs.reshape(256, 256)[: len(self.codebook), : len(self.codebook)]
        members = self.codebook.members.astype(np.int64)
        both, total = np.diag(members.T @ pairs @ members), (pairs.sum(axis=0) + pairs.sum(axis=1)) @ members
        self.found.append(np.divide(2 * both, total, out=np.full(len(total), np.nan), where=total > 0)[1:])

    def mean(self) -> float:
        """Over labels of the mean over images."""
        found = np.stack(self.found)
        shown = found[:, np.isfinite(found).any(axis=0)]
        return float(np.nanmean(shown, axis=0).mean()) if shown.size else math.nan


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
