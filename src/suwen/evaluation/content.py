"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from suwen.core.errors import DataError
from suwen.evaluation.metrics import metric_of
from suwen.evaluation.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Example:
    """One sample to show, with the answer given.

    Attributes:
        id: the sample's name.
        image_png: the image as the model's user would see it.
        overlay_png: the same with what the answer rests on, if explained.
        truth, answer: label names.
        probability: of the answer.
        correct: whether the answer is right.
    """

    id: str
    image_png: bytes
    overlay_png: bytes | None
    truth: str
    answer: str
    probability: float
    correct: bool


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One image with its masks.

    Attributes:
        id: the sample's name.
        kind: ``worst``, ``median`` or ``best``.
        image_png: the image alone.
        overlay_png: the same with the outlines of the true and the drawn masks.
        figure: the headline metric of this image.
    """

    id: str
    kind: str
    image_png: bytes
    overlay_png: bytes | None
    figure: float


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """All that a report shows.

    Attributes:
        title: the page's heading.
        task: the task's name.
        model: the model's name and fingerprint, as predictions show it.
        metrics: ``metrics.json``; ``baselines`` holds, by name, splits in the shape of ``splits``.
        outcomes: the model's, by split, each an `Outcome` or a `suwen.evaluation.mask_outcome.MaskOutcome`. The report
            is about ``"test"``, or the first where there is none; without any it says that nothing was measured.
        baselines: by name, then by split; samples in the same order as the model's.
        history: rows of ``log.jsonl``: ``epoch``, ``train_loss``, ``val_loss``, ``val_METRIC`` and whatever else.
        data_check: ``{"tables": [{"title", "columns", "rows"}], "warnings": [str], "leaks": [str]}``.
        recipe_yaml: the recipe in full.
        versions: of the software.
        examples: right and wrong answers to show.
        pictures: images with their masks to show.
        notes: sentences for the top of the page (a licence that forbids commercial use …).
        simulated: whether the patients are made up.
        best_possible: metric → the figure of the best conceivable model, where the truth is known.
        headline: the metric of the verdict, the forest plot and the training curve.
        criterion: by which the operating threshold was chosen.
        temperature: of temperature scaling, if there was any.
        uncalibrated: the main split's outcome before scaling, if kept.
        unit: what one sample is called, in the plural.
        rests_on: column → by how much it moves an answer on average, in probability; the largest first.

    Raises:
        DataError: an outcome without its metrics, or metrics without the headline metric.
    """

    title: str
    task: str
    model: str
    metrics: Mapping[str, Any]
    outcomes: Mapping[str, Any]
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    data_check: Mapping[str, Any] = field(default_factory=dict)
    recipe_yaml: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    pictures: Sequence[Shown] = ()
    notes: Sequence[str] = ()
    simulated: bool = False
    best_possible: Mapping[str, float] | None = None
    headline: str = "auroc"
    criterion: str = "youden"
    temperature: float | None = None
    uncalibrated: Outcome | None = None
    unit: str = "images"
    rests_on: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        metric_of(self.headline)
        for split in self.outcomes:
            found = self.metrics["splits"].get(split, {}).get("metrics", {})
            if self.headline not in found:
                raise DataError(
                    f"metrics of the {split} split: {', '.join(found) or 'none'}",
                    why=f"the verdict needs {self.headline}",
                    fix=f"summarise() the outcome with {self.headline} among the names, or set another headline",
                )

    @property
    def split(self) -> str:
        """The split that the report is about; empty if nothing was measured."""
        return "test" if "test" in self.outcomes else next(iter(self.outcomes), "")

    @property
    def leaks(self) -> Sequence[str]:
        """What of the test split is also elsewhere, if going on was asked for all the same."""
        return list(self.data_check.get("leaks", ()))

    def figures(self, split: str) -> dict[str, dict[str, float | None]]:
        """The model's metrics of a split; empty if there is none."""
        return dict(self.metrics["splits"].get(split, {}).get("metrics", {}))

    def baseline_figures(self, split: str) -> dict[str, dict[str, dict[str, float | None]]]:
        """Each baseline's metrics of a split."""
        baselines = self.metrics.get("baselines", {})
        return {name: dict(splits[split]["metrics"]) for name, splits in baselines.items() if split in splits}
