"""The judge of a table's answers: as of labels, calibrated on training rows too, with the worst subgroup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from suwen.core.dataset import Dataset
from suwen.core.model import Model
from suwen.core.recipe import EvaluationSettings
from suwen.evaluation.outcome import Outcome, Threshold
from suwen.explanation.methods import method_of
from suwen.verbs.explain import method_to_show
from suwen.verbs.judge import calibrate
from suwen.verbs.judges import Outcomes
from suwen.verbs.label_judge import LabelJudge
from suwen.verbs.reporting import unscaled
from suwen.verbs.table_baselines import table_baselines

GROUPS = ("sex", "gender", "age", "race", "ethnicity", "site", "hospital")
"""Columns whose subgroups are reported unasked, by their names in any case."""

SHOWN = 500
"""Rows over which the report averages what the answers rest on."""

LEAST = 20
"""Persons of a subgroup that can be the worst one."""


class TableJudge(LabelJudge):
    """See `suwen.verbs.judges.Judge`."""

    def calibrate(self, model: Model, dataset: Dataset, settings: EvaluationSettings) -> None:
        """See `suwen.verbs.judge.calibrate`.

        Heads that are fitted at once leave answers to each training row by a fit that did not see it. The temperature
        is fitted on these beside the validation rows, of which a small table has too few.
        """
        found: np.ndarray | None = getattr(model.head, "crossfitted", None)
        beside = None
        if found is not None:
            seen = ~np.isnan(found).any(axis=1)
            beside = dataset.where("train")[seen], found[seen]
        calibrate(model, dataset, dataset.where("val"), settings, beside)

    def baselines(self, dataset: Dataset, outcomes: Outcomes) -> dict[str, dict[str, Any]]:
        """See `table_baselines`."""
        return table_baselines(self.task.baselines, dataset, dict(outcomes))

    def groups(self, dataset: Dataset) -> tuple[str, ...]:
        """The columns by which subgroups are reported where the user names none."""
        used = {column.name for column in dataset.preprocess.columns}  # type: ignore[attr-defined]
        return tuple(name for name in map(str, dataset.metadata.columns) if name.lower() in GROUPS and name in used)

    def figures(
        self,
        outcome: Outcome,
        *,
        names: Sequence[str],
        threshold: Threshold,
        by: Sequence[str],
        resamples: int,
        seed: int,
    ) -> dict[str, Any]:
        """See `summarise`; and the subgroup with the lowest headline figure, and with the largest calibration error."""
        found = super().figures(
            outcome, names=names, threshold=threshold, by=by, resamples=resamples, seed=seed
        )  # fmt: skip
        headline = self.task.metric
        worst = {headline: worst_group(found, headline, lowest=True), "ece": worst_group(found, "ece", lowest=False)}
        kept = {name: group for name, group in worst.items() if group is not None}
        return found | ({"worst_subgroup": kept} if kept else {})

    def report(self, model: Model, dataset: Dataset, rows: np.ndarray, outcomes: Outcomes) -> dict[str, Any]:
        """The answers as they were before scaling; a row of a table is no picture."""
        split = "test" if "test" in outcomes else next(iter(outcomes))
        temperature = model.calibration.temperature
        return {
            "unit": "rows",
            "temperature": temperature,
            "uncalibrated": unscaled(outcomes[split], temperature),
            "rests_on": rests_on(model, dataset, rows[:SHOWN]),
        }


def rests_on(model: Model, dataset: Dataset, rows: np.ndarray) -> dict[str, float]:
    """Column → mean magnitude of its exact Shapley values in probability over some rows (Lundberg et al. 2020, figure
    4); the largest first. Of several labels the mean over them; empty for heads whose values are not exact."""
    name = method_to_show(model)
    if name is None or not (method := method_of(name)).additive or not hasattr(model.head, "explanation"):
        return {}
    inputs = torch.from_numpy(dataset.take(rows))
    labels = range(1, 2) if len(model.head.labels) == 2 else range(len(model.head.labels))
    each = [method(model, inputs, torch.full((len(rows),), label)).abs().mean(0).numpy() for label in labels]
    shares = np.mean(each, axis=0)
    columns = dataset.preprocess.columns  # type: ignore[attr-defined]
    return {columns[at].name: float(shares[at]) for at in np.argsort(-shares, kind="stable").tolist()}


def worst_group(figures: dict[str, Any], metric: str, *, lowest: bool) -> dict[str, Any] | None:
    """The group of `LEAST` persons or more, with every label among them, whose figure is worst; None without any."""
    found = [
        {"column": column, "group": name, "n": group["n"], **group["metrics"][metric]}
        for column, groups in figures["subgroups"].items()
        for name, group in groups["groups"].items()
        if group["subjects"] >= LEAST
        and not group["note"]
        and group["metrics"].get(metric, {}).get("value") is not None
    ]
    sign = 1 if lowest else -1
    return min(found, key=lambda group: sign * group["value"], default=None)
