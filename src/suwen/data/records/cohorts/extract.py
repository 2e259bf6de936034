"""Columns of events and a cohort → labels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from suwen.core.errors import DataError
from suwen.data.records.cohorts.config import Cohort
from suwen.data.records.cohorts.funnel import Funnel
from suwen.data.records.cohorts.kernels import (
    COUNT,
    COVERED,
    ELIGIBLE,
    FOLLOWED,
    HAPPENED,
    PLACE,
    PREDICTED,
    SEEN,
    SUBJECTS,
    TALLIES,
    TRIGGERED,
    TRIGGERS,
    WIDTH,
    labels_of,
)
from suwen.data.records.cohorts.labels import Labels
from suwen.data.records.cohorts.pages import release
from suwen.data.records.cohorts.program import Program, program_of
from suwen.data.records.cohorts.units import units_compared
from suwen.data.records.columns import Columns
from suwen.data.records.events import NOWHEN
from suwen.data.records.kernels import DAY, processors, store_of

SHARE = 16
"""Pieces of work a thread: subjects differ in their number of events."""

AT_ONCE = 1 << 22
"""Events of a piece, at most, more or less: their pages are let go after it."""

CENSORED = "the record ends before the window, and nothing is known to have happened"


def extract(columns: Columns, cohort: Cohort, *, threads: int | None = None) -> Labels:
    """The labels of a cohort: one for each trigger whose windows are all there and hold what they must.

    Every event is looked at once, see `suwen.data.records.cohorts.kernels`. Each label takes 64 bytes and 16 a window;
    of the events no more than a few pieces are in memory at a time.

    Where events became known later than they happened (`Columns.available`), what places the prediction must have been
    known then: the trigger, events at which windows begin or end until then, demographics. Windows that end until then
    hold what was known then. Later ones, and the label, hold what happened. Where all is known at its own time, the
    labels are those of ACES; see `suwen.data.records.cohorts.config`.

    Args:
        columns: the events.
        cohort: see `read_cohort`.
        threads: as many as there are processors when None.

    Raises:
        DataError: no label is left, and where all were lost; or the prediction sees some of the label's window.
        RecipeError: the cohort asks for more predicates than there are bits.
    """
    program = program_of(cohort, columns.numbers)
    pieces, tallies = _rows(columns, program, threads or processors())
    rows = np.concatenate(pieces)
    del pieces
    losses = [(what, int(lost)) for what, lost in zip(program.reasons, tallies[TALLIES:], strict=True)]
    if cohort.label is not None:
        _refuse_seen(cohort, rows)
        uncovered = (rows[:, COVERED] == 0) & (rows[:, COUNT] == 0)
        if cohort.censoring == "drop":
            losses.append((f"{cohort.label.name}: {CENSORED}", int(uncovered.sum())))
            rows = rows[~uncovered]
    funnel = Funnel.of(int(tallies[SUBJECTS]), int(tallies[ELIGIBLE]), int(tallies[TRIGGERS]), losses)
    if not len(rows):
        raise _empty(cohort, program, funnel)
    return _labels(columns, cohort, program, rows, funnel)


def _rows(columns: Columns, program: Program, threads: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Labels by ranges of subjects, in order, and what was tallied."""
    store = store_of(columns)
    wanted = max(SHARE * threads, len(columns) // AT_ONCE)
    cuts = np.searchsorted(columns.offsets, np.linspace(0, len(columns), wanted + 1)[1:-1]).tolist()
    bounds = list(pairwise(sorted({0, *cuts, len(columns.subjects)}))) or [(0, 0)]

    def work(bound: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        tallies = np.zeros(TALLIES + len(program.reasons), np.int64)
        matching, moments, windows, criteria, aim = program[:5]
        rows = labels_of(*bound, store, matching, moments, windows, criteria, aim, tallies)
        for column in (columns.codes, columns.times, columns.values, columns.available):
            if column is not None:
                release(column, *columns.offsets[list(bound)].tolist())
        return rows, tallies

    if threads == 1 or len(bounds) == 1:
        done = [work(bound) for bound in bounds]
    else:
        with ThreadPoolExecutor(threads) as pool:
            done = list(pool.map(work, bounds))
    return [rows for rows, _ in done], np.sum([tallies for _, tallies in done], axis=0)


def _labels(columns: Columns, cohort: Cohort, program: Program, rows: np.ndarray, funnel: Funnel) -> Labels:
    label, windows = cohort.label, len(cohort.windows)
    values = None
    if label is not None:
        values = rows[:, COUNT].copy() if label.counted else rows[:, COUNT] > 0
    happened = rows[:, HAPPENED] != NOWHEN
    until = np.where(happened, rows[:, HAPPENED], rows[:, FOLLOWED])
    ends = {window.name: number for number, window in enumerate(cohort.windows)}
    return Labels(
        cohort=cohort,
        subject_ids=columns.subjects[rows[:, PLACE]],
        prediction_times=rows[:, PREDICTED].copy(),
        triggers=rows[:, TRIGGERED].copy(),
        values=values,
        starts={name: rows[:, WIDTH + number].copy() for name, number in ends.items()},
        ends={name: rows[:, WIDTH + windows + number].copy() for name, number in ends.items()},
        censored=rows[:, COVERED] == 0,
        events=happened,
        days=(until - rows[:, PREDICTED]) / DAY,
        funnel=funnel,
        unmatched=program.unmatched,
        units=units_compared(cohort, columns),
        fingerprint=columns.fingerprint,
    )


def _refuse_seen(cohort: Cohort, rows: np.ndarray) -> None:
    seen = int((rows[:, SEEN] != 0).sum())
    label, when = cohort.label, f"{cohort.index.name}.{cohort.index.index}"
    if seen and label is not None:
        raise DataError(
            f"{seen:,} of {len(rows):,} labels are predicted when their window, {label.name}, has begun",
            why=f"features see what is known at the prediction ({when}), that very moment included: part of what is "
            "to be predicted would be among them",
            fix=f"begin {label.name} at {when} or later, with start_inclusive: False",
        )


def _empty(cohort: Cohort, program: Program, funnel: Funnel) -> DataError:
    absent = f"; no code of the store fits {', '.join(program.unmatched)}" if program.unmatched else ""
    return DataError(
        f"{cohort.name} has no labels\n" + "\n".join(f"    {line}" for line in funnel.lines(cohort.trigger)),
        why=f"this is where all were lost{absent}",
        fix="look at the codes of the store: suwen records describe STORE",
    )
