"""How often each code occurs among some subjects until some time, and how its values are spread: what is fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suwen.data.records.columns import Columns
from suwen.data.records.kernels import compiled, store_of

SAMPLED = 50_000
"""Values of a slot of which quantiles are taken; of more, evenly many are passed over."""


@dataclass(frozen=True, kw_only=True)
class Tallies:
    """Of each slot.

    Attributes:
        subjects: int64, how many have it.
        values: int64, how many there are.
        mean, std: float64 of the values; the deviation is that of a population. NaN where there is no value.
    """

    subjects: np.ndarray
    values: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def tally(columns: Columns, places: np.ndarray, until: np.ndarray, of_code: np.ndarray, slots: int) -> Tallies:
    """Count what is known of each subject at a time; each event once.

    Args:
        columns: the events.
        places: int64 (P,), subjects, each once.
        until: int64 (P,), microseconds: what happened, or became available, later is not looked at.
        of_code: int32 (V,), slot of each code, or -1.
        slots: how many there are.
    """
    subjects, values = np.zeros(slots, np.int64), np.zeros(slots, np.int64)
    mean, squares = np.zeros(slots), np.zeros(slots)
    marks = np.full(slots, -1, np.int64)
    _tally(places, until, *store_of(columns), of_code, subjects, values, mean, squares, marks)
    some = values > 0
    std = np.sqrt(squares / np.maximum(values, 1))
    return Tallies(subjects=subjects, values=values, mean=np.where(some, mean, np.nan), std=np.where(some, std, np.nan))


def quantiles(
    columns: Columns,
    places: np.ndarray,
    until: np.ndarray,
    of_code: np.ndarray,
    counts: np.ndarray,
    shares: tuple[float, ...],
) -> np.ndarray:
    """float64 (slots, shares): quantiles of the values of each slot, NaN where there is none.

    Args:
        columns, places, until, of_code: see `tally`.
        counts: values of each slot, as tallied.
        shares: from 0 to 1.
    """
    strides = np.maximum(1, -(-counts // SAMPLED))
    starts = np.concatenate([[0], np.cumsum(-(-counts // strides))])
    found = np.empty(starts[-1], np.float32)
    _sample(places, until, *store_of(columns), of_code, strides, starts, np.zeros(len(counts), np.int64), found)
    cut = np.full((len(counts), len(shares)), np.nan)
    for slot in np.flatnonzero(counts).tolist():
        cut[slot] = np.quantile(found[starts[slot] : starts[slot + 1]].astype(np.float64), shares)
    return cut


@compiled
def _tally(
    places: np.ndarray, until: np.ndarray, offsets: np.ndarray, times: np.ndarray, codes: np.ndarray,
    values: np.ndarray, available: np.ndarray, of_code: np.ndarray, subjects: np.ndarray, counts: np.ndarray,
    mean: np.ndarray, squares: np.ndarray, marks: np.ndarray,
) -> None:  # fmt: skip
    """Mean and squared deviations as they come (Welford, Technometrics 1962;4(3):419-420)."""
    for number in range(len(places)):
        for event in range(offsets[places[number]], offsets[places[number] + 1]):
            if times[event] > until[number]:
                break
            slot = of_code[codes[event]]
            if slot < 0 or (len(available) and available[event] > until[number]):
                continue
            if marks[slot] != number:
                marks[slot] = number
                subjects[slot] += 1
            value = np.float64(values[event])
            if not np.isnan(value):
                counts[slot] += 1
                away = value - mean[slot]
                mean[slot] += away / counts[slot]
                squares[slot] += away * (value - mean[slot])


@compiled
def _sample(
    places: np.ndarray, until: np.ndarray, offsets: np.ndarray, times: np.ndarray, codes: np.ndarray,
    values: np.ndarray, available: np.ndarray, of_code: np.ndarray, strides: np.ndarray, starts: np.ndarray,
    seen: np.ndarray, found: np.ndarray,
) -> None:  # fmt: skip
    """Every so manieth value of each slot, each slot's by themselves."""
    for number in range(len(places)):
        for event in range(offsets[places[number]], offsets[places[number] + 1]):
            if times[event] > until[number]:
                break
            slot = of_code[codes[event]]
            if slot < 0 or (len(available) and available[event] > until[number]) or np.isnan(values[event]):
                continue
            if seen[slot] % strides[slot] == 0:
                found[starts[slot] + seen[slot] // strides[slot]] = values[event]
            seen[slot] += 1
