"""The judge of masks: how far what was drawn agrees with the truth, image by image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from suwen.core.errors import DataError
from suwen.core.model import Model
from suwen.core.recipe import EvaluationSettings, Recipe
from suwen.core.task import Task
from suwen.data.cases import CaseSet
from suwen.data.codebook import IGNORED, Codebook
from suwen.data.grid import Grid
from suwen.data.progress import track
from suwen.data.resample import nearest
from suwen.evaluation.content import Shown
from suwen.evaluation.intervals import bootstrap
from suwen.evaluation.mask_baselines import Drawer, drawers
from suwen.evaluation.mask_outcome import MaskOutcome, agreement
from suwen.evaluation.mask_pixels import uncertainty_figures
from suwen.evaluation.mask_sections import worst_median_best
from suwen.evaluation.metrics import metric_of
from suwen.evaluation.outcome import Outcome, Threshold
from suwen.evaluation.summarise import as_json, summarise
from suwen.explanation.overlay import png
from suwen.heads.draw import Drawn, draw
from suwen.heads.pixels import PixelSample
from suwen.verbs.judges import Outcomes
from suwen.verbs.mask_calibration import calibrate
from suwen.verbs.outlines import shown

WATCHED = 0.125
"""Overlap of windows while training is watched: a quarter of the work of what is asked at the end."""


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
                codes = draw(model, dataset.pixels_of(row), grid, views=(), overlap=WATCHED, objects=False).codes
                dice.add(codes, dataset.codes_of(row))
            return {"dice": dice.mean(), "score": dice.mean()}

        return {"probe": probe}

    def calibrate(self, model: Model, dataset: CaseSet, settings: EvaluationSettings) -> None:
        """See `suwen.verbs.mask_calibration.calibrate`."""
        calibrate(model, dataset, settings)

    def explanations(self, model: Model, dataset: CaseSet, recipe: Recipe) -> dict[str, Any]:
        """None are compared while training."""
        return {}

    def judge(self, model: Model, dataset: CaseSet, rows: np.ndarray) -> MaskOutcome:
        """Every image drawn at the size of its file and held against its mask."""
        pixels = _Pixels(dataset)
        drawn = ((row, model.head.codebook.masks(found.codes), found.objects)  # type: ignore[attr-defined]
                 for row, found in pixels.seen_by(model, rows))  # fmt: skip
        outcome = outcome_of(dataset, rows, drawn)
        return replace(outcome, pixels=pixels.outcome())

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
        if outcome.pixels is not None:
            found["uncertainty"] = uncertainty_figures(outcome.pixels, resamples=resamples, seed=seed)
        return found | {"labels": labels}

    def report(self, model: Model, dataset: CaseSet, rows: np.ndarray, outcomes: Outcomes) -> dict[str, Any]:
        """The worst, the median and the best image with outlines."""
        outcome: MaskOutcome = list(outcomes.values())[-1]
        metric = metric_of(self.task.metric)
        pictures = []
        for kind, place in worst_median_best(outcome).items():
            row = int(rows[place])
            drawn = draw(model, dataset.pixels_of(row), dataset.grid(row))
            truth, objects = dataset.truth(row), dataset.objects(row)
            image, masks = shown(dataset.pixels_of(row), truth, drawn, dataset.codebook, objects)
            figure = metric.function(outcome.take([place]))
            pictures.append(Shown(id=str(outcome.ids[place]), kind=kind, image_png=png(image), overlay_png=png(masks),
                                  figure=figure))  # fmt: skip
        return {"pictures": pictures, "temperature": model.calibration.temperature}


def outcome_of(
    dataset: CaseSet, rows: np.ndarray, drawn: Iterator[tuple[int, np.ndarray, dict[str, np.ndarray]]]
) -> MaskOutcome:
    """What was drawn, bool ``(K - 1, *S)`` an image and objects that were told apart, held against the truth."""
    found = []
    grid = dataset.grid(int(rows[0])) if len(rows) else None
    for row, masks, objects in drawn:
        truth = dataset.truth(row)
        known, place, true = truth != IGNORED, dataset.grid(row), dataset.codebook.masks(truth)
        real = dataset.objects(row)
        labels = zip(dataset.labels[1:], masks, true, strict=True)
        found.append(
            [agreement(mask & known, there, place, objects=(objects.get(label), real)) for label, mask, there in labels]
        )
    return MaskOutcome.of(
        found,
        ids=dataset.ids[rows].tolist(),
        subjects=dataset.subjects[rows].tolist(),
        labels=dataset.labels[1:],
        unit="px" if grid is None else grid.unit,
        metadata=dataset.metadata.iloc[rows],
    )


def _drawn_by(
    drawer: Drawer, dataset: CaseSet, rows: np.ndarray
) -> Iterator[tuple[int, np.ndarray, dict[str, np.ndarray]]]:
    for row in rows.tolist():
        grid = dataset.grid(row)
        masks = drawer(np.asarray(dataset.pixels_of(row)))
        yield row, np.stack([grid.as_in_the_file(nearest(mask, grid.body_shape)) for mask in masks]), {}


class _Pixels:
    """Some pixels of each image that is drawn, what was said of them and what is true."""

    def __init__(self, dataset: CaseSet) -> None:
        self.dataset = dataset
        self.said: list[np.ndarray] = []
        self.true: list[np.ndarray] = []
        self.rows: list[int] = []

    def seen_by(self, model: Model, rows: np.ndarray) -> Iterator[tuple[int, Drawn]]:
        """Row by row what was drawn."""
        for row in track(rows.tolist(), "Drawing", len(rows)):
            sample, grid = PixelSample(seed=row), self.dataset.grid(row)
            drawn = draw(model, self.dataset.pixels_of(row), grid, sample=sample)
            places, said = sample.taken()
            true = grid.along_the_body(self.dataset.truth(row)).reshape(-1)[places]
            known = true != IGNORED
            if known.any():
                self.said.append(said[known])
                self.true.append(true[known])
                self.rows += [row] * int(known.sum())
            yield row, drawn

    def outcome(self) -> Outcome | None:
        """All of them; None where the model was sure of the background everywhere."""
        if not self.rows:
            return None
        codebook = self.dataset.codebook
        return Outcome(
            ids=np.array(self.dataset.ids[self.rows].tolist(), np.str_),
            subjects=np.array(self.dataset.subjects[self.rows].tolist(), np.str_),
            target=np.concatenate(self.true).astype(np.int64),
            probabilities=np.concatenate(self.said),
            labels=tuple(" + ".join(codebook.named(code)) for code in range(len(codebook))),
        )


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
