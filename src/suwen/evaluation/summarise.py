"""One split's part of ``metrics.json``: figures with intervals, subgroups with gaps, and the threshold used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from suwen.evaluation.intervals import bootstrap
from suwen.evaluation.metrics import names_for
from suwen.evaluation.outcome import Judged, Threshold
from suwen.evaluation.subgroups import subgroups


def summarise(
    outcome: Judged,
    *,
    names: Sequence[str] | None = None,
    threshold: Threshold = None,
    by: Sequence[str] | Mapping[str, Sequence[float] | None] = (),
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything that ``metrics.json`` says of one split, ready for `json.dump`.

    Args:
        outcome: the split's truth and answers.
        names: which metrics; all that apply unless given.
        threshold: the operating threshold chosen on validation (`choose_threshold`).
        by: metadata columns to group by; as a mapping, with bin edges for numeric ones (None: quartiles).
        resamples: bootstrap resamples.
        seed: of the bootstrap.

    Returns:
        ``{"n", "subjects", "metrics": {NAME: {"value", "low", "high"}}, "subgroups": {COLUMN: {"groups", "gaps"}},
        "threshold"}``; figures that are not defined are None.

    Raises:
        NameUnknown: a metric or a metadata column that does not exist.
    """
    chosen = names_for(outcome) if names is None else tuple(names)
    columns = by if isinstance(by, Mapping) else dict.fromkeys(by)
    found = {
        "n": len(outcome),
        "subjects": len(np.unique(outcome.subjects)),
        "metrics": bootstrap(outcome, chosen, threshold, resamples=resamples, seed=seed),
        "subgroups": {
            column: subgroups(outcome, column, chosen, threshold, edges=edges, resamples=resamples, seed=seed)
            for column, edges in columns.items()
        },
        "threshold": threshold,
    }
    return {name: as_json(value) for name, value in found.items()}


def as_json(value: Any) -> Any:
    """The value with NaN as None and arrays as lists, since JSON knows neither."""
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
