"""What goes into a report: examples with their explanations, notes, the figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from suwen.core.dataset import Dataset
from suwen.core.model import Model
from suwen.core.recipe import Recipe
from suwen.core.run import Run
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.report import Example, ReportContent, write_report
from suwen.explanation.methods import method_of
from suwen.explanation.overlay import overlay, picture, png, scaled
from suwen.heads.knn import Neighbours
from suwen.simulation.observer import best_possible
from suwen.simulation.records.truth import OUTCOMES, RISKS, best_possible_risk
from suwen.verbs.explain import method_to_show
from suwen.verbs.explaining import warning_of

FILMS = "films.csv"
"""Truth of the films; that of the records is `RISKS`."""

EXAMPLES = 6
"""Right ones and as many wrong ones."""


def write_run_report(
    run: Run,
    model: Model,
    dataset: Dataset,
    check: dict[str, Any],
    recipe: Recipe,
    metrics: dict[str, Any],
    outcomes: dict[str, Outcome],
    baselines: dict[str, dict[str, Outcome]],
    history: list[dict[str, Any]],
    shown: dict[str, Any],
) -> None:
    """``report.html`` of a fine-tuning; `shown` is what the judge of its answers adds (`Judge.report`)."""
    split: str = "test" if "test" in outcomes else "val"
    content = ReportContent(
        title=run.path.resolve().name,
        task=recipe.task,
        model=model.name,
        metrics=metrics,
        outcomes=outcomes,
        baselines=baselines,
        history=history,
        data_check=check,
        recipe_yaml=recipe.to_yaml(),
        versions=metrics["versions"],
        notes=[*notes_of(model, recipe), *warnings_of(metrics)],
        simulated=hospital_of(recipe.data.source) is not None,
        best_possible=_best_possible(recipe.data.source, outcomes.get(split)),
        headline=model.task.metric,
        criterion=recipe.evaluation.threshold,
        **shown,
    )
    write_report(run.report, content)


def warnings_of(metrics: Mapping[str, Any]) -> list[str]:
    """What a fine-tuning says against itself."""
    said = (warning_of(metrics.get("explanations", {})), metrics.get("teacher", {}).get("warning"))
    return [each for each in said if each]


def unscaled(outcome: Outcome, temperature: float) -> Outcome:
    """The same answers as they were before temperature scaling.

    Scaled probabilities are softmax(z / T) or sigmoid(z / T) (Guo et al. 2017, equation 9), so that their logarithms or
    log-odds times T are the logits z, up to a constant that softmax does not see.
    """
    scaled = np.clip(outcome.probabilities, np.finfo(np.float64).tiny, 1.0)
    if outcome.multi_label:
        odds = temperature * (np.log(scaled) - np.log1p(-np.minimum(scaled, 1 - np.finfo(np.float64).epsneg)))
        return replace(outcome, probabilities=1 / (1 + np.exp(-odds)))
    logits = temperature * np.log(scaled)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return replace(outcome, probabilities=raised / raised.sum(axis=1, keepdims=True))


def hospital_of(source: str | Path) -> Path | None:
    """The virtual hospital that these data are a ward of, None for real data."""
    path = Path(source).resolve()
    return next((folder for folder in (path, *path.parents) if _has_truth(folder)), None)


def _has_truth(folder: Path) -> bool:
    return any((folder / "truth" / name).is_file() for name in (FILMS, RISKS))


def _best_possible(source: str, outcome: Outcome | None) -> dict[str, float] | None:
    hospital = hospital_of(source)
    if hospital is None or outcome is None or len(np.unique(outcome.target)) < 2:
        return None
    names = [str(name) for name in outcome.ids]
    if (question := Path(source).stem) in OUTCOMES:
        best = best_possible_risk(hospital, question, names)
        return None if best is None else {"auroc": best}
    return best_possible(hospital, names) if (hospital / "truth" / FILMS).is_file() else None


def notes_of(model: Model, recipe: Recipe) -> list[str]:
    """What a reader must know besides the figures."""
    notes = [model.card["licence_warning"]] if model.card.get("licence_warning") else []
    pretrained = getattr(model.encoder, "pretrained", False) or recipe.encoder.name.startswith("run:")
    if recipe.encoder.weights is None and not pretrained:
        notes.append("The encoder started from random weights; pretrained ones usually need fewer labels.")
    if not model.task.labelled:
        notes.append(
            "This encoder was pretrained without labels. The figures are those of a linear classifier on its frozen "
            "features, learned from the labelled training images and judged on validation; 'untrained' is the same on "
            "the encoder as it was before. Test images were not looked at."
        )
    if pool := model.card.get("data", {}).get("unlabelled"):
        counts, settings = pool["counts"], recipe.unlabelled
        notes.append(
            f"{counts['learned from without labels']} of {counts['images']} unlabelled images in {pool['source']} were "
            f"learned from too; in the last epoch {pool['sure']:.0%} of what the model said of them was sure enough "
            f"(≥ {settings.threshold:.0%}) to count."
        )
    if isinstance(model.head, Neighbours):
        notes.append("This Run holds features and labels of its training images, though no images: share it like them.")
    return notes


def examples(
    model: Model, dataset: Dataset, rows: np.ndarray, outcome: Outcome, *, most: int = EXAMPLES
) -> list[Example]:
    """The surest wrong answers, and right ones spread over labels, each with its explanation."""
    if outcome.multi_label or not len(rows):
        return []
    said = answers_of(model, outcome)
    sure = outcome.probabilities[np.arange(len(rows)), said]
    right = said == outcome.target
    wrong_first = np.flatnonzero(~right)[np.argsort(-sure[~right], kind="stable")][:most]
    chosen = np.concatenate([wrong_first, _spread(np.flatnonzero(right), outcome.target, most)]).astype(np.int64)
    images = dataset.take(rows[chosen])
    heat = _explain(model, images, said[chosen])
    return [
        Example(
            id=str(outcome.ids[row]),
            image_png=png(picture(image)),
            overlay_png=None if shown is None else png(overlay(image, scaled(shown))),
            truth=outcome.labels[outcome.target[row]],
            answer=outcome.labels[said[row]],
            probability=float(sure[row]),
            correct=bool(right[row]),
        )
        for row, image, shown in zip(chosen, images, heat, strict=True)
    ]


def answers_of(model: Model, outcome: Outcome) -> np.ndarray:
    """Label numbers given: the most probable, or by the threshold of a binary question."""
    threshold = model.calibration.threshold
    if not outcome.binary or threshold is None:
        most_probable: np.ndarray = np.argmax(outcome.probabilities, axis=1)
        return most_probable
    positive = outcome.positive % 2
    return np.where(outcome.probabilities[:, positive] >= threshold, positive, 1 - positive)


def _spread(rows: np.ndarray, target: np.ndarray, most: int) -> np.ndarray:
    """Rows taken in turn from each label."""
    turn = np.zeros(len(rows), np.int64)
    for label in np.unique(target[rows]):
        mine = target[rows] == label
        turn[mine] = np.arange(mine.sum())
    return rows[np.argsort(turn, kind="stable")][:most]


def _explain(model: Model, images: np.ndarray, labels: np.ndarray) -> list[np.ndarray | None]:
    name = method_to_show(model)
    if name is None or not len(images):
        return [None] * len(images)
    heat: np.ndarray = method_of(name)(model, torch.from_numpy(images), torch.from_numpy(labels)).numpy()
    return list(heat)
