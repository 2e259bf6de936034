"""Figures by subgroup of any metadata column, and the gaps between groups with what chance alone would show.

The largest of several noisy figures always exceeds the smallest, so a gap means little by itself. Beside each gap
stands the one that 95 of 100 random regroupings of the same subjects stay under (a permutation reference;
Good, Permutation Tests, 2000): a gap above it is unlikely to be chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from suwen.core.errors import NameUnknown, RecipeError
from suwen.evaluation.intervals import CHUNK, LEVEL, Interval, bootstrap
from suwen.evaluation.metrics import metric_of
from suwen.evaluation.outcome import Floats, Integers, Judged, Threshold
from suwen.evaluation.ranking import Statistic

MISSING = "(missing)"
OTHER = "(other)"
MOST_GROUPS = 12  # further, rarer values are shown together
FEW_SUBJECTS = (
    20  # percentile intervals of small samples are too narrow (Hesterberg, American Statistician 2015;69:371)
)
_QUARTILES_ABOVE = 10  # a numeric column with more distinct values than this is a quantity, not a code
_REGROUPINGS = 200


class Group(TypedDict):
    """One group: its size, its figures, and why it is marked (empty if it is not)."""

    n: int
    subjects: int
    metrics: dict[str, Interval]
    note: str


class Gap(TypedDict):
    """The highest less the lowest figure among unmarked groups, and what chance stays under 95 times in 100."""

    value: float
    chance: float
    highest: str
    lowest: str


class Subgroups(TypedDict):
    """One column's groups and gaps."""

    groups: dict[str, Group]
    gaps: dict[str, Gap]


def subgroups(
    outcome: Judged,
    column: str,
    names: Sequence[str],
    threshold: Threshold = None,
    *,
    edges: Sequence[float] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Subgroups:
    """Every metric by group of one metadata column.

    Text is grouped by value (rare values beyond the `MOST_GROUPS` largest together as "(other)"), quantities by
    quartile or by `edges`, and missing values as "(missing)". A group of fewer than `FEW_SUBJECTS` subjects, or
    lacking a class, is shown and marked, and takes no part in the gaps.

    Raises:
        NameUnknown: no such column.
        RecipeError: `edges` given for a column that is not numeric, or not increasing.
    """
    if column not in outcome.metadata:
        raise NameUnknown("metadata column", column, map(str, outcome.metadata.columns), fix="--by one of them")
    order, index = group_values(outcome.metadata[column], edges)
    groups: dict[str, Group] = {}
    for number, value in enumerate(order):
        part = outcome.take(index == number)
        groups[value] = {
            "n": len(part),
            "subjects": len(np.unique(part.subjects)),
            "metrics": bootstrap(part, names, threshold, resamples=resamples, seed=seed),
            "note": _note(part),
        }
    compared = [number for number, value in enumerate(order) if not groups[value]["note"] and value != MISSING]
    gaps = _gaps(outcome, names, threshold, order, index, compared, seed) if len(compared) > 1 else {}
    return {"groups": groups, "gaps": gaps}


def _note(part: Judged) -> str:
    subjects = len(np.unique(part.subjects))
    if subjects < FEW_SUBJECTS:
        return f"only {subjects} subject{'s' * (subjects != 1)}"
    return part.note()


def group_values(values: pd.Series[Any], edges: Sequence[float] | None = None) -> tuple[list[str], Integers]:
    """The groups' names in the order to show them, and each row's index among them."""
    text = values.astype("string").str.strip()
    missing = values.isna() | text.isna() | text.str.lower().isin(("", "nan", "none", "unknown"))
    numbers = pd.to_numeric(text.where(~missing), errors="coerce")
    numeric = bool(numbers[~missing].notna().all()) and not bool(missing.all())
    if edges is not None:
        named = _by_edges(values, numbers, numeric, edges)
    elif numeric and numbers.nunique() > _QUARTILES_ABOVE:
        named = _by_quartile(numbers)
    else:
        counts = text[~missing].value_counts()
        kept = set(counts.index if len(counts) <= MOST_GROUPS else counts.index[: MOST_GROUPS - 1])
        ordered = sorted(kept, key=(lambda name: (float(name), name)) if numeric else str)
        shown = text.where(text.isin(kept), OTHER)
        named = ([str(name) for name in ordered] + [OTHER], shown)
    order, series = named
    series = series.mask(missing, MISSING)
    present = [name for name in [*order, MISSING] if bool((series == name).any())]
    position = {name: number for number, name in enumerate(present)}
    return present, np.array([position[str(name)] for name in series], dtype=np.int64)


def _by_quartile(numbers: pd.Series[Any]) -> tuple[list[str], pd.Series[Any]]:
    """Quarters of equal size, named by the smallest and largest value seen in each."""
    code = pd.qcut(numbers, 4, labels=False, duplicates="drop")
    spans = numbers.groupby(code).agg(["min", "max"])
    names = {key: f"{low:g} to {high:g}" if low != high else f"{low:g}" for key, low, high in spans.itertuples()}
    return list(names.values()), code.map(names).astype("string")


def _by_edges(
    values: pd.Series[Any], numbers: pd.Series[Any], numeric: bool, edges: Sequence[float]
) -> tuple[list[str], pd.Series[Any]]:
    """Bins between the given edges, each from its lower edge to just under the next."""
    if not numeric or not len(edges) or list(edges) != sorted(set(edges)):
        raise RecipeError(
            f"bins {list(edges)} for the column {values.name!r}",
            why="bins need a numeric column and increasing edges",
            fix="leave the bins out to group by value, or give edges such as 40,60,80",
        )
    between = [f"{low:g} to under {high:g}" for low, high in pairwise(edges)]
    names = [f"under {edges[0]:g}", *between, f"{edges[-1]:g} and over"]
    code = np.searchsorted(np.asarray(edges, dtype=np.float64), numbers.fillna(0).to_numpy(), side="right")
    return names, pd.Series([names[number] for number in code], index=values.index, dtype="string")


def _gaps(
    outcome: Judged,
    names: Sequence[str],
    threshold: Threshold,
    order: Sequence[str],
    index: Integers,
    compared: Sequence[int],
    seed: int,
) -> dict[str, Gap]:
    statistics = {name: metric_of(name).prepare(outcome, threshold) for name in names}
    seen = _by_group(statistics, [index[None]], compared)
    shuffled = _by_group(statistics, _regroupings(outcome, index, compared, seed), compared)
    gaps: dict[str, Gap] = {}
    for name in names:
        figures = seen[name][0]
        spread = np.ptp(shuffled[name], axis=1)
        spread = spread[np.isfinite(spread)]
        if np.isfinite(figures).all():
            gaps[name] = {
                "value": float(np.ptp(figures)),
                "chance": float(np.percentile(spread, LEVEL)) if len(spread) else np.nan,
                "highest": order[compared[int(figures.argmax())]],
                "lowest": order[compared[int(figures.argmin())]],
            }
    return gaps


def _by_group(
    statistics: Mapping[str, Statistic], groupings: Iterable[Integers], compared: Sequence[int]
) -> dict[str, Floats]:
    """(R, G) each metric of each compared group, for R groupings of the samples, in chunks (r, N)."""
    found: dict[str, list[Floats]] = {name: [] for name in statistics}
    for grouping in groupings:
        weights = [(grouping == number).astype(np.float64) for number in compared]
        for name, statistic in statistics.items():
            found[name].append(np.stack([statistic(group) for group in weights], axis=1))
    return {name: np.concatenate(values) for name, values in found.items()}


def _regroupings(outcome: Judged, index: Integers, compared: Sequence[int], seed: int) -> Iterator[Integers]:
    """Random regroupings of the compared samples; subjects swap groups whole where each is in one group."""
    rows = np.flatnonzero(np.isin(index, compared))
    unit, _ = pd.factorize(outcome.subjects[rows])  # numbered as they appear: their names play no part in the draws
    group = index[rows][np.unique(unit, return_index=True)[1]]
    if not np.array_equal(group[unit], index[rows]):
        unit, group = np.arange(len(rows)), index[rows]
    rng = np.random.default_rng(seed)
    for chunk in np.array_split(np.arange(_REGROUPINGS), math.ceil(_REGROUPINGS * len(index) / CHUNK)):
        shuffled = np.tile(index, (len(chunk), 1))
        shuffled[:, rows] = np.stack([rng.permutation(group)[unit] for _ in chunk])
        yield shuffled
